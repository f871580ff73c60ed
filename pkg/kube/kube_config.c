/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/mem.h"
#include "jv/jv.h"
#include "yml/yml.h"

#define IN_CLUSTER_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* One named entry of the file: a context, a cluster or a user. */
struct entry {
	const char *kind;
	const char *name;
	const json_t *values;
	const char *dir; /* of the file, for relative paths */
};

/* ---- values of an entry ---- */

static bool is_set(const json_t *value)
{
	if (json_is_string(value))
		return json_string_length(value) > 0;
	if (json_is_object(value) || json_is_array(value))
		return json_object_size(value) > 0 || json_array_size(value) > 0;
	return value && !json_is_null(value) && !json_is_false(value);
}

static int refuse_keys(const struct entry *entry, const char *const *keys, const char *instead,
		       struct err *err)
{
	for (; *keys; keys++)
		if (is_set(json_object_get(entry->values, *keys)))
			return err_set(err, ERR_INVALID, 0,
				       "%s %s: %s is not supported by this version: %s",
				       entry->kind, entry->name, *keys, instead);
	return 0;
}

/* A copy, or NULL when absent, null or "". */
static int get_text(const struct entry *entry, const char *key, char **ret_text, struct err *err)
{
	const json_t *value = json_object_get(entry->values, key);
	const char *text = json_string_value(value);

	if (value && !json_is_null(value) && !text)
		return err_set(err, ERR_INVALID, 0, "%s %s: %s is not a string (quote it?)",
			       entry->kind, entry->name, key);
	if (text && strlen(text) != json_string_length(value))
		return err_set(err, ERR_INVALID, 0, "%s %s: %s holds a NUL", entry->kind,
			       entry->name, key);
	if (text && *text)
		*ret_text = mem_strdup(text);
	return 0;
}

static int get_path(const struct entry *entry, const char *key, char **ret_path, struct err *err)
{
	CLEANUP(mem_freep) char *path = NULL;

	if (get_text(entry, key, &path, err) < 0)
		return -1;
	if (path && path[0] != '/')
		*ret_path = mem_printf("%s/%s", entry->dir, path);
	else
		*ret_path = TAKE(path);
	return 0;
}

/* A file under key, or base64 text under key-data. */
static int get_pem(const struct entry *entry, const char *key, struct kube_pem *ret_pem,
		   struct err *err)
{
	CLEANUP(mem_freep) char *data_key = mem_printf("%s-data", key);
	CLEANUP(mem_wipe_strp) char *data = NULL;
	size_t len;

	if (get_path(entry, key, &ret_pem->path, err) < 0 ||
	    get_text(entry, data_key, &data, err) < 0)
		return -1;
	if (!data)
		return 0;
	if (ret_pem->path)
		return err_set(err, ERR_INVALID, 0, "%s %s: %s and %s are both set: remove one",
			       entry->kind, entry->name, key, data_key);
	ret_pem->text = enc_unbase64(data, strlen(data), &len, err);
	return ret_pem->text ? 0 : err_wrap(err, "%s %s: %s", entry->kind, entry->name, data_key);
}

static bool has_pem(const struct kube_pem *pem)
{
	return pem->path || pem->text;
}

/* ---- the three kinds of entries ---- */

static int read_cluster(const struct entry *cluster, struct kube_config *config, struct err *err)
{
	static const char *const refused[] = {"proxy-url", NULL};
	struct kube_tls_spec *tls = &config->tls_spec;
	CLEANUP(mem_freep) char *server = NULL;
	const json_t *insecure = json_object_get(cluster->values, "insecure-skip-tls-verify");

	if (refuse_keys(cluster, refused, "set HTTPS_PROXY in the environment", err) < 0 ||
	    get_text(cluster, "server", &server, err) < 0 ||
	    get_text(cluster, "tls-server-name", &tls->server_name, err) < 0 ||
	    get_pem(cluster, "certificate-authority", &tls->ca, err) < 0)
		return -1;
	if (!server)
		return err_set(err, ERR_INVALID, 0, "cluster %s: server is missing", cluster->name);
	config->server = kube_server_url(server, err);
	if (!config->server)
		return err_wrap(err, "cluster %s", cluster->name);
	if (insecure && !json_is_boolean(insecure) && !json_is_null(insecure))
		return err_set(err, ERR_INVALID, 0,
			       "cluster %s: insecure-skip-tls-verify is neither true nor false",
			       cluster->name);
	tls->insecure = json_is_true(insecure);
	if (tls->insecure && has_pem(&tls->ca))
		return err_set(err, ERR_INVALID, 0,
			       "cluster %s: insecure-skip-tls-verify and certificate-authority are "
			       "both set: remove one",
			       cluster->name);
	return 0;
}

static int read_user(const struct entry *user, struct kube_config *config, struct err *err)
{
	static const char *const refused[] = {
		"exec",	      "auth-provider", "username",	    "password", "act-as",
		"act-as-uid", "act-as-groups", "act-as-user-extra", NULL};
	struct kube_tls_spec *tls = &config->tls_spec;

	if (refuse_keys(user, refused, "use token, tokenFile, or client-certificate and client-key",
			err) < 0 ||
	    get_path(user, "tokenFile", &config->token_path, err) < 0 ||
	    get_pem(user, "client-certificate", &tls->cert, err) < 0 ||
	    get_pem(user, "client-key", &tls->key, err) < 0)
		return -1;
	if (has_pem(&tls->cert) != has_pem(&tls->key))
		return err_set(err, ERR_INVALID, 0,
			       "user %s: client-certificate and client-key go together: %s is "
			       "missing",
			       user->name,
			       has_pem(&tls->cert) ? "client-key" : "client-certificate");
	if (!config->token_path && get_text(user, "token", &config->token, err) < 0)
		return -1;
	if (config->token && !kube_is_word(config->token))
		return err_set(err, ERR_INVALID, 0,
			       "user %s: token holds blanks, control or non-ASCII characters",
			       user->name);
	return 0;
}

/* Finds doc[list_key][].name == entry->name and its value under entry->kind. */
static int find_entry(const json_t *doc, const char *list_key, struct entry *entry, struct err *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(doc, list_key), i, item) {
		if (strcmp(jv_str(item, "name"), entry->name) != 0)
			continue;
		entry->values = json_object_get(item, entry->kind);
		return 0;
	}
	return err_set(err, ERR_INVALID, 0, "%s has no entry named %s", list_key, entry->name);
}

static int read_contents(const json_t *doc, const char *context_name, const char *dir,
			 struct kube_config *config, struct err *err)
{
	struct entry context = {.kind = "context", .name = context_name, .dir = dir};
	struct entry cluster = {.kind = "cluster", .dir = dir};
	struct entry user = {.kind = "user", .dir = dir};

	if (!context.name)
		context.name = jv_str(doc, "current-context");
	if (!*context.name)
		return err_set(err, ERR_INVALID, 0,
			       "current-context is not set: set it, or name a context");
	if (find_entry(doc, "contexts", &context, err) < 0)
		return -1;
	cluster.name = jv_str(context.values, "cluster");
	user.name = jv_str(context.values, "user");
	if (get_text(&context, "namespace", &config->namespace, err) < 0 ||
	    find_entry(doc, "clusters", &cluster, err) < 0 ||
	    read_cluster(&cluster, config, err) < 0)
		return -1;
	if (!*user.name) /* as through kubectl proxy */
		return 0;
	return find_entry(doc, "users", &user, err) < 0 ? -1 : read_user(&user, config, err);
}

/* ---- the file ---- */

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? mem_dup(path, (size_t)(slash - path)) : mem_strdup(".");
}

struct kube_config *kube_config_parse(const struct buf *text, const char *context, const char *dir,
				      struct err *err)
{
	CLEANUP(kube_config_freep) struct kube_config *config = mem_zalloc(sizeof(*config));
	CLEANUP(jv_freep) json_t *doc = yml_parse(buf_str(text), text->len, err);

	if (!doc || read_contents(doc, context, dir, config, err) < 0 ||
	    kube_config_complete(config, err) < 0)
		return NULL;
	return TAKE(config);
}

static struct kube_config *read_kubeconfig(const char *path, const char *context, struct err *err)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(KUBE_MAX_KUBECONFIG);
	CLEANUP(mem_freep) char *dir = dir_of(path);
	struct kube_config *config;

	if (kube_file_read(path, &text, err) < 0)
		return NULL;
	config = kube_config_parse(&text, context, dir, err);
	if (!config)
		(void)err_wrap(err, "%s", path);
	return config;
}

static struct kube_config *read_from_environment(const char *context, struct err *err)
{
	const char *listed = getenv("KUBECONFIG");
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	const char *home = getenv("HOME");
	CLEANUP(mem_freep) char *path = mem_printf("%s/.kube/config", home ? home : "");

	if (listed && strchr(listed, ':')) {
		(void)err_set(err, ERR_INVALID, 0,
			      "KUBECONFIG names several files, which is not supported by this "
			      "version: merge them (kubectl config view --flatten)");
		return NULL;
	}
	if (listed && *listed)
		return read_kubeconfig(listed, context, err);
	if (host && *host)
		return kube_config_in_cluster(IN_CLUSTER_DIR, host, port ? port : "", err);
	return read_kubeconfig(path, context, err);
}

struct kube_config *kube_config_load(const char *path, const char *context, struct err *err)
{
	return path ? read_kubeconfig(path, context, err) : read_from_environment(context, err);
}
