/* SPDX-License-Identifier: Apache-2.0 */

/* The twelve ways in which a check of a CNAME goes wrong. */

#include "dns/dns_test_peer.h"

#define SOA                                                                                        \
	{                                                                                          \
		"example.test", ns_t_soa, 300, "60"                                                \
	}
#define ASKED "1 CNAME " OWNER "\n"

static const struct line found[] = {
	{OWNER, ns_t_cname, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};

/* 1. */
static void test_only_cname_at_the_owner_is_asked(void **state)
{
	static const struct line stale[] = {
		{OWNER, ns_t_cname, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT2}}}, {0}};
	static const struct line absent[] = {{OWNER, .authority = {SOA}}, {0}};
	static const struct line by_name[] = {
		{OWNER, ns_t_cname, .answer = {{OWNER, ns_t_cname, 300, "Bob.auth.test"}}}, {0}};
	struct world *w = *state;

	ask_owner(w, found);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, ASKED);
	ask_owner(w, stale); /* another account, which must not be poisoned either */
	assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
	assert_asked(w, ASKED);
	ask_owner(w, absent);
	assert_answer(w, CNAME_MISSING, CNAME_NO_CNAME);
	assert_asked(w, ASKED);
	w->peers[0].table = by_name; /* of a server that names accounts in its own way */
	ask(w, &(struct dns_check_options){.owner = OWNER, .expected = "alice.auth.test"});
	assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
	assert_asked(w, ASKED);
}

/* 2. */
static void test_names_have_no_case_and_no_dot(void **state)
{
	static const struct line shouted[] = {
		{OWNER, .answer = {{"_ACME-Challenge.EXAMPLE.test", ns_t_cname, 300,
				    "D420C923-BBD7-4056-AB64-C3CA54C9B3CF.Auth.Test"}}},
		{0}};
	static const struct line longer[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT ".example.test"}}}, {0}};
	static const struct line other[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, "Other.Host.Example"}}}, {0}};
	struct world *w = *state;

	ask_owner(w, shouted);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask(w, &(struct dns_check_options){
		       .owner = "_Acme-Challenge.Example.Test.",
		       .expected = "D420C923-bbd7-4056-ab64-c3ca54c9b3cf.AUTH.test."});
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask_owner(w, longer); /* the usual slip in a zone file */
	assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
	assert_string_equal(w->answer.observed, ACCOUNT ".example.test");
	ask_owner(w, other);
	assert_string_equal(w->answer.observed, "other.host.example");
}

/* 3. */
static void test_code_does_not_tell_what_is_in_the_answer(void **state)
{
	static const struct line denied_with_cname[] = {
		{OWNER, .rcode = ns_r_nxdomain, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}},
		 .authority = {{"auth.test", ns_t_soa, 3600, "86400"}}},
		{0}};
	static const struct line empty[] = {{.name = OWNER}, {0}};
	static const struct line denied[] = {{OWNER, .rcode = ns_r_nxdomain, .authority = {SOA}},
					     {0}};
	struct world *w = *state;

	ask_owner(w, denied_with_cname);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask_owner(w, empty);
	assert_answer(w, CNAME_MISSING, CNAME_NO_CNAME);
	ask_owner(w, denied);
	assert_answer(w, CNAME_MISSING, CNAME_NO_NAME);
}

/* 4. */
static void test_chain_may_lead_there(void **state)
{
	static const struct line hops[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, "a.park.test"}}},
		{"a.park.test", .answer = {{"a.park.test", ns_t_cname, 20, "B.park.test"}}},
		{"b.park.test", .answer = {{"b.park.test", ns_t_cname, 300, ACCOUNT}}},
		{0}};
	static const struct line at_once[] = {
		{OWNER, .answer = {{"a.park.test", ns_t_cname, 300, ACCOUNT},
				   {OWNER, ns_t_cname, 300, "a.park.test"}}},
		{0}};
	static const struct line dead_end[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, "a.park.test"}}},
		{"a.park.test", .answer = {{"a.park.test", ns_t_cname, 300, "b.park.test"}}},
		{0}};
	struct world *w = *state;

	ask_owner(w, hops);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_int_equal(w->answer.ttl_s, 20);
	assert_asked(w, ASKED "1 CNAME a.park.test\n1 CNAME b.park.test\n");
	ask_owner(w, at_once);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, ASKED);
	ask_owner(w, dead_end);
	assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
	assert_string_equal(w->answer.observed, "a.park.test");
}

static void test_chain_may_go_round(void **state)
{
	static const struct line to_itself[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, OWNER}}}, {0}};
	static const struct line in_a_circle[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, "a.test"}}},
		{"a.test", .answer = {{"a.test", ns_t_cname, 300, OWNER}}},
		{0}};
	struct world *w = *state;

	ask_owner(w, to_itself);
	assert_answer(w, CNAME_MISMATCH, CNAME_LOOP);
	assert_asked(w, ASKED);
	ask_owner(w, in_a_circle);
	assert_answer(w, CNAME_MISMATCH, CNAME_LOOP);
	assert_string_equal(w->answer.observed, "a.test");
	assert_int_equal(w->questions, 1 + DNS_MAX_HOPS);
}

static void test_chain_may_be_long(void **state)
{
	static struct line line[] = {{OWNER, .answer = {{OWNER, ns_t_cname, 300, "a.test"},
							{"a.test", ns_t_cname, 300, "b.test"},
							{"b.test", ns_t_cname, 300, "c.test"},
							{"c.test", ns_t_cname, 300, "d.test"},
							{"d.test", ns_t_cname, 300, "e.test"},
							{"e.test", ns_t_cname, 300, "f.test"},
							{"f.test", ns_t_cname, 300, "g.test"},
							{"g.test", ns_t_cname, 300, ACCOUNT}}},
				     {0}};
	struct world *w = *state;

	ask_owner(w, line);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	line[0].answer[7].data = "h.test";
	line[0].answer[8] = (struct rr){"h.test", ns_t_cname, 300, ACCOUNT};
	ask_owner(w, line);
	assert_answer(w, CNAME_MISMATCH, CNAME_LOOP);
}

/* 5. */
static void test_wildcard_answers_for_the_owner(void **state)
{
	static const struct line wildcard[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 120, "lb.example.test"}}},
		{"lb.example.test", .authority = {SOA}},
		{0}};
	struct world *w = *state;

	ask_owner(w, wildcard);
	assert_answer(w, CNAME_MISMATCH, CNAME_ELSEWHERE);
	assert_string_equal(w->answer.observed, "lb.example.test");
	assert_int_equal(w->answer.ttl_s, 60); /* of the denial, which is the first to go */
}

/* 6. */
static void test_another_record_is_in_the_way(void **state)
{
	static const struct line other[] = {
		{OWNER, ns_t_txt, .answer = {{OWNER, ns_t_txt, 300, "token"}}},
		{OWNER, .authority = {SOA}},
		{0}};
	struct world *w = *state;

	ask_owner(w, other);
	assert_answer(w, CNAME_MISSING, CNAME_NO_CNAME);
	assert_non_null(strstr(cname_reason_text(w->answer.reason), "TXT"));
}

/* 7. */
static void test_another_view_is_asked_by_name(void **state)
{
	static const struct line refused[] = {{OWNER, .rcode = ns_r_refused}, {0}};
	static const struct line inside[] = {
		{OWNER, .rcode = ns_r_nxdomain, .authority = {{"example.test", ns_t_soa, 5, "5"}}},
		{0}};
	struct world *w = *state;

	ask_owner(w, refused);
	assert_answer(w, CNAME_UNKNOWN, CNAME_REFUSED);
	ask_owner(w, inside);
	assert_answer(w, CNAME_MISSING, CNAME_NO_NAME);
	dns_free(w->dns);
	w->dns = NULL;
	w->options.resolvers = "127.0.0.2";
	w->peers[1].table = found;
	ask_owner(w, inside);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, "2 CNAME " OWNER "\n");
}

/* 8. */
static void test_caches_and_firewalls(void **state)
{
	static const struct line denied[] = {
		{OWNER, .authority = {{"example.test", ns_t_soa, 900, "7200"}}}, {0}};
	static const struct line denied_again[] = {
		{OWNER, .authority = {{"example.test", ns_t_soa, 7200, "1800"}}}, {0}};
	static const struct line blocked[] = {{OWNER, .silent = true}, {0}};
	static const struct line truncated[] = {
		{OWNER, .truncated = true, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
	static const struct line no_edns[] = {
		{OWNER, .no_edns = true, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
	static const struct line lost_edns[] = {
		{OWNER, .silent_edns = true, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
	struct world *w = *state;

	ask_owner(w, denied);
	assert_int_equal(w->answer.ttl_s, 900);
	ask_owner(w, denied_again);
	assert_int_equal(w->answer.ttl_s, 1800);
	ask_owner(w, blocked);
	assert_answer(w, CNAME_UNKNOWN, CNAME_TIMEOUT);
	ask_owner(w, truncated);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, ASKED "1 tcp CNAME " OWNER "\n");
	ask_owner(w, no_edns);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask_owner(w, lost_edns);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
}

/* 9. */
static void test_delegation_instead_of_a_cname(void **state)
{
	static const struct line of_its_own[] = {
		{OWNER, .authority = {{OWNER, ns_t_soa, 300, "60"}}}, {0}};
	static const struct line referral[] = {
		{OWNER, .lame = true, .authority = {{OWNER, ns_t_ns, 300, "auth.test"}}}, {0}};
	struct world *w = *state;

	ask_owner(w, of_its_own);
	assert_answer(w, CNAME_UNKNOWN, CNAME_OWN_ZONE);
	ask_owner(w, referral);
	assert_answer(w, CNAME_UNKNOWN, CNAME_OWN_ZONE);
}

/* 10. */
static void test_zone_of_the_server_is_delegated(void **state)
{
	static const struct line there[] = {
		{"auth.test", ns_t_soa, .answer = {{"auth.test", ns_t_soa, 3600, "86400"}}},
		{"auth.test", .authority = {{"test", ns_t_soa, 300, "60"}}},
		{0}};
	static const struct line there_but_shy[] = {
		{"auth.test", .authority = {{"auth.test", ns_t_soa, 3600, "86400"}}}, {0}};
	static const struct line not_delegated[] = {
		{"auth.test", .authority = {{"test", ns_t_soa, 300, "60"}}}, {0}};
	static const struct line unheard_of[] = {{"auth.test", .rcode = ns_r_nxdomain}, {0}};
	static const struct line silent[] = {{"auth.test", .rcode = ns_r_servfail}, {0}};
	static const struct line empty[] = {{.name = "auth.test"}, {0}};
	struct world *w = *state;

	ask_zone(w, there);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, "1 SOA auth.test\n1 DS auth.test\n");
	ask_zone(w, there_but_shy);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	ask_zone(w, not_delegated);
	assert_answer(w, CNAME_UNDELEGATED, CNAME_NOT_DELEGATED);
	assert_int_equal(w->answer.ttl_s, 60);
	assert_asked(w, "1 SOA auth.test\n");
	ask_zone(w, unheard_of);
	assert_answer(w, CNAME_UNDELEGATED, CNAME_NOT_DELEGATED);
	ask_zone(w, silent);
	assert_answer(w, CNAME_UNKNOWN, CNAME_SERVFAIL);
	ask_zone(w, empty);
	assert_answer(w, CNAME_UNKNOWN, CNAME_LAME);
}

/* Its name comes out of a Secret, where anything may be written. */
static void test_zone_may_have_any_name(void **state)
{
	static const char *const names[] = {"", ".", "test", ACCOUNT2, "a..b", "a b\\", "\xff"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		w->done = 0;
		(void)dns_check_zone(client(w), names[i], note, w);
		run_until_done(w, 1);
	}
	assert_null(strstr(buf_str(&w->log), ACCOUNT2));
}

/* 11. */
static void test_zone_of_the_server_is_not_signed(void **state)
{
	static const struct line with_ds[] = {
		{"auth.test", ns_t_soa, .answer = {{"auth.test", ns_t_soa, 3600, "86400"}}},
		{"auth.test", ns_t_ds, .answer = {{"auth.test", ns_t_ds, 300, "digest"}}},
		{0}};
	static const struct line ds_unknown[] = {
		{"auth.test", ns_t_soa, .answer = {{"auth.test", ns_t_soa, 3600, "86400"}}},
		{"auth.test", ns_t_ds, .rcode = ns_r_notimpl},
		{0}};
	struct world *w = *state;

	ask_zone(w, with_ds);
	assert_answer(w, CNAME_SIGNED, CNAME_HAS_DS);
	ask_zone(w, ds_unknown);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
}

/* 12. */
static void test_flattened_record_hides_the_cname(void **state)
{
	static const struct line proxied[] = {
		{OWNER, .answer = {{OWNER, ns_t_a, 300, "192.0.2.1"}}}, {0}};
	static const struct line flattened[] = {{OWNER, .authority = {SOA}}, {0}};
	struct world *w = *state;

	ask_owner(w, proxied);
	assert_answer(w, CNAME_MISSING, CNAME_NO_CNAME);
	ask_owner(w, flattened);
	assert_answer(w, CNAME_MISSING, CNAME_NO_CNAME);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_only_cname_at_the_owner_is_asked),
		CASE(test_names_have_no_case_and_no_dot),
		CASE(test_code_does_not_tell_what_is_in_the_answer),
		CASE(test_chain_may_lead_there),
		CASE(test_chain_may_go_round),
		CASE(test_chain_may_be_long),
		CASE(test_wildcard_answers_for_the_owner),
		CASE(test_another_record_is_in_the_way),
		CASE(test_another_view_is_asked_by_name),
		CASE(test_caches_and_firewalls),
		CASE(test_delegation_instead_of_a_cname),
		CASE(test_zone_of_the_server_is_delegated),
		CASE(test_zone_may_have_any_name),
		CASE(test_zone_of_the_server_is_not_signed),
		CASE(test_flattened_record_hides_the_cname),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
