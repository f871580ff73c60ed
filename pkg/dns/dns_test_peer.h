/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_TEST_PEER_H
#define DNS_TEST_PEER_H

/*
 * For the tests of this package: DNS servers on 127.0.0.1, .2, ... and one port, UDP and TCP, that
 * answer by a table, and remember each question; and the outcome of a check.
 */

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dns/dns.h"
#include "dns/dns_packet_peer.h"

#define PEERS 3

#define OWNER	 "_acme-challenge.example.test"
#define ACCOUNT	 "d420c923-bbd7-4056-ab64-c3ca54c9b3cf.auth.test"
#define ACCOUNT2 "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.test"
#define DOT	 "."

/* A record; SOA has its minimum as data. */
struct rr {
	const char *owner;
	ns_type type;
	uint32_t ttl;
	const char *data;
};

/* How a question is answered, by the first line of the table that fits. */
struct line {
	const char *name; /* NULL: the end of the table */
	ns_type type;	  /* 0: any */
	ns_rcode rcode;
	struct rr answer[10];
	struct rr authority[2];
	bool lame;	  /* without AA */
	bool silent;	  /* no answer by UDP, */
	bool silent_edns; /* if the question has EDNS, */
	bool silent_tcp;  /* or by TCP */
	bool truncated;	  /* by UDP: TC and nothing else */
	bool no_edns;	  /* FORMERR without OPT to a question with EDNS */
	bool wrong_id;	  /* a forged answer comes first: of another id, */
	bool wrong_name;  /* or to another question */
	size_t cut;	  /* bytes missing at the end */
	size_t pad;	  /* bytes of TXT records more than needed */
	int spoil;	  /* this byte is 0xff */
};

struct world;

struct peer {
	struct world *world;
	const struct line *table;
	struct event *udp;
	struct evconnlistener *tcp;
	int number;
};

struct world {
	struct event_base *base;
	struct peer peers[PEERS];
	int port;
	struct dns *dns;
	struct dns_options options;
	char resolvers[64];
	struct buf log; /* "1 udp CNAME name\n": server, transport, question */
	uint16_t ids[64];
	uint16_t ports[64];
	size_t questions;
	int done;
	struct dns_answer answer;
};

/* ---- answers ---- */

static inline void put_data(struct packet *p, const struct rr *rr)
{
	size_t size = rr->type == ns_t_a ? NS_INADDRSZ : NS_IN6ADDRSZ;

	switch ((int)rr->type) {
	case ns_t_a:
	case ns_t_aaaa:
		assert_int_equal(inet_pton(rr->type == ns_t_a ? AF_INET : AF_INET6, rr->data,
					   p->bytes + p->len),
				 1);
		p->len += size;
		break;
	case ns_t_soa:
		packet_put_name(p, "ns.test");
		packet_put_name(p, "hostmaster.test");
		for (int i = 0; i < 4; i++)
			packet_put32(p, 1);
		packet_put32(p, (uint32_t)strtoul(rr->data, NULL, 10));
		break;
	case ns_t_txt:
	case ns_t_ds:
		p->bytes[p->len++] = (uint8_t)strlen(rr->data);
		memcpy(p->bytes + p->len, rr->data, strlen(rr->data));
		p->len += strlen(rr->data);
		break;
	default:
		packet_put_name(p, rr->data);
	}
}

static inline void put_rr(struct packet *p, const struct rr *rr, size_t counter)
{
	size_t at;

	packet_put_name(p, rr->owner);
	packet_put16(p, rr->type);
	packet_put16(p, ns_c_in);
	packet_put32(p, rr->ttl);
	at = p->len;
	packet_put16(p, 0);
	put_data(p, rr);
	ns_put16((unsigned int)(p->len - at - NS_INT16SZ), p->bytes + at);
	ns_put16(ns_get16(p->bytes + counter) + 1, p->bytes + counter);
}

static inline void build(struct packet *p, const struct line *line, const ns_msg *question,
			 bool truncated)
{
	static const struct rr padding = {"pad.test", ns_t_txt, 1, "padding of some length"};
	ns_rr asked;
	ns_msg msg = *question;

	assert_int_equal(ns_parserr(&msg, ns_s_qd, 0, &asked), 0);
	p->len = 0;
	packet_put16(p, ns_msg_id(*question));
	packet_put16(p, 0x8000U | (line->lame ? 0 : 0x0400U) | (truncated ? 0x0200U : 0) |
				line->rcode);
	packet_put16(p, 1);
	for (int i = 0; i < 3; i++)
		packet_put16(p, 0);
	packet_put_name(p, asked.name);
	packet_put16(p, asked.type);
	packet_put16(p, ns_c_in);
	for (const struct rr *rr = line->answer; rr->owner && !truncated; rr++)
		put_rr(p, rr, 6);
	for (const struct rr *rr = line->authority; rr->owner && !truncated; rr++)
		put_rr(p, rr, 8);
	while (p->len < line->pad && !truncated)
		put_rr(p, &padding, 10);
	p->len -= line->cut;
	if (line->spoil)
		p->bytes[line->spoil] = 0xff;
}

/* ---- servers ---- */

static inline const char *type_name(unsigned int type)
{
	switch (type) {
	case ns_t_a:
		return "A";
	case ns_t_aaaa:
		return "AAAA";
	case ns_t_ns:
		return "NS";
	case ns_t_soa:
		return "SOA";
	case ns_t_ds:
		return "DS";
	case ns_t_cname:
		return "CNAME";
	default:
		return "?";
	}
}

/* The line for the question, which is logged. A name that is not in the table is denied. */
static inline const struct line *look_in_table(struct peer *peer, ns_msg *msg, bool tcp)
{
	static const struct line none = {"?", .rcode = ns_r_nxdomain,
					 .authority = {{".", ns_t_soa, 10, "10"}}};
	const struct line *line = peer->table;
	bool rd = ns_msg_getflag(*msg, ns_f_rd);
	ns_rr asked;

	assert_int_equal(ns_parserr(msg, ns_s_qd, 0, &asked), 0);
	(void)buf_addf(&peer->world->log, "%d %s%s%s %s\n", peer->number, tcp ? "tcp " : "",
		       rd ? "" : "norec ", type_name(asked.type), asked.name);
	for (; line && line->name; line++)
		if (strcasecmp(line->name, asked.name) == 0 &&
		    (!line->type || line->type == asked.type))
			return line;
	return &none;
}

static inline void forge(int fd, const struct packet *p, const struct line *line,
			 const struct sockaddr_in *to)
{
	struct packet *forged = mem_dup(p, sizeof(*p));

	if (line->wrong_id)
		forged->bytes[0] ^= 1;
	else
		forged->bytes[NS_HFIXEDSZ + 1] ^= 3;
	(void)sendto(fd, forged->bytes, forged->len, 0, (const struct sockaddr *)to, sizeof(*to));
	free(forged);
}

static inline void on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct peer *peer = ctx;
	struct world *w = peer->world;
	struct packet *p = mem_zalloc(sizeof(*p));
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t len = recvfrom(fd, p->bytes, 512, 0, (struct sockaddr *)&from, &from_len);
	uint8_t question[512];
	const struct line *line;
	ns_msg msg;
	bool edns;

	(void)what;
	assert_true(len > 0);
	memcpy(question, p->bytes, (size_t)len);
	assert_int_equal(ns_initparse(question, (int)len, &msg), 0);
	if (w->questions < ARRAY_LEN(w->ids)) {
		w->ids[w->questions] = ns_msg_id(msg);
		w->ports[w->questions] = ntohs(from.sin_port);
	}
	w->questions++;
	edns = ns_msg_count(msg, ns_s_ar) > 0;
	line = look_in_table(peer, &msg, false);
	if (!line->silent && !(edns && line->silent_edns)) {
		build(p, line, &msg, line->truncated);
		if (edns && line->no_edns) {
			struct line plain = {.rcode = ns_r_formerr};

			build(p, &plain, &msg, false);
		}
		if (line->wrong_id || line->wrong_name)
			forge(fd, p, line, &from);
		assert_true(sendto(fd, p->bytes, p->len, 0, (struct sockaddr *)&from, from_len) >
			    0);
	}
	free(p);
}

/* One question a connection; the answer is small enough for the socket's buffer. */
static inline void on_tcp_question(evutil_socket_t fd, short what, void *ctx)
{
	struct peer *peer = ctx;
	struct packet *p = mem_zalloc(sizeof(*p));
	uint8_t question[512];
	uint8_t prefix[NS_INT16SZ];
	const struct line *line;
	ns_msg msg;

	(void)what;
	assert_int_equal(recv(fd, prefix, sizeof(prefix), MSG_WAITALL), sizeof(prefix));
	assert_int_equal(recv(fd, question, ns_get16(prefix), MSG_WAITALL), ns_get16(prefix));
	assert_int_equal(ns_initparse(question, (int)ns_get16(prefix), &msg), 0);
	peer->world->questions++;
	line = look_in_table(peer, &msg, true);
	if (!line->silent_tcp) {
		build(p, line, &msg, false);
		ns_put16((unsigned int)p->len, prefix);
		assert_int_equal(send(fd, prefix, sizeof(prefix), 0), sizeof(prefix));
		assert_int_equal(send(fd, p->bytes, p->len, 0), p->len);
	}
	(void)close(fd);
	free(p);
}

static inline void on_tcp(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *from, int from_len, void *ctx)
{
	(void)from;
	(void)from_len;
	assert_int_equal(event_base_once(evconnlistener_get_base(listener), fd, EV_READ,
					 on_tcp_question, ctx, NULL),
			 0);
}

static inline bool peer_open(struct peer *peer, struct world *w, int number)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)number - 1),
				   .sin_port = htons((uint16_t)w->port)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*peer = (struct peer){.world = w, .number = number};
	if (bind(fd, (struct sockaddr *)&addr, len)) {
		(void)close(fd);
		return false;
	}
	peer->udp = event_new(w->base, fd, EV_READ | EV_PERSIST, on_udp, peer);
	(void)event_add(peer->udp, NULL);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	w->port = ntohs(addr.sin_port);
	peer->tcp =
		evconnlistener_new_bind(w->base, on_tcp, peer,
					LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						LEV_OPT_REUSEABLE | LEV_OPT_LEAVE_SOCKETS_BLOCKING,
					-1, (struct sockaddr *)&addr, (int)len);
	return peer->tcp != NULL;
}

static inline void peer_close(struct peer *peer)
{
	if (peer->udp) {
		(void)close(event_get_fd(peer->udp));
		event_free(peer->udp);
	}
	if (peer->tcp)
		evconnlistener_free(peer->tcp);
	*peer = (struct peer){0};
}

/* ---- the world ---- */

static inline int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	bool is_open = false;

	w->base = event_base_new();
	while (!is_open) {
		w->port = 0;
		is_open = true;
		for (int i = 0; i < PEERS; i++)
			peer_close(&w->peers[i]);
		for (int i = 0; i < PEERS && is_open; i++)
			is_open = peer_open(&w->peers[i], w, i + 1);
	}
	buf_init(&w->log, 65536);
	(void)snprintf(w->resolvers, sizeof(w->resolvers), "127.0.0.1:%d", w->port);
	w->options = (struct dns_options){.resolvers = w->resolvers,
					  .port = (uint16_t)w->port,
					  .timeout_ms = 300,
					  .deadline_ms = 5000};
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	dns_free(w->dns);
	for (int i = 0; i < PEERS; i++)
		peer_close(&w->peers[i]);
	event_base_free(w->base);
	buf_done(&w->log);
	free(w);
	return 0;
}

static inline void note(void *ctx, const struct dns_answer *answer)
{
	struct world *w = ctx;

	w->done++;
	w->answer = *answer;
}

static inline void never(void *ctx, const struct dns_answer *answer)
{
	(void)ctx;
	(void)answer;
	fail();
}

static inline void too_late(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("no answer came");
}

static inline void run_until_done(struct world *w, int number)
{
	static const struct timeval limit = {.tv_sec = 10};
	struct event *alarm = evtimer_new(w->base, too_late, NULL);

	assert_int_equal(evtimer_add(alarm, &limit), 0);
	while (w->done < number)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	event_free(alarm);
}

/* The client is made at the first question, so that a test may set options before. */
static inline struct dns *client(struct world *w)
{
	struct err err = {0};

	if (!w->dns)
		w->dns = dns_new(w->base, &w->options, &err);
	assert_non_null(w->dns);
	return w->dns;
}

static inline void ask(struct world *w, const struct dns_check_options *check)
{
	w->done = 0;
	buf_clear(&w->log);
	(void)dns_check(client(w), check, note, w);
	assert_int_equal(w->done, 0);
	run_until_done(w, 1);
}

static inline void ask_owner(struct world *w, const struct line *table)
{
	w->peers[0].table = table;
	ask(w, &(struct dns_check_options){.owner = OWNER, .expected = ACCOUNT});
}

static inline void ask_zone(struct world *w, const struct line *table)
{
	w->peers[0].table = table;
	w->done = 0;
	buf_clear(&w->log);
	(void)dns_check_zone(client(w), "auth.test", note, w);
	assert_int_equal(w->done, 0);
	run_until_done(w, 1);
}

#define assert_answer(w, wanted_verdict, wanted_reason)                                            \
	do {                                                                                       \
		assert_string_equal(cname_reason_text((w)->answer.reason),                         \
				    cname_reason_text(wanted_reason));                             \
		assert_int_equal((w)->answer.verdict, wanted_verdict);                             \
	} while (0)

#define assert_asked(w, text) assert_string_equal(buf_str(&(w)->log), text)

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
