/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <string.h>

#include "base/mem.h"

/* The kubelet gives an IPv6 address without the brackets that a URL needs. */
static char *cluster_url(const char *host, const char *port, struct err *err)
{
	bool bare_ipv6 = strchr(host, ':') && host[0] != '[';
	CLEANUP(mem_freep)
	char *url = mem_printf("https://%s%s%s:%s", bare_ipv6 ? "[" : "", host,
			       bare_ipv6 ? "]" : "", port);

	if (*host && *port && !port[strspn(port, "0123456789")])
		return kube_server_url(url, err);
	(void)err_set(err, ERR_INVALID, 0,
		      "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name no server");
	return NULL;
}

struct kube_config *kube_config_in_cluster(const char *dir, const char *host, const char *port,
					   struct err *err)
{
	CLEANUP(kube_config_freep) struct kube_config *config = mem_zalloc(sizeof(*config));
	CLEANUP(mem_freep) char *namespace_path = mem_printf("%s/namespace", dir);
	struct err ignored; /* not every projection has a namespace */

	config->server = cluster_url(host, port, err);
	config->token_path = mem_printf("%s/token", dir);
	config->tls_spec.ca.path = mem_printf("%s/ca.crt", dir);
	config->namespace = kube_file_word(namespace_path, &ignored);
	if (!config->server || kube_config_complete(config, err) < 0)
		return NULL;
	return TAKE(config);
}
