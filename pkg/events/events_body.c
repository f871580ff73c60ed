/* SPDX-License-Identifier: Apache-2.0 */
#include "events/events_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "jv/jv.h"

#define MAX_NAME    253
#define SUFFIX_LEN  17 /* "." and 16 digits */
#define NAME_LETTER "abcdefghijklmnopqrstuvwxyz0123456789"

static bool is_utf8(const char *text, size_t len)
{
	CLEANUP(jv_freep) json_t *string = json_stringn(text, len);

	return string != NULL;
}

char *events_cut(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);
	char *copy;

	if (len > max) {
		len = max;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	copy = mem_dup(text, len);
	if (is_utf8(copy, len))
		return copy;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	return copy;
}

char *events_name(const char *object_name)
{
	int len = (int)strnlen(object_name, MAX_NAME - SUFFIX_LEN);

	/* A part of a name ends with a letter or digit. */
	while (len > 0 && !strchr(NAME_LETTER, object_name[len - 1]))
		len--;
	return mem_printf("%.*s.%016" PRIx64, len, object_name, rnd_u64());
}

static void set_known(json_t *object, const char *key, const char *value)
{
	if (value && *value)
		jv_set_str(object, key, value);
}

json_t *events_reference(const struct events_object *about)
{
	json_t *reference = json_object();

	set_known(reference, "apiVersion", about->api_version);
	set_known(reference, "kind", about->kind);
	set_known(reference, "namespace", about->namespace);
	set_known(reference, "name", about->name);
	set_known(reference, "uid", about->uid);
	set_known(reference, "resourceVersion", about->resource_version);
	return reference;
}

json_t *events_series(int count, int64_t last_wall_us)
{
	json_t *patch = json_object();
	json_t *series = jv_ensure_object(patch, "series");
	char last[MONO_RFC3339_LEN];

	mono_rfc3339_micro(last_wall_us, last);
	jv_set_int(series, "count", count);
	jv_set_str(series, "lastObservedTime", last);
	return patch;
}
