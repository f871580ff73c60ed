/* SPDX-License-Identifier: Apache-2.0 */

/* The zone's own servers, found through the resolver: peer 1 resolves, the others hold the zone. */

#include "dns/dns_test_peer.h"

#define ZONE_IS(zone) .authority = {{zone, ns_t_soa, 300, "60"}}
#define WALK	      "1 CNAME example.test\n1 NS example.test\n"

static const struct dns_check_options check = {
	.owner = OWNER, .expected = ACCOUNT, .authoritative = true};

static const struct line resolver[] = {
	{"example.test", ns_t_cname, ZONE_IS("example.test")},
	{"example.test", ns_t_ns, .answer = {{"example.test", ns_t_ns, 300, "ns1.example.test"}}},
	{"ns1.example.test", ns_t_a, .answer = {{"ns1.example.test", ns_t_a, 300, "127.0.0.2"}}},
	{"ns1.example.test", ns_t_aaaa, ZONE_IS("example.test")},
	/* What a cache has of the owner is old. */
	{OWNER, .rcode = ns_r_nxdomain, ZONE_IS("example.test")},
	{0}};
static const struct line found[] = {{OWNER, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};

static const char *refuse_none(void *ctx, const struct cidr_addr *addr)
{
	(void)ctx;
	(void)addr;
	return NULL;
}

static const char *refuse_second(void *ctx, const struct cidr_addr *addr)
{
	(void)ctx;
	return addr->ip.s6_addr[15] == 2 ? "the second peer" : NULL;
}

static void ask_with(struct world *w, const struct line *table)
{
	w->peers[0].table = table;
	ask(w, &check);
}

static void test_past_the_cache(void **state)
{
	struct world *w = *state;

	w->options.refusal = refuse_none;
	w->peers[1].table = found;
	ask_with(w, resolver);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_int_equal(w->answer.ttl_s, 0);
	assert_asked(w, WALK "1 A ns1.example.test\n1 AAAA ns1.example.test\n"
			     "2 norec CNAME " OWNER "\n");
}

/* The way there takes many questions; not each of them waits for a resolver that is dead. */
static void test_dead_resolver_is_waited_for_once(void **state)
{
	static const struct line silent[] = {
		{"example.test", .silent = true}, {"ns1.example.test", .silent = true}, {0}};
	struct world *w = *state;

	w->options.resolvers = "127.0.0.3,127.0.0.1";
	w->options.timeout_ms = 500;
	w->options.deadline_ms = 1900;
	w->peers[1].table = found;
	w->peers[2].table = silent;
	ask_with(w, resolver);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w,
		     "3 CNAME example.test\n" WALK "1 A ns1.example.test\n1 AAAA ns1.example.test\n"
		     "2 norec CNAME " OWNER "\n");
}

static void test_denials_bind_nobody(void **state)
{
	static const struct line denied[] = {
		{OWNER, .rcode = ns_r_nxdomain, ZONE_IS("example.test")}, {0}};
	struct world *w = *state;

	w->peers[1].table = denied;
	ask_with(w, resolver);
	assert_answer(w, CNAME_MISSING, CNAME_NO_NAME);
	assert_int_equal(w->answer.ttl_s, 0);
}

static void test_only_who_holds_the_zone_counts(void **state)
{
	static const struct line not_its_own[] = {
		{OWNER, .lame = true, .answer = {{OWNER, ns_t_cname, 300, ACCOUNT}}}, {0}};
	static const struct line denied[] = {
		{OWNER, .lame = true, .rcode = ns_r_nxdomain, ZONE_IS("example.test")}, {0}};
	static const struct line empty[] = {{OWNER, .lame = true}, {0}};
	static const struct line delegated[] = {
		{OWNER, .lame = true, .authority = {{OWNER, ns_t_ns, 300, "auth.test"}}}, {0}};
	struct world *w = *state;

	w->peers[1].table = not_its_own;
	ask_with(w, resolver);
	assert_answer(w, CNAME_UNKNOWN, CNAME_LAME);
	w->peers[1].table = denied;
	ask(w, &check);
	assert_answer(w, CNAME_UNKNOWN, CNAME_LAME);
	w->peers[1].table = empty;
	ask(w, &check);
	assert_answer(w, CNAME_UNKNOWN, CNAME_LAME);
	w->peers[1].table = delegated;
	ask(w, &check);
	assert_answer(w, CNAME_UNKNOWN, CNAME_OWN_ZONE);
}

static void test_addresses_are_judged(void **state)
{
	static const struct line two[] = {
		{"example.test", ns_t_cname, ZONE_IS("example.test")},
		{"example.test", ns_t_ns,
		 .answer = {{"example.test", ns_t_ns, 300, "ns1.example.test"},
			    {"other.test", ns_t_ns, 300, "ns3.example.test"},
			    {"example.test", ns_t_ns, 300, "ns2.example.test"}}},
		{"ns1.example.test", ns_t_a,
		 .answer = {{"ns1.example.test", ns_t_a, 300, "127.0.0.2"}}},
		{"ns2.example.test", ns_t_a,
		 .answer = {{"ns2.example.test", ns_t_a, 300, "127.0.0.3"}}},
		{0}};
	struct world *w = *state;

	w->options.refusal = refuse_second;
	w->peers[2].table = found;
	ask_with(w, resolver);
	assert_answer(w, CNAME_UNKNOWN, CNAME_ADDRESS_REFUSED);
	ask_with(w, two);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_asked(w, WALK "1 A ns1.example.test\n1 AAAA ns1.example.test\n"
			     "1 A ns2.example.test\n1 AAAA ns2.example.test\n"
			     "3 norec CNAME " OWNER "\n");
}

/* The zone is above: of a name that is there, of one that is not, and behind a CNAME, which is not
 * followed. */
static void test_zone_is_above(void **state)
{
	static const struct line above[] = {
		{"www.example.test", ns_t_cname,
		 .answer = {{"www.example.test", ns_t_cname, 300, "lb.test"}}},
		{"absent.example.test", .rcode = ns_r_nxdomain, ZONE_IS("example.test")},
		{.name = "empty.example.test"},
		{"example.test", ns_t_cname, ZONE_IS("example.test")},
		{"example.test", ns_t_ns,
		 .answer = {{"example.test", ns_t_ns, 300, "ns1.example.test"}}},
		{"ns1.example.test", ns_t_a,
		 .answer = {{"ns1.example.test", ns_t_a, 300, "127.0.0.2"}}},
		{0}};
	static const char *const names[] = {"www.example.test", "absent.example.test",
					    "empty.example.test"};
	static char owner[64];
	static struct line held[] = {{owner, .answer = {{owner, ns_t_cname, 300, ACCOUNT}}}, {0}};
	struct world *w = *state;

	w->peers[0].table = above;
	w->peers[1].table = held;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(owner, sizeof(owner), "_acme-challenge.%s", names[i]);
		ask(w, &(struct dns_check_options){
			       .owner = owner, .expected = ACCOUNT, .authoritative = true});
		assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
		assert_null(strstr(buf_str(&w->log), "lb.test"));
	}
}

/* Each hop has a zone of its own. */
static void test_chain_through_another_zone(void **state)
{
	static const struct line two_zones[] = {
		{"example.test", ns_t_cname, ZONE_IS("example.test")},
		{"example.test", ns_t_ns,
		 .answer = {{"example.test", ns_t_ns, 300, "ns1.example.test"}}},
		{"ns1.example.test", ns_t_a,
		 .answer = {{"ns1.example.test", ns_t_a, 300, "127.0.0.2"}}},
		{"park.test", ns_t_cname, ZONE_IS("park.test")},
		{"park.test", ns_t_ns, .answer = {{"park.test", ns_t_ns, 300, "ns.park.test"}}},
		{"ns.park.test", ns_t_a, .answer = {{"ns.park.test", ns_t_a, 300, "127.0.0.3"}}},
		{0}};
	static const struct line first[] = {
		{OWNER, .answer = {{OWNER, ns_t_cname, 300, "a.park.test"}}}, {0}};
	static const struct line second[] = {
		{"a.park.test", .answer = {{"a.park.test", ns_t_cname, 300, ACCOUNT}}}, {0}};
	struct world *w = *state;

	w->peers[1].table = first;
	w->peers[2].table = second;
	ask_with(w, two_zones);
	assert_answer(w, CNAME_FOUND, CNAME_NO_REASON);
	assert_non_null(strstr(buf_str(&w->log), "3 norec CNAME a.park.test"));
}

/* Not even when a tenant has them as his domain, or as his servers' names. */
static void test_accounts_are_never_asked_for(void **state)
{
	static const struct line tricky[] = {
		{"auth.test", ns_t_cname, ZONE_IS("auth.test")},
		{"auth.test", ns_t_ns,
		 .answer = {{"auth.test", ns_t_ns, 300, ACCOUNT2},
			    {"auth.test", ns_t_ns, 300, "."},
			    {"auth.test", ns_t_ns, 300, "ns.auth.test"}}},
		{"ns.auth.test", ns_t_a, .answer = {{"ns.auth.test", ns_t_a, 300, "127.0.0.2"}}},
		{0}};
	struct world *w = *state;

	w->peers[0].table = tricky;
	ask(w, &(struct dns_check_options){.owner = "_acme-challenge." ACCOUNT2,
					   .expected = ACCOUNT,
					   .authoritative = true});
	assert_asked(w, "1 CNAME auth.test\n1 NS auth.test\n1 A ns.auth.test\n"
			"1 AAAA ns.auth.test\n2 norec CNAME _acme-challenge." ACCOUNT2 "\n");
}

static void test_ways_that_end(void **state)
{
	static const struct {
		enum cname_reason reason;
		struct line table[4];
	} cases[] = {
		{CNAME_SERVFAIL, {{"example.test", .rcode = ns_r_servfail}}},
		{CNAME_TIMEOUT, {{"example.test", .silent = true}}},
		/* Nobody says which zone it is; there is no such TLD. */
		{CNAME_NO_ZONE, {{.name = "example.test"}, {.name = "test"}, {.name = ""}}},
		{CNAME_NO_ZONE, {{"example.test", .rcode = ns_r_nxdomain, ZONE_IS(".")}}},
		{CNAME_REFUSED,
		 {{"example.test", ns_t_cname, ZONE_IS("example.test")},
		  {"example.test", ns_t_ns, .rcode = ns_r_refused}}},
		{CNAME_NO_SERVERS,
		 {{"example.test", ns_t_cname, ZONE_IS("example.test")},
		  {"example.test", ns_t_ns, ZONE_IS("example.test")}}},
		{CNAME_NO_SERVERS,
		 {{"example.test", ns_t_cname, ZONE_IS("example.test")},
		  {"example.test", ns_t_ns, .answer = {{"example.test", ns_t_ns, 1, "ns.test"}}},
		  {"ns.test", .rcode = ns_r_servfail}}},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask_with(w, cases[i].table);
		assert_answer(w, CNAME_UNKNOWN, cases[i].reason);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_past_the_cache),
		CASE(test_dead_resolver_is_waited_for_once),
		CASE(test_denials_bind_nobody),
		CASE(test_only_who_holds_the_zone_counts),
		CASE(test_addresses_are_judged),
		CASE(test_zone_is_above),
		CASE(test_chain_through_another_zone),
		CASE(test_accounts_are_never_asked_for),
		CASE(test_ways_that_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
