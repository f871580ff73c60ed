/* SPDX-License-Identifier: Apache-2.0 */

/* Labels and annotations for what the operator makes. The schema's rules are checked again: a key
 * of others must never get onto a Secret, ours not onto anything, and one that is no key would have
 * each write refused. */

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
static bool is_of_others(const char *prefix, bool kubernetes)
{
	static const char *const domains[] = {API_GROUP, "argoproj.io", "kubernetes.io", "k8s.io"};
	size_t domains_len = kubernetes ? 2 : ARRAY_LEN(domains);
	size_t len = strlen(prefix);
	size_t i;

	for (i = 0; i < domains_len; i++) {
		size_t tail = strlen(domains[i]);

		if (len >= tail && strcmp(prefix + len - tail, domains[i]) == 0 &&
		    (len == tail || prefix[len - tail - 1] == '.'))
			return true;
	}
	return false;
}

static bool is_key(const char *key, bool kubernetes)
{
	CLEANUP(mem_freep) char *prefix = mem_strdup(key);
	char *slash = strchr(prefix, '/');

	if (!slash)
		return is_name(key);
	*slash = '\0';
	return api_is_object_name(prefix) && !is_of_others(prefix, kubernetes) &&
	       is_name(slash + 1);
}

static bool is_value(const json_t *value, bool annotation)
{
	const char *text = jv_whole_str(value);

	if (!text)
		return false;
	return annotation ? strlen(text) <= MAX_ANNOTATION : !*text || is_name(text);
}

/* What is being decoded. */
struct decoding {
	struct api_template *template;
	const char *field;
	bool kubernetes;
};

/* False: what is there cannot be acted on. */
static bool decode_tags(const struct decoding *d, json_t *map, bool annotation)
{
	struct api_template *template = d->template;
	const char *key;
	json_t *value;

	if (map && (!json_is_object(map) || json_object_size(map) > API_MAX_TAGS))
		return false;
	json_object_foreach(map, key, value) {
		if (!is_key(key, d->kubernetes) || !is_value(value, annotation))
			return false;
		template->tags[template->len++] =
			(struct api_tag){.annotation = annotation,
					 .key = mem_strdup(key),
					 .value = mem_strdup(json_string_value(value))};
	}
	return true;
}

/* kind "": the whole. */
static struct api_template *refuse(const struct decoding *d, const char *kind,
				   char **ret_unsupported)
{
	if (!*ret_unsupported)
		*ret_unsupported = mem_printf("%s%s: at most 16 keys, none of them of others, and "
					      "values that Kubernetes permits are needed",
					      d->field, kind);
	api_template_free(d->template);
	return NULL;
}

struct api_template *api_template_decode(const json_t *object, const char *field, bool kubernetes,
					 char **ret_unsupported)
{
	const json_t *whole = jv_get(object, field);
	json_t *labels = jv_get(whole, "labels");
	json_t *annotations = jv_get(whole, "annotations");
	size_t most = json_object_size(labels) + json_object_size(annotations);
	struct decoding d = {.field = field, .kubernetes = kubernetes};

	if (whole && !json_is_object(whole))
		return refuse(&d, "", ret_unsupported);
	if (!labels && !annotations)
		return NULL;
	d.template = mem_zalloc(sizeof(*d.template) + most * sizeof(d.template->tags[0]));
	if (!decode_tags(&d, labels, false))
		return refuse(&d, ".labels", ret_unsupported);
	if (!decode_tags(&d, annotations, true))
		return refuse(&d, ".annotations", ret_unsupported);
	if (d.template->len > 0)
		return d.template;
	api_template_free(d.template);
	return NULL;
}
