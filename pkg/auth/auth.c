/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <stdlib.h>
#include <string.h>

#include "auth/auth_impl.h"
#include "base/enc.h"
#include "base/mem.h"
#include "jv/jv.h"
#include "url/url.h"

#define BASIC_TYPE   "kubernetes.io/basic-auth"
#define CA_FIELD     "spec.caBundle"
#define CA_REF_FIELD "spec.caBundleRef"
#define BASIC_FIELD  "spec.registrationAuth.basic.secretRef"
#define HEADER_FIELD "spec.registrationAuth.headers[%d].secretKeyRef"

void auth_done(struct auth *auth)
{
	size_t i;

	for (i = 0; i < API_MAX_HEADERS; i++)
		mem_wipe_str(TAKE(auth->headers[i]));
	free(TAKE(auth->ca_pem));
}

int auth_begin(struct auth *auth, const struct api_spec *spec, struct err *err)
{
	*auth = (struct auth){0};
	if (!spec->auth->ca_pem)
		return 0;
	if (auth_check_ca(spec->auth->ca_pem, err)) {
		err->kind = ERR_INVALID;
		return err_wrap(err, CA_FIELD);
	}
	auth->ca_pem = mem_strdup(spec->auth->ca_pem);
	return 0;
}

/* ---- what is still to come ---- */

/* The first header that is not there yet, or -1. */
static int next_header(const struct auth *auth, const struct api_auth *wanted)
{
	size_t i;

	for (i = 0; i < wanted->headers_len; i++)
		if (!auth->headers[i])
			return (int)i;
	return -1;
}

static bool wants_basic(const struct auth *auth, const struct api_auth *wanted)
{
	return wanted->basic_secret && !auth->headers[0];
}

bool auth_next(const struct auth *auth, const struct api_auth *wanted,
	       struct auth_source *ret_source)
{
	int header = next_header(auth, wanted);

	*ret_source = (struct auth_source){0};
	if (wants_basic(auth, wanted)) {
		ret_source->name = wanted->basic_secret;
	} else if (header >= 0) {
		ret_source->name = wanted->headers[header].secret;
	} else if (wanted->ca_config_map && !auth->ca_pem) {
		ret_source->config_map = true;
		ret_source->name = wanted->ca_config_map;
	}
	return ret_source->name;
}

/* Puts the field that comes next before the message. */
static int blame(const struct auth *auth, const struct api_auth *wanted, struct err *err)
{
	int header = next_header(auth, wanted);

	if (wants_basic(auth, wanted))
		return err_wrap(err, BASIC_FIELD);
	if (header >= 0)
		return err_wrap(err, HEADER_FIELD, header);
	return err_wrap(err, CA_REF_FIELD);
}

/* ---- Secrets ---- */

/* A NUL inside the annotation would hide what is behind it. */
static bool is_bound(const json_t *secret, const char *host)
{
	const json_t *annotations = jv_object(secret, "metadata.annotations");
	const char *url =
		jv_whole_str(json_object_get(annotations, API_ANNOTATION_CREDENTIALS_FOR));

	return url && url_equal(url, host);
}

static int check_bound(const json_t *secret, const char *host, struct err *err)
{
	if (is_bound(secret, host))
		return 0;
	return err_set(err, ERR_NOT_FOUND, 0,
		       "there is no Secret of that name whose annotation "
		       "" API_ANNOTATION_CREDENTIALS_FOR " is the URL in spec.host; make or "
		       "annotate it");
}

/* RFC 7617: the user name ends at the first colon. */
static char *basic_header(const json_t *secret, struct err *err)
{
	CLEANUP(mem_wipe_strp) char *username = NULL;
	CLEANUP(mem_wipe_strp) char *password = NULL;
	CLEANUP(mem_wipe_strp) char *both = NULL;
	CLEANUP(mem_wipe_strp) char *base64 = NULL;

	if (strcmp(jv_str(secret, "type"), BASIC_TYPE) != 0) {
		(void)err_set(err, ERR_NOT_FOUND, 0,
			      "the Secret is not of type " BASIC_TYPE "; make it anew as one");
		return NULL;
	}
	username = auth_header_value(secret, "username", err);
	if (!username)
		return NULL;
	if (strchr(username, ':')) {
		(void)err_set(err, ERR_NOT_FOUND, 0,
			      "the value of its username holds a colon, which ends a user name");
		return NULL;
	}
	password = auth_header_value(secret, "password", err);
	if (!password)
		return NULL;
	both = mem_printf("%s:%s", username, password);
	base64 = enc_base64(both, strlen(both));
	return mem_printf("Authorization: Basic %s", base64);
}

static int take_header(struct auth *auth, const struct api_header *header, size_t i,
		       const json_t *secret, struct err *err)
{
	CLEANUP(mem_wipe_strp) char *value = auth_header_value(secret, header->key, err);
	/* libcurl takes a name with nothing but blanks behind it for one to leave out. */
	bool empty = value && value[strspn(value, " ")] == '\0';

	if (empty)
		(void)err_set(err, ERR_NOT_FOUND, 0, "the value of its %.64s is empty",
			      header->key);
	if (!value || empty)
		return err_wrap(err, HEADER_FIELD, (int)i);
	auth->headers[i] = mem_printf("%s: %s", header->name, value);
	return 0;
}

/* All that are in this Secret, so that it is read once. */
static int take_headers(struct auth *auth, const struct api_auth *wanted, const char *name,
			const json_t *secret, struct err *err)
{
	size_t i;

	for (i = 0; i < wanted->headers_len; i++)
		if (!auth->headers[i] && strcmp(wanted->headers[i].secret, name) == 0 &&
		    take_header(auth, &wanted->headers[i], i, secret, err))
			return -1;
	return 0;
}

int auth_take(struct auth *auth, const struct api_spec *spec, const json_t *object, struct err *err)
{
	const struct api_auth *wanted = spec->auth;
	struct auth_source source;

	if (!auth_next(auth, wanted, &source))
		return 0;
	if (source.config_map) {
		auth->ca_pem = auth_ca_value(object, wanted->ca_key, err);
		return auth->ca_pem ? 0 : err_wrap(err, CA_REF_FIELD);
	}
	if (check_bound(object, spec->host, err))
		return blame(auth, wanted, err);
	if (!wanted->basic_secret)
		return take_headers(auth, wanted, source.name, object, err);
	auth->headers[0] = basic_header(object, err);
	return auth->headers[0] ? 0 : err_wrap(err, BASIC_FIELD);
}

int auth_denied(const struct auth *auth, const struct api_spec *spec, struct err *err)
{
	(void)err_set(err, ERR_DENIED, 0,
		      "the API server denies reading it; check the operator's RBAC");
	return blame(auth, spec->auth, err);
}
