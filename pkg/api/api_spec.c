/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/intern.h"
#include "base/mem.h"
#include "cidr/cidr.h"
#include "jv/jv.h"

/* As in the schema, since an object may have been stored under another one. */
#define DEFAULT_KEY    "acmedns.json"
#define MAX_KEY	       240
#define MAX_ALLOW_FROM 100
#define MAX_CIDR       49
#define LOWER	       "abcdefghijklmnopqrstuvwxyz"
#define UPPER	       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	       "0123456789"

void api_strings_free(char **strings, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		free(strings[i]);
	free(strings);
}

void api_spec_done(struct api_spec *spec)
{
	intern_put(spec->host);
	free(spec->secret_name);
	intern_put(spec->secret_key);
	api_strings_free(spec->domains, spec->domains_len);
	api_strings_free(spec->allow_from, spec->allow_from_len);
	api_auth_free(spec->auth);
	api_template_free(spec->template);
	api_endpoint_free(spec->endpoint);
	free(spec->unsupported);
}

int api_domain_index(const struct api_spec *spec, const char *domain)
{
	size_t i;

	for (i = 0; i < spec->domains_len; i++)
		if (strcmp(spec->domains[i], domain) == 0)
			return (int)i;
	return -1;
}

/* Keeps the first thing that cannot be acted on. */
static void unsupported(struct api_spec *spec, const char *what, const char *why)
{
	if (!spec->unsupported)
		spec->unsupported = mem_printf("%s: %s", what, why);
}

const char *api_annotation(const json_t *object, const char *name)
{
	return api_text(json_object_get(jv_object(object, "metadata.annotations"), name));
}

static void decode_act(const json_t *object, const char *annotation, struct api_spec *spec)
{
	if (strlen(api_annotation(object, annotation)) > API_MAX_ACT)
		unsupported(spec, annotation, "longer than 256 characters");
}

static void decode_host(const json_t *object, struct api_spec *spec)
{
	struct url url;
	struct err err;

	if (url_parse(api_text(jv_get(object, "spec.host")), &url, &err)) {
		unsupported(spec, "spec.host", err.msg);
		spec->host = intern_get("");
		return;
	}
	spec->host = intern_get(url.text);
}

bool api_is_object_name(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= 253 && strspn(text, LOWER DIGITS "-.") == len &&
	       !strchr("-.", text[0]) && !strchr("-.", text[len - 1]) && !strstr(text, "..") &&
	       !strstr(text, ".-") && !strstr(text, "-.");
}

bool api_is_data_key(const char *text, size_t max)
{
	size_t len = strlen(text);

	return len >= 1 && len <= max && strspn(text, LOWER UPPER DIGITS "-_.") == len &&
	       strcmp(text, ".") != 0 && strncmp(text, "..", 2) != 0;
}

static bool is_account_key(const char *text)
{
	return api_is_data_key(text, MAX_KEY) &&
	       strcmp(text, "acme-dns-operator.json") != 0; /* ours, see ledger.h */
}

static void decode_secret_ref(const json_t *object, struct api_spec *spec)
{
	const json_t *key = jv_get(object, "spec.accountSecretRef.key");

	spec->secret_name = mem_strdup(api_text(jv_get(object, "spec.accountSecretRef.name")));
	spec->secret_key = intern_get(key ? api_text(key) : DEFAULT_KEY);
	if (!api_is_object_name(spec->secret_name))
		unsupported(spec, "spec.accountSecretRef.name", "not the name of a Secret");
	if (!is_account_key(spec->secret_key))
		unsupported(spec, "spec.accountSecretRef.key", "not a key of a Secret's data");
}

static void decode_domain(struct api_spec *spec, size_t i, const char *text,
			  unsigned char names[API_MAX_DOMAINS])
{
	const unsigned char name = text[0] == '*' ? 2 : 1;
	char domain[DNSNAME_LEN];
	struct err err;
	int at;

	if (dnsname_domain(text, domain, &err)) {
		CLEANUP(mem_freep) char *field = mem_printf("spec.domains[%zu]", i);

		unsupported(spec, field, err.msg);
		return;
	}
	at = api_domain_index(spec, domain);
	if (at < 0) {
		at = (int)spec->domains_len++;
		spec->domains[at] = mem_strdup(domain);
	}
	if (!(names[at] & name))
		spec->names++;
	names[at] |= name;
}

static void decode_domains(const json_t *object, struct api_spec *spec)
{
	const json_t *list = jv_array(object, "spec.domains");
	unsigned char names[API_MAX_DOMAINS] = {0}; /* bits: x, *.x */
	size_t len = json_array_size(list);
	size_t i;

	if (len < 1 || len > API_MAX_DOMAINS) {
		unsupported(spec, "spec.domains", "between 1 and 100 domains are needed");
		return;
	}
	spec->domains = mem_zalloc_array(len, sizeof(*spec->domains));
	for (i = 0; i < len; i++)
		decode_domain(spec, i, api_text(json_array_get(list, i)), names);
}

static void decode_cidr(struct api_spec *spec, size_t i, const char *text)
{
	struct err err = {.msg = "too long"};
	struct cidr ignored;

	if (strlen(text) > MAX_CIDR || cidr_parse(text, &ignored, &err)) {
		CLEANUP(mem_freep) char *field = mem_printf("spec.allowFrom[%zu]", i);

		unsupported(spec, field, err.msg);
		return;
	}
	spec->allow_from[spec->allow_from_len++] = mem_strdup(text);
}

static void decode_allow_from(const json_t *object, struct api_spec *spec)
{
	const json_t *list = jv_get(object, "spec.allowFrom");
	size_t len = json_array_size(list);
	size_t i;

	if ((list && !json_is_array(list)) || len > MAX_ALLOW_FROM) {
		unsupported(spec, "spec.allowFrom", "a list of at most 100 networks is needed");
		return;
	}
	spec->allow_from = mem_zalloc_array(len, sizeof(*spec->allow_from));
	for (i = 0; i < len; i++)
		decode_cidr(spec, i, api_text(json_array_get(list, i)));
}

static void decode_policy(const json_t *object, struct api_spec *spec)
{
	const json_t *value = jv_get(object, "spec.accountPolicy");
	const char *policy = api_text(value);

	if (strcmp(policy, "Shared") == 0)
		spec->policy = API_SHARED;
	else if (value && strcmp(policy, "PerDomain") != 0)
		unsupported(spec, "spec.accountPolicy", "neither PerDomain nor Shared");
}

static void decode_deletion(const json_t *object, struct api_spec *spec)
{
	const json_t *value = jv_get(object, "spec.deletionPolicy");
	const char *policy = api_text(value);

	if (strcmp(policy, "Delete") == 0)
		spec->deletion = API_DELETE;
	else if (value && strcmp(policy, "Retain") != 0)
		unsupported(spec, "spec.deletionPolicy", "neither Retain nor Delete");
}

static void decode_cname(const json_t *object, struct api_spec *spec)
{
	const json_t *verify = jv_get(object, "spec.cname.verify");

	spec->verify = !json_is_false(verify);
	if (verify && !json_is_boolean(verify))
		unsupported(spec, "spec.cname.verify", "neither true nor false");
}

static void decode_suspend(const json_t *object, struct api_spec *spec)
{
	const json_t *value = jv_get(object, "spec.suspend");

	spec->suspend = json_is_true(value);
	if (value && !json_is_boolean(value))
		unsupported(spec, "spec.suspend", "neither true nor false");
}

void api_spec_decode(const json_t *object, struct api_spec *spec)
{
	decode_host(object, spec);
	decode_secret_ref(object, spec);
	decode_domains(object, spec);
	decode_allow_from(object, spec);
	decode_policy(object, spec);
	decode_deletion(object, spec);
	decode_suspend(object, spec);
	decode_cname(object, spec);
	decode_act(object, API_ANNOTATION_ROTATE, spec);
	decode_act(object, API_ANNOTATION_PROBE, spec);
	decode_act(object, API_ANNOTATION_VERIFY, spec);
	spec->auth = api_auth_decode(object, &spec->unsupported);
	spec->template =
		api_template_decode(object, "spec.secretTemplate", false, &spec->unsupported);
	spec->endpoint = api_endpoint_decode(object, &spec->unsupported);
}
