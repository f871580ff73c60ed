/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_DNS_PEER_H
#define CONTROLLER_DNS_PEER_H

/*
 * For tests: a resolver on 127.0.0.1, by UDP. It knows CNAMEs by owner, and the zone
 * "auth.example.org"; what else it is asked for does not exist. It may keep silent about names that
 * end in a text.
 */

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "controller/controller_test_world.h"
#include "dns/dns_packet_peer.h"

#define RESOLVER_ZONE "auth.example.org"

struct resolver {
	int fd;
	struct event *event;
	char address[32];
	json_t *cnames; /* owner: target */
	json_t *asked;	/* owner: how often, for type CNAME */
	bool undelegated;
	const char *silent_about; /* NULL: answers all */
};

/* Owner, type, class, TTL; returns where the length of what follows goes. */
static inline size_t resolver_put_head(struct packet *p, const char *owner, ns_type type)
{
	packet_put_name(p, owner);
	packet_put16(p, type);
	packet_put16(p, ns_c_in);
	packet_put32(p, 1);
	packet_put16(p, 0);
	return p->len;
}

static inline void resolver_put_length(struct packet *p, size_t at)
{
	ns_put16((unsigned int)(p->len - at), p->bytes + at - NS_INT16SZ);
}

static inline void resolver_put_cname(struct packet *p, const char *owner, const char *target)
{
	size_t at = resolver_put_head(p, owner, ns_t_cname);

	packet_put_name(p, target);
	resolver_put_length(p, at);
	ns_put16(1, p->bytes + 6);
}

/* In the answer, or where something is denied. */
static inline void resolver_put_soa(struct packet *p, const char *zone, size_t counter)
{
	size_t at = resolver_put_head(p, zone, ns_t_soa);

	packet_put_name(p, "ns.example.org");
	packet_put_name(p, "hostmaster.example.org");
	for (int i = 0; i < 5; i++)
		packet_put32(p, 1);
	resolver_put_length(p, at);
	ns_put16(1, p->bytes + counter);
}

static inline void resolver_fill(struct resolver *resolver, const ns_rr *asked, struct packet *p)
{
	const char *owner = ns_rr_name(*asked);
	const char *target = json_string_value(json_object_get(resolver->cnames, owner));
	bool zone = !resolver->undelegated && strcmp(owner, RESOLVER_ZONE) == 0;

	if (ns_rr_type(*asked) == ns_t_cname && target) {
		resolver_put_cname(p, owner, target);
	} else if (ns_rr_type(*asked) == ns_t_soa && zone) {
		resolver_put_soa(p, owner, 6);
	} else {
		p->bytes[3] = zone ? ns_r_noerror : ns_r_nxdomain;
		resolver_put_soa(p, zone ? owner : "example.org", 8);
	}
}

static inline bool resolver_is_silent(const struct resolver *resolver, const char *owner)
{
	const char *end = resolver->silent_about;
	size_t len = strlen(owner);

	return end && len >= strlen(end) && strcmp(owner + len - strlen(end), end) == 0;
}

static inline int resolver_asked(const struct resolver *resolver, const char *owner)
{
	return (int)json_integer_value(json_object_get(resolver->asked, owner));
}

static inline void resolver_on_question(evutil_socket_t fd, short what, void *ctx)
{
	struct resolver *resolver = ctx;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct packet p;
	uint8_t question[512];
	ns_msg msg;
	ns_rr asked;
	ssize_t len =
		recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &from_len);

	(void)what;
	assert_true(len > 0);
	assert_int_equal(ns_initparse(question, (int)len, &msg), 0);
	assert_int_equal(ns_parserr(&msg, ns_s_qd, 0, &asked), 0);
	if (ns_rr_type(asked) == ns_t_cname)
		json_object_set_new(resolver->asked, ns_rr_name(asked),
				    json_integer(resolver_asked(resolver, ns_rr_name(asked)) + 1));
	if (resolver_is_silent(resolver, ns_rr_name(asked)))
		return;
	p = (struct packet){.len = 0};
	packet_put16(&p, ns_msg_id(msg));
	p.bytes[2] = 0x81; /* QR, RD */
	p.bytes[3] = ns_r_noerror;
	p.bytes[5] = 1;
	p.len = NS_HFIXEDSZ;
	packet_put_name(&p, ns_rr_name(asked));
	packet_put16(&p, ns_rr_type(asked));
	packet_put16(&p, ns_c_in);
	resolver_fill(resolver, &asked, &p);
	assert_int_equal(sendto(fd, p.bytes, p.len, 0, (struct sockaddr *)&from, from_len), p.len);
}

static inline void resolver_start(struct resolver *resolver, struct world *w)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t len = sizeof(name);

	*resolver = (struct resolver){.cnames = json_object(), .asked = json_object()};
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	resolver->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(resolver->fd >= 0);
	assert_int_equal(bind(resolver->fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(getsockname(resolver->fd, (struct sockaddr *)&name, &len), 0);
	(void)snprintf(resolver->address, sizeof(resolver->address), "127.0.0.1:%d",
		       ntohs(name.sin_port));
	resolver->event = event_new(w->base, resolver->fd, EV_READ | EV_PERSIST,
				    resolver_on_question, resolver);
	assert_int_equal(event_add(resolver->event, NULL), 0);
	w->options.dns_resolvers = resolver->address;
}

/* Before the world is torn down. */
static inline void resolver_stop(struct resolver *resolver)
{
	event_free(resolver->event);
	assert_int_equal(close(resolver->fd), 0);
	json_decref(resolver->cnames);
	json_decref(resolver->asked);
}

#endif
