/* SPDX-License-Identifier: Apache-2.0 */

/* Names whose addresses the tenant's own DNS server chooses: what is judged is what is used. */

#include <event2/dns.h>
#include <event2/dns_struct.h>

#include "controller/controller_test_world.h"

#define NAME	     "rebind.test"
#define METADATA     "169.254.169.254"
#define MOST_ANSWERS 4
#define MOST_ADDRS   3
#define TTL_S	     0

/* To one question after another; the last one stays. */
struct answer {
	const char *v4[MOST_ADDRS];
	const char *v6;
};

struct dns {
	struct evdns_server_port *port;
	int fd;
	char servers[32];
	struct answer answers[MOST_ANSWERS];
	size_t len;
	int asked; /* for IPv4 addresses */
};

static const struct answer *answer_of(const struct dns *dns, int number)
{
	size_t i = number < 1 ? 0 : (size_t)number - 1;

	return &dns->answers[i < dns->len ? i : dns->len - 1];
}

static void add_v4(struct evdns_server_request *req, const char *name, const struct answer *answer)
{
	struct in_addr addr;

	for (size_t i = 0; i < MOST_ADDRS && answer->v4[i]; i++) {
		assert_int_equal(inet_pton(AF_INET, answer->v4[i], &addr), 1);
		assert_int_equal(evdns_server_request_add_a_reply(req, name, 1, &addr, TTL_S), 0);
	}
}

static void add_v6(struct evdns_server_request *req, const char *name, const struct answer *answer)
{
	struct in6_addr addr;

	if (!answer->v6)
		return;
	assert_int_equal(inet_pton(AF_INET6, answer->v6, &addr), 1);
	assert_int_equal(evdns_server_request_add_aaaa_reply(req, name, 1, &addr, TTL_S), 0);
}

static void on_question(struct evdns_server_request *req, void *ctx)
{
	struct dns *dns = ctx;
	const struct evdns_server_question *question = req->questions[0];
	int status = DNS_ERR_NONE;

	if (strcmp(question->name, NAME) != 0)
		status = DNS_ERR_NOTEXIST;
	else if (question->type == EVDNS_TYPE_A)
		add_v4(req, NAME, answer_of(dns, ++dns->asked));
	else
		add_v6(req, NAME, answer_of(dns, dns->asked));
	assert_int_equal(evdns_server_request_respond(req, status), 0);
}

/* Starts the operator with a DNS server that gives these answers. */
static void given_answers(struct dns *dns, struct world *w, const struct answer *answers,
			  size_t len)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t addr_len = sizeof(addr);

	*dns = (struct dns){.len = len};
	memcpy(dns->answers, answers, len * sizeof(*answers));
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(dns->fd, (struct sockaddr *)&addr, addr_len), 0);
	assert_int_equal(getsockname(dns->fd, (struct sockaddr *)&addr, &addr_len), 0);
	dns->port = evdns_add_server_port_with_base(w->base, dns->fd, 0, on_question, dns);
	assert_non_null(dns->port);
	(void)snprintf(dns->servers, sizeof(dns->servers), "127.0.0.1:%d", ntohs(addr.sin_port));
	w->options.dns_servers = dns->servers;
	world_start(w);
}

static void end_answers(struct dns *dns)
{
	evdns_close_server_port(dns->port);
	(void)close(dns->fd);
}

static void given_at_name(struct world *w, const char *name, const char *domains)
{
	CLEANUP(mem_freep) char *host = mem_printf("http://" NAME ":%d", w->peer.acme_port);

	given_at(w, name, name, domains, host);
}

/* A good address for the judge, the metadata service for whoever asks again. */
static void test_what_was_judged_is_what_is_used(void **state)
{
	static const struct answer answers[] = {{.v4 = {"127.0.0.2"}}, {.v4 = {METADATA}}};
	struct world *w = *state;
	struct dns dns;

	given_answers(&dns, w, answers, ARRAY_LEN(answers));
	given_at_name(w, "a", "[\"a.org\", \"b.org\", \"c.org\", \"d.org\", \"e.org\", \"f.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 6);
	assert_int_equal(dns.asked, 1);
	/* Nothing is remembered of a host that nobody uses. */
	peer_delete_registration(&w->peer, "a");
	given(w, "other", "other", "[\"x.org\"]");
	UNTIL(w, is_ready(w, "other"));
	given_at_name(w, "b", "[\"a.org\"]");
	UNTIL(w, has_reason(w, "b", "Stalled", "HostAddressRefused"));
	assert_int_equal(dns.asked, 2);
	assert_int_equal(w->peer.posts, 7);
	assert_null(peer_secret(&w->peer, "b"));
	end_answers(&dns);
}

static void test_of_several_addresses_only_the_good_ones_are_used(void **state)
{
	static const struct answer answers[] = {
		{.v4 = {METADATA, "127.0.0.2", "127.0.0.3"}, .v6 = "64:ff9b::a9fe:a9fe"}};
	struct world *w = *state;
	struct dns dns;

	given_answers(&dns, w, answers, ARRAY_LEN(answers));
	given_at_name(w, "a", "[\"a.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	end_answers(&dns);
}

static void test_addresses_in_disguise(void **state)
{
	static const struct answer answers[] = {{.v6 = "::ffff:169.254.169.254"},
						{.v6 = "64:ff9b::a9fe:a9fe"},
						{.v6 = "2002:a9fe:a9fe::"},
						{.v4 = {"0.0.0.0", "127.0.0.1"}, .v6 = "fe80::1"}};
	struct world *w = *state;
	struct dns dns;

	given_answers(&dns, w, answers, ARRAY_LEN(answers));
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);
		/* A host of its own each, so that each is looked up. */
		CLEANUP(mem_freep) char *host = mem_printf("http://" NAME ":%zu", 1 + i);

		given_at(w, name, name, "[\"a.org\"]", host);
		UNTIL(w, has_reason(w, name, "Stalled", "HostAddressRefused"));
		assert_int_equal(dns.asked, i + 1);
	}
	assert_int_equal(w->peer.posts, 0);
	end_answers(&dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_was_judged_is_what_is_used),
		CASE(test_of_several_addresses_only_the_good_ones_are_used),
		CASE(test_addresses_in_disguise),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
