/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The Secrets and the ConfigMap that spec.registrationAuth and spec.caBundleRef name: read one by
 * one when a registration is about to be made, kept while registrations of the object run, and no
 * longer good when they have grown old or the spec is another. What authenticates both ends of a
 * request is the object's own: two objects of one host never share it.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/mem.h"
#include "base/mono.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

#define KEEP_MS	   30000
#define REQUEST_MS 10000

static const struct kube_resource config_maps = {"", "v1", "configmaps"};

struct reference {
	struct auth auth;
	int64_t generation;
	int64_t read_ms; /* when the first request was sent */
	bool complete;
};

void reference_drop(struct record *record)
{
	struct reference *reference = TAKE(record->reference);

	if (!reference)
		return;
	auth_done(&reference->auth);
	free(reference);
}

enum plan_references reference_view(const struct record *record,
				    const struct api_registration *object)
{
	const struct reference *reference = record->reference;
	bool good = object && reference && reference->complete &&
		    reference->generation == object->generation &&
		    mono_ms() - reference->read_ms < KEEP_MS;

	return good ? PLAN_REFERENCES_OK : PLAN_REFERENCES_UNREAD;
}

const struct auth *reference_auth(const struct record *record,
				  const struct api_registration *object)
{
	const struct reference *reference = record->reference;

	if (!object->spec.auth)
		return NULL;
	/* Without it the request would go out unauthenticated, to whoever the system trusts. */
	assert(reference && reference->complete && reference->generation == object->generation);
	return &reference->auth;
}

char *reference_copy_ca(const struct auth *auth, struct http_tls *ret_tls)
{
	char *ca_pem = auth && auth->ca_pem ? mem_strdup(auth->ca_pem) : NULL;

	if (ca_pem)
		*ret_tls = (struct http_tls){.ca_pem = ca_pem, .ca_pem_len = strlen(ca_pem)};
	return ca_pem;
}

/* ---- reading ---- */

static void fold(struct record *record, const struct err *problem)
{
	struct plan_view view;

	if (problem)
		reference_drop(record);
	else
		record->reference->complete = true;
	record_view(record, &view);
	plan_fold_references(record_memory(record), &view, problem);
	record_act_ended(record);
}

/* The object as it was when reading began; NULL when it is another by now. */
static const struct api_registration *same_object(const struct record *record)
{
	const struct api_registration *object = record_object(record);

	return object && object->generation == record->reference->generation ? object : NULL;
}

static void read_next(struct record *record, const struct api_spec *spec);

static void on_read(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	const struct api_registration *owner = same_object(record);
	struct auth *auth = &record->reference->auth;
	struct err problem;

	record->call = NULL;
	if (!owner) {
		reference_drop(record);
		record_act_ended(record);
	} else if (err && act_is_forbidden(err)) {
		(void)auth_denied(auth, &owner->spec, &problem);
		fold(record, &problem);
	} else if (err && !act_is_not_found(object, err)) {
		reference_drop(record);
		act_unanswered(record, "reading what the spec refers to failed", err);
	} else if (auth_take(auth, &owner->spec, err ? NULL : object, &problem)) {
		fold(record, &problem);
	} else {
		read_next(record, &owner->spec);
	}
}

static void read_next(struct record *record, const struct api_spec *spec)
{
	struct auth_source source;
	struct kube_request req = {
		.verb = "get",
		.namespace = record->namespace,
		.timeout_ms = REQUEST_MS,
		.on_done = on_read,
		.ctx = record,
	};

	if (!auth_next(&record->reference->auth, spec->auth, &source)) {
		fold(record, NULL);
		return;
	}
	req.resource = source.config_map ? &config_maps : &channel_secrets;
	req.name = source.name;
	record->call = kube_start(record->controller->options.kube, &req);
}

void reference_read(struct record *record, const struct plan_view *view)
{
	struct err problem;

	reference_drop(record);
	record->reference = mem_zalloc(sizeof(*record->reference));
	record->reference->generation = view->object->generation;
	record->reference->read_ms = mono_ms();
	if (auth_begin(&record->reference->auth, &view->object->spec, &problem))
		fold(record, &problem);
	else
		read_next(record, &view->object->spec);
}
