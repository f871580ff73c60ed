/* SPDX-License-Identifier: Apache-2.0 */

/* spec.secretTemplate. The schema's rules are checked again: a key of others must never get onto a
 * Secret, and one that is no key would have each write of it refused. */

#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/mem.h"
#include "jv/jv.h"

#define MAX_NAME       63
#define MAX_LABEL      63
#define MAX_ANNOTATION 4096
#define ALNUM	       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

void api_template_free(struct api_template *template)
{
	size_t i;

	if (!template)
		return;
	for (i = 0; i < template->len; i++) {
		free(template->tags[i].key);
		free(template->tags[i].value);
	}
	free(template);
}

/* What may follow the prefix of a key, and be a label's value. */
static bool is_name(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= MAX_NAME && strspn(text, ALNUM "-_.") == len &&
	       strchr(ALNUM, text[0]) && strchr(ALNUM, text[len - 1]);
}

/* The domain, or a part of it, is that of whoever else's keys these are. */
static bool is_of_others(const char *prefix)
{
	static const char *const domains[] = {API_GROUP, "kubernetes.io", "k8s.io", "argoproj.io"};
	size_t len = strlen(prefix);
	size_t i;

	for (i = 0; i < ARRAY_LEN(domains); i++) {
		size_t tail = strlen(domains[i]);

		if (len >= tail && strcmp(prefix + len - tail, domains[i]) == 0 &&
		    (len == tail || prefix[len - tail - 1] == '.'))
			return true;
	}
	return false;
}

static bool is_key(const char *key)
{
	CLEANUP(mem_freep) char *prefix = mem_strdup(key);
	char *slash = strchr(prefix, '/');

	if (!slash)
		return is_name(key);
	*slash = '\0';
	return api_is_object_name(prefix) && !is_of_others(prefix) && is_name(slash + 1);
}

static bool is_value(const json_t *value, bool annotation)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value))
		return false;
	return annotation ? strlen(text) <= MAX_ANNOTATION : !*text || is_name(text);
}

/* False: what is there cannot be acted on. */
static bool decode_tags(json_t *map, bool annotation, struct api_template *template)
{
	const char *key;
	json_t *value;

	if (map && (!json_is_object(map) || json_object_size(map) > API_MAX_TAGS))
		return false;
	json_object_foreach(map, key, value) {
		if (!is_key(key) || !is_value(value, annotation))
			return false;
		template->tags[template->len++] =
			(struct api_tag){.annotation = annotation,
					 .key = mem_strdup(key),
					 .value = mem_strdup(json_string_value(value))};
	}
	return true;
}

static struct api_template *refuse(struct api_template *template, const char *field,
				   char **ret_unsupported)
{
	if (!*ret_unsupported)
		*ret_unsupported = mem_printf("%s: at most 16 keys, none of them of others, and "
					      "values that Kubernetes permits are needed",
					      field);
	api_template_free(template);
	return NULL;
}

struct api_template *api_template_decode(const json_t *object, char **ret_unsupported)
{
	const json_t *whole = jv_get(object, "spec.secretTemplate");
	json_t *labels = jv_get(object, "spec.secretTemplate.labels");
	json_t *annotations = jv_get(object, "spec.secretTemplate.annotations");
	size_t most = json_object_size(labels) + json_object_size(annotations);
	struct api_template *template;

	if (whole && !json_is_object(whole))
		return refuse(NULL, "spec.secretTemplate", ret_unsupported);
	if (!labels && !annotations)
		return NULL;
	template = mem_zalloc(sizeof(*template) + most * sizeof(template->tags[0]));
	if (!decode_tags(labels, false, template))
		return refuse(template, "spec.secretTemplate.labels", ret_unsupported);
	if (!decode_tags(annotations, true, template))
		return refuse(template, "spec.secretTemplate.annotations", ret_unsupported);
	if (template->len > 0)
		return template;
	api_template_free(template);
	return NULL;
}
