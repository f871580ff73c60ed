/* SPDX-License-Identifier: Apache-2.0 */
#include "lease/lease_impl.h"

#include <string.h>

#include "base/mono.h"
#include "jv/jv.h"

bool lease_record_holds(const json_t *object, const char *identity)
{
	return strcmp(jv_str(object, "spec.holderIdentity"), identity) == 0;
}

bool lease_record_same(const json_t *a, const json_t *b)
{
	return json_equal(jv_object(a, "spec"), jv_object(b, "spec"));
}

bool lease_record_is_free(const json_t *object, int64_t unchanged_ms, int64_t default_ms)
{
	int64_t duration_s = jv_int(object, "spec.leaseDurationSeconds", 0);
	bool is_sane = duration_s > 0 && duration_s <= INT32_MAX; /* the API's type */
	int64_t duration_ms = is_sane ? duration_s * 1000 : default_ms;

	return lease_record_holds(object, "") || unchanged_ms >= duration_ms;
}

static void set_time(json_t *spec, const char *key, int64_t wall_us)
{
	char text[MONO_RFC3339_LEN];

	mono_rfc3339_micro(wall_us, text);
	jv_set_str(spec, key, text);
}

json_t *lease_record_claimed(const json_t *object, const struct lease_options *options,
			     int64_t wall_us)
{
	json_t *claimed = json_deep_copy(object);
	json_t *spec = jv_ensure_object(claimed, "spec");

	if (!lease_record_holds(claimed, options->identity)) {
		jv_set_str(spec, "holderIdentity", options->identity);
		jv_set_int(spec, "leaseTransitions", jv_int(spec, "leaseTransitions", 0) + 1);
		set_time(spec, "acquireTime", wall_us);
	}
	jv_set_int(spec, "leaseDurationSeconds", (options->lease_duration_ms + 999) / 1000);
	set_time(spec, "renewTime", wall_us);
	return claimed;
}

json_t *lease_record_new(const struct lease_options *options, int64_t wall_us)
{
	CLEANUP(jv_freep) json_t *blank = json_object();
	json_t *meta = jv_ensure_object(blank, "metadata");
	json_t *created;

	jv_set_str(blank, "apiVersion", "coordination.k8s.io/v1");
	jv_set_str(blank, "kind", "Lease");
	jv_set_str(meta, "namespace", options->namespace);
	jv_set_str(meta, "name", options->name);
	created = lease_record_claimed(blank, options, wall_us);
	jv_set_int(jv_object(created, "spec"), "leaseTransitions", 0);
	return created;
}

json_t *lease_record_released(const json_t *object, int64_t wall_us)
{
	json_t *released = json_deep_copy(object);
	json_t *spec = jv_ensure_object(released, "spec");

	jv_set_str(spec, "holderIdentity", "");
	jv_set_int(spec, "leaseDurationSeconds", 1);
	set_time(spec, "acquireTime", wall_us);
	set_time(spec, "renewTime", wall_us);
	return released;
}
