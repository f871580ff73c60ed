/* SPDX-License-Identifier: Apache-2.0 */

/* Which resolvers: those of an option, or those of resolv.conf. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "dns/dns_impl.h"

#define ITEM_LEN 64
#define PORT	 53

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:53", cut into
 * pieces in place. ret_port is NULL if there is none. */
static int split(char *item, const char **ret_host, const char **ret_port)
{
	char *colon = strchr(item, ':');
	char *bracket = strchr(item, ']');

	*ret_host = item;
	*ret_port = NULL;
	if (item[0] == '[') {
		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return -1;
		*ret_host = item + 1;
		*ret_port = bracket[1] ? bracket + 2 : NULL;
		*bracket = '\0';
	} else if (colon && !strchr(colon + 1, ':')) {
		*ret_port = colon + 1;
		*colon = '\0';
	}
	return 0;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (!strchr("0123456789", text[0]) || !text[0] || *end || port < 1 || port > UINT16_MAX)
		return -1;
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_server(const char *text, size_t len, struct dns_server *ret_server)
{
	char item[ITEM_LEN];
	const char *host;
	const char *port;
	struct err ignored;

	if (len >= sizeof(item))
		return -1;
	memcpy(item, text, len);
	item[len] = '\0';
	*ret_server = (struct dns_server){0};
	if (split(item, &host, &port) || cidr_parse_addr(host, &ret_server->addr, &ignored))
		return -1;
	return port ? parse_port(port, &ret_server->port) : 0;
}

int dns_servers_parse(const char *text, struct dns_servers *ret_servers, struct err *err)
{
	struct dns_servers servers = {0};

	for (size_t len;; text += len + 1) {
		len = strcspn(text, ",");
		if (servers.len == DNS_MAX_SERVERS)
			return err_set(err, ERR_INVALID, 0, "at most %d DNS servers can be named",
				       DNS_MAX_SERVERS);
		if (parse_server(text, len, &servers.list[servers.len++]))
			return err_set(err, ERR_INVALID, 0,
				       "name DNS servers as 192.0.2.1, 192.0.2.1:53 or "
				       "[2001:db8::1]:53, with commas between");
		if (!text[len])
			break;
	}
	*ret_servers = servers;
	return 0;
}

/* ---- as c-ares has them ---- */

static struct dns_server server_of(const struct ares_addr_port_node *node)
{
	struct dns_server server = {0};

	if (node->family == AF_INET)
		server.addr = cidr_addr_v4(&node->addr.addr4);
	else
		memcpy(&server.addr.ip, &node->addr, sizeof(node->addr.addr6));
	return server;
}

struct ares_addr_port_node dns_server_node(const struct dns_server *server, uint16_t port)
{
	struct ares_addr_port_node node = {.family = AF_INET6};

	node.udp_port = server->port ? server->port : port ? port : PORT;
	node.tcp_port = node.udp_port;
	memcpy(&node.addr.addr6, &server->addr.ip, sizeof(node.addr.addr6));
	if (IN6_IS_ADDR_V4MAPPED(&server->addr.ip)) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, &server->addr.ip.s6_addr[12], sizeof(node.addr.addr4));
	}
	return node;
}

/* ---- resolv.conf ---- */

/* c-ares reads the file; none is 127.0.0.1, as for others. */
static void conf_load(struct dns_conf *conf)
{
	CLEANUP(mem_freep) char *path = mem_strdup(conf->path);
	struct ares_options options = {.resolvconf_path = path};
	struct ares_addr_port_node *nodes = NULL;
	struct dns_servers servers = {0};
	ares_channel channel;

	if (ares_init_options(&channel, &options, ARES_OPT_RESOLVCONF) != ARES_SUCCESS)
		return;
	(void)ares_get_servers_ports(channel, &nodes);
	for (const struct ares_addr_port_node *node = nodes; node && servers.len < DNS_MAX_SERVERS;
	     node = node->next)
		servers.list[servers.len++] = server_of(node);
	ares_free_data(nodes);
	ares_destroy(channel);
	conf->servers = servers;
}

const struct dns_servers *dns_conf_servers(struct dns_conf *conf)
{
	struct stat st = {0};
	int64_t stamp[ARRAY_LEN(conf->stamp)];

	(void)stat(conf->path, &st);
	stamp[0] = st.st_mtim.tv_sec;
	stamp[1] = st.st_mtim.tv_nsec;
	stamp[2] = (int64_t)st.st_ino;
	stamp[3] = st.st_size;
	if (conf->servers.len == 0 || memcmp(stamp, conf->stamp, sizeof(stamp)) != 0) {
		conf_load(conf);
		memcpy(conf->stamp, stamp, sizeof(stamp));
	}
	return &conf->servers;
}
