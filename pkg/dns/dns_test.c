/* SPDX-License-Identifier: Apache-2.0 */

/* How questions travel: servers, transports, forgeries, deadlines, the line. */

#include <fcntl.h>

#include "dns/dns_test_peer.h"

static const struct line found[] = {{OWNER, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
static const struct line absent[] = {{OWNER, .rcode = ns_r_nxdomain}, {0}};
static const struct line silent[] = {{OWNER, .silent = true}, {0}};
static const struct dns_check_options check = {.owner = OWNER, .expected = ACCOUNT};

static void use_all(struct world *w)
{
	w->options.resolvers = "127.0.0.1,127.0.0.2,127.0.0.3";
}

static void test_options(void **state)
{
	static const char *const good[] = {"192.0.2.1",
					   "192.0.2.1:5353",
					   "2001:db8::1",
					   "[2001:db8::1]",
					   "[2001:db8::1]:65535,192.0.2.1,::1",
					   "::1,::1,::1,::1,::1,::1,::1,::1"};
	static const char *const bad[] = {
		"",
		",",
		"192.0.2.1,",
		"localhost",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:+53",
		"192.0.2.1:53x",
		"192.0.2.1 ",
		"[192.0.2.1",
		"[2001:db8::1]53",
		"[2001:db8::1]:",
		"2001:db8::1:53:",
		"::1,::1,::1,::1,::1,::1,::1,::1,::1",
		"1111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct world *w = *state;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		w->options.resolvers = good[i];
		dns_free(client(w));
		w->dns = NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		w->options.resolvers = bad[i];
		err = (struct err){0};
		if (dns_new(w->base, &w->options, &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_INVALID);
	}
	dns_free(NULL);
	dns_cancel(NULL);
}

static void test_servers_are_asked_in_turn(void **state)
{
	static const struct line bad[] = {{OWNER, .rcode = ns_r_servfail}, {0}};
	struct world *w = *state;

	use_all(w);
	w->peers[0].table = bad;
	w->peers[1].table = silent;
	w->peers[2].table = found;
	ask(w, &check);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, "1 CNAME " OWNER "\n2 CNAME " OWNER "\n3 CNAME " OWNER "\n");
	peer_close(&w->peers[2]);
	ask(w, &check);
	assert_answer(w, CNAME_UNKNOWN, CNAME_UNREACHABLE);
}

static void test_failures(void **state)
{
	static const struct {
		enum cname_reason reason;
		struct line table[2];
	} cases[] = {
		{CNAME_SERVFAIL, {{OWNER, .rcode = ns_r_servfail}}},
		{CNAME_REFUSED, {{OWNER, .rcode = ns_r_refused}}},
		{CNAME_ERROR, {{OWNER, .rcode = ns_r_notimpl}}},
		{CNAME_ERROR, {{OWNER, .rcode = ns_r_formerr}}},
		{CNAME_TIMEOUT, {{OWNER, .silent = true}}},
		{CNAME_UNREACHABLE, {{OWNER, .truncated = true, .silent_tcp = true}}},
		{CNAME_MALFORMED, {{OWNER, .answer = {{OWNER, ns_t_cname, 1, ACCOUNT}}, .cut = 1}}},
		{CNAME_MALFORMED,
		 {{OWNER, .answer = {{OWNER, ns_t_cname, 1, ACCOUNT}}, .spoil = 7}}},
		/* The target's first byte: a pointer to nowhere. */
		{CNAME_MALFORMED,
		 {{OWNER, .answer = {{OWNER, ns_t_cname, 1, ACCOUNT}}, .spoil = 86}}},
		{CNAME_MALFORMED, {{OWNER, .truncated = true, .pad = DNS_MAX_ANSWER + 1}}},
		/* A referral, a denial by another zone, an answer to another question. */
		{CNAME_LAME, {{OWNER, .authority = {{"test", ns_t_ns, 1, "ns.test"}}}}},
		{CNAME_LAME, {{OWNER, .authority = {{"else.test", ns_t_soa, 1, "1"}}}}},
		{CNAME_LAME, {{OWNER, .answer = {{"else.test", ns_t_cname, 1, ACCOUNT}}}}},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask_owner(w, cases[i].table);
		assert_answer(w, CNAME_UNKNOWN, cases[i].reason);
		assert_string_equal(w->answer.observed, "");
		assert_int_equal(w->answer.ttl_s, 0);
	}
}

/* c-ares asks nobody for it (RFC 7686). */
static void test_onion(void **state)
{
	struct world *w = *state;

	ask(w,
	    &(struct dns_check_options){.owner = "_acme-challenge.a.onion", .expected = ACCOUNT});
	assert_answer(w, CNAME_UNKNOWN, CNAME_ERROR);
	assert_asked(w, "");
}

/* A CNAME to a name that no host has: it leads elsewhere, and nothing of it is passed on. */
static void test_odd_targets(void **state)
{
	static const char *const odd[] = {".", "a\\032b.test", "\\200\\201.test", "x\\.y.test"};
	static struct line table[] = {{OWNER, .answer = {{OWNER, ns_t_cname, 1, NULL}}}, {0}};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		table[0].answer[0].data = odd[i];
		ask_owner(w, table);
		assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
		assert_string_equal(w->answer.observed, "");
		assert_asked(w, "1 CNAME " OWNER "\n");
	}
	table[0].answer[0].data = "_under.score.test";
	ask_owner(w, table);
	assert_string_equal(w->answer.observed, "_under.score.test");
}

static void test_large_answers_come_by_tcp(void **state)
{
	static const struct line large[] = {{OWNER, .truncated = true,
					     .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}},
					     .pad = 8000},
					    {0}};
	struct world *w = *state;

	ask_owner(w, large);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
}

static void test_forged_answers_are_passed_over(void **state)
{
	static const struct line wrong_id[] = {
		{OWNER, .wrong_id = true, .answer = {{OWNER, ns_t_cname, 1, ACCOUNT}}}, {0}};
	static const struct line wrong_name[] = {
		{OWNER, .wrong_name = true, .answer = {{OWNER, ns_t_cname, 1, ACCOUNT}}}, {0}};
	struct world *w = *state;

	ask_owner(w, wrong_id);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask_owner(w, wrong_name);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_int_equal(w->questions, 2);
}

static void test_ids_and_ports_are_fresh(void **state)
{
	struct world *w = *state;
	int ids = 0;
	int ports = 0;

	w->peers[0].table = found;
	for (size_t i = 0; i < ARRAY_LEN(w->ids); i++)
		(void)dns_check(client(w), &check, note, w);
	run_until_done(w, ARRAY_LEN(w->ids));
	for (size_t i = 1; i < ARRAY_LEN(w->ids); i++) {
		ids += w->ids[i] == w->ids[i - 1];
		ports += w->ports[i] == w->ports[i - 1];
	}
	assert_true(ids < 3 && ports < 3); /* by chance one in 65,536, in 28,232 */
}

static void test_second_answer_by_tcp(void **state)
{
	static const struct line udp_lies[] = {
		{OWNER, .silent = true, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
	struct world *w = *state;

	w->peers[0].table = udp_lies;
	ask(w, &(struct dns_check_options){.owner = OWNER, .expected = ACCOUNT, .tcp = true});
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, "1 tcp CNAME " OWNER "\n");
}

/* Whatever servers do, the check ends, and says what was seen last. */
static void test_deadline(void **state)
{
	static const struct line bad[] = {{OWNER, .rcode = ns_r_servfail}, {0}};
	struct world *w = *state;

	w->options.timeout_ms = 5000;
	w->options.deadline_ms = 100;
	ask_owner(w, silent);
	assert_answer(w, CNAME_UNKNOWN, CNAME_TIMEOUT);
	dns_free(w->dns);
	w->dns = NULL;
	w->options.resolvers = "127.0.0.1,127.0.0.2";
	w->peers[1].table = silent;
	ask_owner(w, bad);
	assert_answer(w, CNAME_UNKNOWN, CNAME_SERVFAIL);
}

static void test_line(void **state)
{
	struct world *w = *state;
	struct dns_call *first;

	w->options.slots = 2;
	w->options.timeout_ms = 500;
	w->peers[0].table = silent;
	first = dns_check(client(w), &check, never, NULL);
	(void)dns_check(w->dns, &check, note, w);
	for (int i = 0; i < 5; i++)
		(void)dns_check(w->dns, &check, note, w);
	(void)event_base_loop(w->base, EVLOOP_ONCE);
	assert_true(w->questions <= 2);
	w->peers[0].table = found;
	dns_cancel(first); /* makes room */
	run_until_done(w, 5);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	run_until_done(w, 6);
}

static void ask_again(void *ctx, const struct dns_answer *answer)
{
	struct world *w = ctx;

	note(w, answer);
	(void)dns_check(w->dns, &check, note, w);
}

static void free_it(void *ctx, const struct dns_answer *answer)
{
	struct world *w = ctx;

	note(w, answer);
	dns_free(w->dns);
	w->dns = NULL;
}

static void test_handlers_may_ask_and_free(void **state)
{
	struct world *w = *state;

	w->options.slots = 1;
	w->peers[0].table = found;
	(void)dns_check(client(w), &check, ask_again, w);
	run_until_done(w, 2);
	(void)dns_check(w->dns, &check, free_it, w);
	(void)dns_check(w->dns, &check, never, NULL);
	run_until_done(w, 3);
}

static struct dns_call *others[2];

static void cancel_others(void *ctx, const struct dns_answer *answer)
{
	note(ctx, answer);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		dns_cancel(others[i]);
}

/* One that is under way and one in the line; the line goes on. */
static void test_handlers_may_cancel(void **state)
{
	static const struct line slow[] = {{OWNER, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}},
					   {"slow.test", .silent = true},
					   {0}};
	struct world *w = *state;

	w->options.slots = 2;
	w->peers[0].table = slow;
	others[0] = dns_check(
		client(w), &(struct dns_check_options){.owner = "slow.test", .expected = ACCOUNT},
		never, NULL);
	(void)dns_check(w->dns, &check, cancel_others, w);
	others[1] = dns_check(w->dns, &check, never, NULL);
	(void)dns_check(w->dns, &check, note, w);
	run_until_done(w, 2);
}

/* Ten thousand names take no more sockets than a few, and their turn. */
static void test_ten_thousand_names(void **state)
{
	struct world *w = *state;
	int fd;

	w->options.slots = 8;
	w->options.timeout_ms = 5000;
	w->options.deadline_ms = 20000;
	w->peers[0].table = found;
	for (int i = 0; i < 10000; i++)
		(void)dns_check(client(w), &check, note, w);
	fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
	assert_in_range(fd, 0, 64);
	(void)close(fd);
	run_until_done(w, 2000);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
}

static void write_conf(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_resolv_conf_is_read_again(void **state)
{
	struct world *w = *state;
	char path[] = "/tmp/dns_test_XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	w->options.resolvers = NULL;
	w->options.resolv_conf = path;
	w->peers[1].table = found;
	w->peers[2].table = absent;
	write_conf(path, "search example.test\nnameserver 127.0.0.2\noptions ndots:5\n");
	ask(w, &check);
	assert_asked(w, "2 CNAME " OWNER "\n");
	w->peers[1].table = silent;
	w->done = 0;
	(void)dns_check(w->dns, &check, note, w); /* ends with what it began with */
	write_conf(path, "nameserver 127.0.0.3\n");
	run_until_done(w, 1);
	assert_answer(w, CNAME_UNKNOWN, CNAME_TIMEOUT);
	ask(w, &check);
	assert_answer(w, CNAME_MISSING, CNAME_NO_NAME);
	assert_asked(w, "3 CNAME " OWNER "\n");
	assert_int_equal(unlink(path), 0);
	ask_owner(w, found); /* without one it is 127.0.0.1 */
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
}

static void test_defaults(void **state)
{
	struct world *w = *state;

	w->options = (struct dns_options){0};
	dns_cancel(dns_check(client(w), &check, never, NULL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_options),
		CASE(test_servers_are_asked_in_turn),
		CASE(test_failures),
		CASE(test_onion),
		CASE(test_odd_targets),
		CASE(test_large_answers_come_by_tcp),
		CASE(test_forged_answers_are_passed_over),
		CASE(test_ids_and_ports_are_fresh),
		CASE(test_second_answer_by_tcp),
		CASE(test_deadline),
		CASE(test_line),
		CASE(test_handlers_may_ask_and_free),
		CASE(test_handlers_may_cancel),
		CASE(test_ten_thousand_names),
		CASE(test_resolv_conf_is_read_again),
		CASE(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
