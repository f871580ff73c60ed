/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_IMPL_H
#define API_IMPL_H

#include "api/api.h"
#include "jv/jv.h"

/* Fills a zeroed spec from the object that has it. */
void api_spec_decode(const json_t *object, struct api_spec *ret_spec);
/* "" when it is absent, or no text. */
const char *api_annotation(const json_t *object, const char *name);
void api_strings_free(char **strings, size_t len);
void api_spec_done(struct api_spec *spec);
/* jv_whole_str(), but "" for NULL. */
static inline const char *api_text(const json_t *value)
{
	const char *text = jv_whole_str(value);

	return text ? text : "";
}

/* UNKNOWN, FOUND, MISSING or MISMATCH, as status.records has it. */
const char *api_verification_name(enum cname_verdict verification) RETURNS_NONNULL;
/* A key of a Secret's or a ConfigMap's data. */
bool api_is_data_key(const char *text, size_t max);

/* ---- api_auth.c ---- */

/* NULL: none. *ret_unsupported, if it was NULL, gets what cannot be acted on; the caller frees. */
struct api_auth *api_auth_decode(const json_t *object, char **ret_unsupported);
void api_auth_free(struct api_auth *auth);

/* ---- api_template.c: the same of labels and annotations ---- */

/* field is the path of what holds both. kubernetes: keys of kubernetes.io and k8s.io are let
 * through. */
struct api_template *api_template_decode(const json_t *object, const char *field, bool kubernetes,
					 char **ret_unsupported);
void api_template_free(struct api_template *template);

/* ---- api_endpoint.c: the same of spec.cname.dnsEndpoint ---- */

struct api_endpoint *api_endpoint_decode(const json_t *object, char **ret_unsupported);
void api_endpoint_free(struct api_endpoint *endpoint);

#endif
