/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/mono.h"

#define TOKEN_INTERVAL_MS (60 * 1000)	  /* client-go transport/token_source.go */
#define TLS_INTERVAL_MS	  (5 * 60 * 1000) /* client-go transport/ca_rotation.go */

void kube_config_free(struct kube_config *config)
{
	if (!config)
		return;
	free(config->server);
	free(config->namespace);
	mem_wipe_str(config->token);
	free(config->token_path);
	kube_tls_spec_done(&config->tls_spec);
	kube_tls_unref(config->tls);
	free(config);
}

void kube_config_freep(struct kube_config **config)
{
	kube_config_free(*config);
}

const char *kube_config_server(const struct kube_config *config)
{
	return config->server;
}

const char *kube_config_namespace(const struct kube_config *config)
{
	return config->namespace;
}

/* ---- the token ---- */

static int read_token(struct kube_config *config, struct err *err)
{
	char *token = kube_file_word(config->token_path, err);

	if (!token)
		return -1;
	mem_wipe_str(config->token);
	config->token = token;
	return 0;
}

const char *kube_config_token(struct kube_config *config, int64_t now_ms)
{
	struct err ignored; /* the old token may well be good for longer than the file is bad */

	if (config->token_path && now_ms >= config->token_due_ms) {
		(void)read_token(config, &ignored);
		config->token_due_ms = now_ms + TOKEN_INTERVAL_MS;
	}
	return config->token;
}

void kube_config_distrust_token(struct kube_config *config)
{
	config->token_due_ms = INT64_MIN;
}

/* ---- TLS ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_tls(const struct kube_tls *a, const struct kube_tls *b)
{
	return same_text(a->ca, b->ca) && same_text(a->cert, b->cert) && same_text(a->key, b->key);
}

static void reload_tls(struct kube_config *config)
{
	struct err ignored; /* as with the token */
	struct kube_tls *fresh = kube_tls_load(&config->tls_spec, &ignored);
	struct kube_tls *dropped = fresh;

	if (fresh && !same_tls(fresh, config->tls)) {
		dropped = config->tls;
		config->tls = fresh;
	}
	kube_tls_unref(dropped);
}

struct kube_tls *kube_config_tls(struct kube_config *config, int64_t now_ms)
{
	const struct kube_tls_spec *spec = &config->tls_spec;

	if ((spec->ca.path || spec->cert.path || spec->key.path) && now_ms >= config->tls_due_ms) {
		reload_tls(config);
		config->tls_due_ms = now_ms + TLS_INTERVAL_MS;
	}
	return config->tls;
}

int kube_config_complete(struct kube_config *config, struct err *err)
{
	int64_t now_ms = mono_ms();

	if (!config->namespace)
		config->namespace = mem_strdup("default");
	if (config->token_path && read_token(config, err) < 0)
		return -1;
	config->token_due_ms = now_ms + TOKEN_INTERVAL_MS;
	config->tls = kube_tls_load(&config->tls_spec, err);
	config->tls_due_ms = now_ms + TLS_INTERVAL_MS;
	return config->tls ? 0 : -1;
}

/* ---- the server ---- */

static bool is_authority_and_path(const char *text)
{
	if (!*text || strchr("/:", *text))
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("@?#%\\\"<>", *text))
			return false;
	return true;
}

char *kube_server_url(const char *server, struct err *err)
{
	const char *scheme_end = strstr(server, "://");
	const char *rest = scheme_end ? scheme_end + 3 : server;
	bool plain = scheme_end && strncasecmp(server, "http://", 7) == 0;
	bool secure = !scheme_end || strncasecmp(server, "https://", 8) == 0;
	size_t len = strlen(rest);

	if (!(plain || secure) || !is_authority_and_path(rest)) {
		(void)err_set(err, ERR_INVALID, 0, "server is no http(s)://host[:port][/path]");
		return NULL;
	}
	while (rest[len - 1] == '/')
		len--;
	return mem_printf("%s://%.*s", plain ? "http" : "https", (int)len, rest);
}
