/* SPDX-License-Identifier: Apache-2.0 */

/* spec.registrationAuth, spec.caBundle and spec.caBundleRef. What they refer to is not looked at
 * here, and neither is what caBundle holds: that must trouble coming registrations only. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_impl.h"
#include "base/enc.h"
#include "base/intern.h"
#include "base/mem.h"
#include "jv/jv.h"

#define MAX_HEADER_NAME 128
#define MAX_KEY		253
#define MAX_CA_BASE64	87384 /* API_MAX_CA bytes */

void api_auth_free(struct api_auth *auth)
{
	size_t i;

	if (!auth)
		return;
	for (i = 0; i < auth->headers_len; i++) {
		free(auth->headers[i].name);
		free(auth->headers[i].secret);
		free(auth->headers[i].key);
	}
	free(auth->headers);
	free(auth->basic_secret);
	intern_put(auth->ca_pem);
	free(auth->ca_config_map);
	free(auth->ca_key);
	free(auth);
}

/* What is being decoded. */
struct decoding {
	struct api_auth *auth;
	char **unsupported;
};

/* Keeps the first thing that cannot be acted on. */
static void refuse(const struct decoding *d, const char *what, const char *why)
{
	if (!*d->unsupported)
		*d->unsupported = mem_printf("%s: %s", what, why);
}

/* A name or key under a field of the spec; one that is not valid is refused, and copied as "". */
static char *take_name(const struct decoding *d, const json_t *ref, const char *field)
{
	const char *name = api_text(jv_get(ref, "name"));

	if (api_is_object_name(name))
		return mem_strdup(name);
	refuse(d, field, "its name is not one of a Kubernetes object");
	return mem_strdup("");
}

static char *take_key(const struct decoding *d, const json_t *ref, const char *field)
{
	const char *key = api_text(jv_get(ref, "key"));

	if (api_is_data_key(key, MAX_KEY))
		return mem_strdup(key);
	refuse(d, field, "its key is not one of the object's data");
	return mem_strdup("");
}

/* ---- headers ---- */

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~";
	size_t len = strlen(text);

	return len >= 1 && len <= MAX_HEADER_NAME && strspn(text, chars) == len;
}

/* What the operator, the connection or acme-dns itself uses. */
static bool is_forbidden(const char *name)
{
	static const char *const names[] = {"host",    "connection", "transfer-encoding", "trailer",
					    "upgrade", "expect",     "keep-alive"};
	static const char *const starts[] = {"content-", "proxy-", "x-api-"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	for (i = 0; i < ARRAY_LEN(starts); i++)
		if (strncasecmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static bool is_taken(const struct api_auth *auth, const char *name)
{
	size_t i;

	for (i = 0; i < auth->headers_len; i++)
		if (strcasecmp(auth->headers[i].name, name) == 0)
			return true;
	return false;
}

static const char *name_fault(const struct api_auth *auth, const char *name)
{
	if (!is_token(name))
		return "its name is not one of a header field";
	if (is_forbidden(name))
		return "a field of this name is set by the operator or the connection; leave it "
		       "out";
	return is_taken(auth, name) ? "its name is there twice" : NULL;
}

static void decode_header(const struct decoding *d, const json_t *item, size_t i)
{
	CLEANUP(mem_freep) char *field = mem_printf("spec.registrationAuth.headers[%zu]", i);
	const char *name = api_text(jv_get(item, "name"));
	const json_t *ref = jv_object(item, "secretKeyRef");
	struct api_auth *auth = d->auth;
	const char *fault = name_fault(auth, name);

	if (fault) {
		refuse(d, field, fault);
		return;
	}
	auth->headers[auth->headers_len++] = (struct api_header){
		.name = mem_strdup(name),
		.secret = take_name(d, ref, field),
		.key = take_key(d, ref, field),
	};
}

static void decode_headers(const struct decoding *d, const json_t *list)
{
	size_t len = json_array_size(list);
	size_t i;

	if ((list && !json_is_array(list)) || len > API_MAX_HEADERS) {
		refuse(d, "spec.registrationAuth.headers",
		       "a list of at most 16 header fields is needed");
		return;
	}
	d->auth->headers = mem_zalloc_array(len, sizeof(*d->auth->headers));
	for (i = 0; i < len; i++)
		decode_header(d, json_array_get(list, i), i);
}

static void decode_credentials(const json_t *object, const struct decoding *d)
{
	const json_t *basic = jv_get(object, "spec.registrationAuth.basic");

	if (basic)
		d->auth->basic_secret = take_name(d, jv_object(basic, "secretRef"),
						  "spec.registrationAuth.basic.secretRef");
	decode_headers(d, jv_get(object, "spec.registrationAuth.headers"));
	if (basic && d->auth->headers_len > 0)
		refuse(d, "spec.registrationAuth", "basic or headers, not both");
}

/* ---- the CA ---- */

static void decode_ca_bundle(const struct decoding *d, const json_t *value)
{
	size_t len = json_string_length(value);
	CLEANUP(mem_freep) char *pem = NULL;
	struct err err;
	size_t pem_len;

	if (len >= 1 && len <= MAX_CA_BASE64)
		pem = enc_unbase64(json_string_value(value), len, &pem_len, &err);
	if (!pem) {
		refuse(d, "spec.caBundle", "base64 of at most 64 KiB is needed");
		return;
	}
	/* With a NUL inside it is no PEM. */
	d->auth->ca_pem = intern_get(strlen(pem) == pem_len ? pem : "");
}

static void decode_ca_ref(const struct decoding *d, const json_t *ref)
{
	static const char field[] = "spec.caBundleRef";
	const json_t *kind = jv_get(ref, "kind");

	if (kind && strcmp(api_text(kind), "ConfigMap") != 0)
		refuse(d, field, "its kind can only be ConfigMap");
	d->auth->ca_config_map = take_name(d, ref, field);
	d->auth->ca_key = take_key(d, ref, field);
}

static bool is_used(const struct api_auth *auth)
{
	return auth->basic_secret || auth->headers_len > 0 || auth->ca_pem || auth->ca_config_map;
}

static void decode(const json_t *object, const struct decoding *d)
{
	const json_t *credentials = jv_get(object, "spec.registrationAuth");
	const json_t *bundle = jv_get(object, "spec.caBundle");
	const json_t *ref = jv_get(object, "spec.caBundleRef");

	if (credentials && !json_is_object(credentials))
		refuse(d, "spec.registrationAuth", "an object is needed");
	if (credentials)
		decode_credentials(object, d);
	if (bundle)
		decode_ca_bundle(d, bundle);
	if (ref)
		decode_ca_ref(d, ref);
	if (bundle && ref)
		refuse(d, "spec.caBundleRef", "caBundle or caBundleRef, not both");
}

struct api_auth *api_auth_decode(const json_t *object, char **ret_unsupported)
{
	struct api_auth *auth = mem_zalloc(sizeof(*auth));

	decode(object, &(struct decoding){auth, ret_unsupported});
	if (is_used(auth))
		return auth;
	api_auth_free(auth);
	return NULL;
}
