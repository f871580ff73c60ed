/* SPDX-License-Identifier: Apache-2.0 */

/* The edits: each row is the two documents, a view and a memory, and what becomes of them. */

#include "base/intern.h"
#include "plan/plan_test_scene.h"

/* The nonces that the scene's randomness makes. */
#define N1 "01010101-0101-4101-8202-020202020202"
#define N2 "03030303-0303-4303-8404-040404040404"

#define NEW_CLAIM(nonce, attempt)                                                                  \
	"'claim':{'nonce':'" nonce "','holder':'holder','owner':'uid-1','host':'" HOST             \
	"','timeoutSeconds':20,'attempt':" attempt "}"
#define CLAIMED(nonce)	     "{'owner':'uid-1'," NEW_CLAIM(nonce, "1") "}"
#define RECLAIMED(uncertain) "{'owner':'uid-1'," NEW_CLAIM(N1, "2") uncertain "}"

#define HAND                                                                                       \
	"{'username':'hand','password':'p','subdomain':'hand','fulldomain':'hand.auth.test',"      \
	"'allowfrom':[],'server_url':'" HOST "'}"
#define A_ADOPTED   "{'a.test':{'owner':'uid-1','origin':'adopted','host':'" HOST "'}}"
#define BOTH(entry) "{'a.test':" entry ",'b.test':" entry "}"

/* ---- what a row may say beyond its texts ---- */

static void not_adopted(struct scene *s)
{
	set_secret(s, "{}", NULL);
}

static void refused(struct scene *s)
{
	s->memory.claim = failure(API_REASON_REGISTRATION_DENIED, 1, NOW + 1);
}

static void posting(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_POSTING, "z.test", "n-9");
}

static void posting_elsewhere(struct scene *s)
{
	(void)snprintf(add_work(s, PLAN_WORK_POSTING, "z.test", "n-9")->host, URL_LEN,
		       "https://old.test");
}

static void two_freed_all(struct scene *s)
{
	set_owner(s, "uid-2", 3, 0);
}

static void two_freed_b(struct scene *s)
{
	set_owner(s, "uid-2", 2, 0);
}

/* ---- rows ---- */

struct row {
	const char *name;
	given_fn *given[3];
	const char *domains; /* these as in struct setting */
	const char *spec;
	const char *accounts;
	const char *records;
	const char *want_accounts; /* after; NULL: as before */
	const char *want_records;
	unsigned int uncertain;
	int claims;		/* works CLAIMED */
	bool stored, discarded; /* works[0] */
};

static json_t *after(const struct scene *scene, struct ledger *ledger, const char *key)
{
	struct ledger_value *values;
	size_t len = ledger_write(ledger, &values);
	json_t *doc = NULL;
	size_t i;

	for (i = 0; i < len; i++)
		if (strcmp(values[i].key, key) == 0)
			doc = parse(values[i].data);
	ledger_values_free(values, len);
	for (i = 0; !doc && i < scene->values_len; i++)
		if (strcmp(scene->values[i].key, key) == 0)
			doc = parse(scene->values[i].data);
	return doc;
}

static void check_doc(const char *name, const json_t *is, const char *text)
{
	CLEANUP(jv_freep) json_t *want = parse(text);
	CLEANUP(mem_freep) char *is_text = NULL;
	size_t ignored;

	if (json_equal(is, want))
		return;
	is_text = jv_text(is, &ignored);
	fail_msg("%s: %s", name, is_text);
}

static void check_row(const struct row *row, const struct scene *scene, struct ledger *ledger,
		      const struct plan_edit *edit)
{
	CLEANUP(jv_freep) json_t *accounts = after(scene, ledger, KEY);
	CLEANUP(jv_freep) json_t *own = after(scene, ledger, LEDGER_OWN_KEY);
	const char *want_accounts = row->want_accounts ? row->want_accounts : row->accounts;
	const char *want_records = row->want_records ? row->want_records : row->records;
	const json_t *records = json_object_get(json_object_get(own, "keys"), KEY);
	int claims = 0;
	size_t i;

	check_doc(row->name, accounts, want_accounts ? want_accounts : "{}");
	if (records || want_records)
		check_doc(row->name, records, want_records ? want_records : "{}");
	for (i = 0; i < PLAN_WORKS; i++)
		claims += edit->claimed[i].state == PLAN_WORK_CLAIMED;
	if (claims != row->claims || edit->uncertain != row->uncertain || edit->too_large ||
	    edit->stored[0] != row->stored || edit->discarded[0] != row->discarded)
		fail_msg("%s: %d claims, %u uncertain, %d stored, %d discarded", row->name, claims,
			 edit->uncertain, edit->stored[0], edit->discarded[0]);
}

static void run(const struct row *rows, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		const struct row *row = &rows[i];
		CLEANUP(ledger_freep) struct ledger *ledger = NULL;
		CLEANUP(mem_freep) struct plan_edit *edit = mem_zalloc(sizeof(*edit));
		struct scene scene;

		scene_set(&scene, &(struct setting){row->given, row->domains, row->spec, NULL,
						    row->accounts, row->records});
		ledger = open_ledger(&scene);
		plan_edit(&scene.view, &scene.memory, ledger, edit);
		check_row(row, &scene, ledger, edit);
		scene_done(&scene);
	}
}

static const struct row stores[] = {
	{"stored", ON(in_hand), .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_accounts = "{'a.test':" HAND "}", .want_records = A_OURS, .stored = true},
	{"of an object that is gone", ON(in_hand, gone), .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_accounts = "{'a.test':" HAND "}", .want_records = A_OURS, .stored = true},
	{"by one who does not lead any more", ON(in_hand, not_leading),
	 .records = "{'a.test':" CLAIM("n-1") "}", .want_accounts = "{'a.test':" HAND "}",
	 .want_records = A_OURS, .stored = true},
	{"over another's claim", ON(in_hand), .records = "{'a.test':" CLAIM("n-2") "}",
	 .want_accounts = "{'a.test':" HAND "}", .want_records = A_OURS, .stored = true},
	{"the answer to the store was lost", ON(in_hand), .accounts = "{'a.test':" HAND "}",
	 .records = A_OURS, .stored = true},
	{"another was first", ON(in_hand, not_leading), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_records = "{'a.test':{'owner':'uid-1','uncertain':1}}", .uncertain = 1,
	 .discarded = true},
	{"another was first, and another claims", ON(in_hand, not_leading), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" CLAIM("n-2") "}",
	 .want_records = "{'a.test':{'owner':'uid-1','uncertain':1,'claim':{'nonce':'n-2',"
			 "'holder':'h','owner':'uid-1','host':'" HOST
			 "','timeoutSeconds':20,'attempt':1}}}",
	 .uncertain = 1, .discarded = true},
	{"Shared: to all that it was claimed for", ON(in_hand), .domains = AB, .spec = SHARED,
	 .records = BOTH(CLAIM("n-1")), .want_accounts = BOTH(HAND),
	 .want_records = BOTH(REGISTERED), .stored = true},
	{"Shared: another was first for one", ON(in_hand, not_leading), .domains = AB,
	 .spec = SHARED, .accounts = A_ACCOUNT, .records = BOTH(CLAIM("n-1")),
	 .want_accounts = "{'a.test':" ACCOUNT ",'b.test':" HAND "}",
	 .want_records = "{'a.test':" CLAIM("n-1") ",'b.test':" REGISTERED "}", .stored = true},
	{"and the next is claimed with it", ON(in_hand, one_slot), .domains = AB,
	 .records = "{'a.test':" CLAIM("n-1") "}", .want_accounts = "{'a.test':" HAND "}",
	 .want_records = "{'a.test':" REGISTERED ",'b.test':" CLAIMED(N1) "}", .stored = true,
	 .claims = 1},
	{"another was first, and the next is claimed with it", ON(in_hand), .domains = AB,
	 .accounts = A_ACCOUNT, .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_records = "{'a.test':{'owner':'uid-1','uncertain':1},'b.test':" CLAIMED(N1) "}",
	 .uncertain = 1, .discarded = true, .claims = 1},
	{"the Secret became immutable", ON(in_hand, immutable),
	 .records = "{'a.test':" CLAIM("n-1") "}"},
	{"the Secret became another's", ON(in_hand, not_adopted)},
};

static void test_stores(void **state)
{
	(void)state;
	run(stores, ARRAY_LEN(stores));
}

static const struct row takes[] = {
	{"adopted", .accounts = A_ACCOUNT, .records = "{}", .want_records = A_ADOPTED},
	{"only the owner was missing", .accounts = A_ACCOUNT,
	 .records = "{'a.test':{'origin':'registered','host':'" HOST "'}}", .want_records = A_OURS},
	{"taken with its account", ON(two_freed_all), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") "}", .want_records = A_OURS},
	{"taken, though the account is gone", ON(two_freed_all),
	 .records = "{'a.test':" REGISTERED_OF("uid-2") "}", .want_records = A_OURS},
	{"taken with its claim, which has to expire first", ON(two_freed_all),
	 .records = "{'a.test':" CLAIM_BY("uid-2", "n-1") "}",
	 .want_records = "{'a.test':{'owner':'uid-1','claim':{'nonce':'n-1','holder':'h',"
			 "'owner':'uid-2','host':'" HOST "','timeoutSeconds':20,'attempt':1}}}"},
	{"another has it by now", ON(two_freed_all), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-3") "}"},
	{"not by one who was not proven", ON(two_freed_all, not_proven), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") "}"},
	{"not by one who does not lead", ON(not_leading), .accounts = A_ACCOUNT, .records = "{}"},
	{"not while it is suspended", .spec = ",'suspend':true", .accounts = A_ACCOUNT,
	 .records = "{}"},
	{"not by what is not supported", .spec = ",'suspend':1", .accounts = A_ACCOUNT,
	 .records = "{}"},
	{"shared", .domains = AB, .spec = SHARED, .accounts = A_ACCOUNT, .records = A_OURS,
	 .want_accounts = BOTH(ACCOUNT), .want_records = BOTH(REGISTERED)},
	{"adopted and shared, in any order", .domains = "['b.test','a.test']", .spec = SHARED,
	 .accounts = A_ACCOUNT, .records = "{}", .want_accounts = BOTH(ACCOUNT),
	 .want_records = BOTH("{'owner':'uid-1','origin':'adopted','host':'" HOST "'}")},
	{"shared with a domain taken over", ON(two_freed_b), .domains = AB, .spec = SHARED,
	 .accounts = A_ACCOUNT, .records = "{'a.test':" REGISTERED ",'b.test':{'owner':'uid-2'}}",
	 .want_accounts = BOTH(ACCOUNT), .want_records = BOTH(REGISTERED)},
	{"shared instead of an outcome unknown", ON(expired), .domains = AB, .spec = SHARED,
	 .accounts = A_ACCOUNT, .records = "{'a.test':" REGISTERED ",'b.test':" CLAIM("n-1") "}",
	 .want_accounts = BOTH(ACCOUNT),
	 .want_records = "{'a.test':" REGISTERED ",'b.test':{'owner':'uid-1','origin':"
			 "'registered','host':'" HOST "','uncertain':1}}",
	 .uncertain = 1},
};

static void test_takes(void **state)
{
	(void)state;
	run(takes, ARRAY_LEN(takes));
}

static const struct row claims[] = {
	{"claimed", .want_records = "{'a.test':" CLAIMED(N1) "}", .claims = 1},
	{"in a Secret to be made", ON(absent), .want_records = "{'a.test':" CLAIMED(N1) "}",
	 .claims = 1},
	{"each its own", .domains = AB,
	 .want_records = "{'a.test':" CLAIMED(N1) ",'b.test':" CLAIMED(N2) "}", .claims = 2},
	{"as many as there are slots", ON(one_slot), .domains = AB,
	 .want_records = "{'a.test':" CLAIMED(N1) "}", .claims = 1},
	{"beside those under way", ON(posting), .want_records = "{'a.test':" CLAIMED(N1) "}",
	 .claims = 1},
	{"only where it is needed", .domains = AB, .accounts = A_ACCOUNT, .records = A_OURS,
	 .want_records = "{'a.test':" REGISTERED ",'b.test':" CLAIMED(N1) "}", .claims = 1},
	{"after an outcome unknown", ON(expired), .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_records = "{'a.test':" RECLAIMED(",'uncertain':1") "}", .claims = 1, .uncertain = 1},
	{"after one that surely made none", ON(spent), .records = "{'a.test':" CLAIM("n-1") "}",
	 .want_records = "{'a.test':" RECLAIMED("") "}", .claims = 1},
	{"not before another's expires", .records = "{'a.test':" CLAIM("n-1") "}"},
	{"one for a Shared set", .domains = "['a.test','b.test','c.test']", .spec = SHARED,
	 .want_records =
		 "{'a.test':" CLAIMED(N1) ",'b.test':" CLAIMED(N1) ",'c.test':" CLAIMED(N1) "}",
	 .claims = 1},
	{"Shared, around a domain of others", .domains = "['a.test','b.test','c.test']",
	 .spec = SHARED, .records = "{'b.test':" REGISTERED_OF("uid-2") "}",
	 .want_records = "{'a.test':" CLAIMED(N1) ",'b.test':" REGISTERED_OF(
		 "uid-2") ",'c.test':" CLAIMED(N1) "}",
	 .claims = 1},
	{"not while others run at another host", ON(posting_elsewhere)},
	{"not during a pause", ON(refused)},
	{"not without the host", ON(host_failed)},
	{"not before the proof", ON(not_proven)},
};

static void test_claims(void **state)
{
	(void)state;
	run(claims, ARRAY_LEN(claims));
}

/* ---- what does not fit ---- */

/* So many bytes, and so many JSON values; freed by the caller. */
static char *fill(size_t len, size_t count)
{
	char *filler = mem_zalloc(len);

	if (count)
		memset(filler, ',', count);
	if (count)
		filler[0] = '[';
	return filler;
}

/* Two domains to claim in a Secret that has room for so much more. */
static struct plan_edit *edit_full(const char *spec, size_t room, size_t values_room)
{
	struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	CLEANUP(mem_freep) char *filler = NULL;
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	struct ledger_value values[3];
	size_t count = values_room ? LEDGER_MAX_VALUES - values_room : 0;
	char other[] = "other";
	struct scene scene;
	struct err err;
	size_t len;
	size_t i;

	scene_init(&scene);
	set_object(&scene, AB, spec, VISITED);
	len = LEDGER_MAX_SECRET - room - scene.values[0].len - scene.values[1].len;
	for (i = 0; count && i < ARRAY_LEN(scene.values); i++)
		count -= jv_count(scene.values[i].data, scene.values[i].len);
	count -= count > 0; /* a document where there was none */
	filler = fill(len, count);
	memcpy(values, scene.values, sizeof(scene.values));
	values[2] = (struct ledger_value){.key = other, .data = filler, .len = len};
	ledger = ledger_open(values, 3, &err);
	assert_int_equal(ledger_use(ledger, KEY, &err), 0);
	plan_edit(&scene.view, &scene.memory, ledger, edit);
	scene_done(&scene);
	return edit;
}

static void check_full(const char *spec, size_t room, bool claimed, bool too_large)
{
	CLEANUP(mem_freep) struct plan_edit *edit = edit_full(spec, room, 0);

	assert_int_equal(edit->claimed[0].state, claimed ? PLAN_WORK_CLAIMED : PLAN_WORK_NONE);
	assert_int_equal(edit->claimed[1].state, PLAN_WORK_NONE);
	assert_int_equal(edit->too_large, too_large);
}

static void test_too_large(void **state)
{
	const size_t one = ledger_claim_size("a.test", HOST, 0);
	const size_t allow_from = strlen("10.0.0.0/8") + 3;

	(void)state;
	check_full("", one, true, true);
	check_full("", one - 1, false, true);
	check_full(SHARED, one, true, true);
	check_full(SHARED, one - 1, false, true);
	check_full(SHARED, 3 * one, true, false);
	check_full(",'allowFrom':['10.0.0.0/8']", one + allow_from, true, true);
	check_full(",'allowFrom':['10.0.0.0/8']", one + allow_from - 1, false, true);
}

static void check_values(const char *spec, size_t room, bool claimed, bool too_large)
{
	CLEANUP(mem_freep) struct plan_edit *edit = edit_full(spec, LEDGER_MAX_SECRET / 2, room);

	assert_int_equal(edit->claimed[0].state, claimed ? PLAN_WORK_CLAIMED : PLAN_WORK_NONE);
	assert_int_equal(edit->too_large, too_large);
}

/* What makes the Secret one that is not read. */
static void test_too_many_values(void **state)
{
	const size_t one = LEDGER_CLAIM_VALUES;

	(void)state;
	check_values("", one, true, true);
	check_values("", one - 1, false, true);
	check_values("", 2 * one, true, false);
	check_values(",'allowFrom':['10.0.0.0/8']", one + 1, true, true);
	check_values(",'allowFrom':['10.0.0.0/8']", one, false, true);
}

/* ---- what a tenant blows up ---- */

static char *large_account(void)
{
	CLEANUP(mem_freep) char *junk = mem_zalloc(LEDGER_MAX_SHARED + 1);

	memset(junk, 'x', LEDGER_MAX_SHARED);
	return mem_printf("{'username':'u','password':'p','subdomain':'s','fulldomain':'" FULL
			  "','server_url':'" HOST "','junk':'%s'}",
			  junk);
}

/* It would be copied for each of up to a hundred domains. */
static void test_large_entry_is_not_shared(void **state)
{
	CLEANUP(mem_freep) char *account = large_account();
	CLEANUP(mem_freep) char *accounts = mem_printf("{'a.test':%s}", account);
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, AB, SHARED, VISITED);
	set_secret(&s, accounts, A_OURS);
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.what, PLAN_EDIT_SECRET);
	assert_int_equal(action.claims, 1); /* an account of its own */
	plan_action_done(&action);
	scene_done(&s);
}

static size_t count_entries(const struct scene *s, struct ledger *ledger)
{
	CLEANUP(jv_freep) json_t *doc = after(s, ledger, KEY);

	return json_object_size(doc);
}

/* The domain that the others get the account of has just got it itself. */
static void test_large_account_that_waited_is_not_shared(void **state)
{
	CLEANUP(mem_freep) char *account = large_account();
	CLEANUP(mem_freep)
	char *records = mem_printf("{'a.test':{'owner':'uid-1','origin':'registered','host':'" HOST
				   "','next':%s}}",
				   account);
	CLEANUP(mem_freep) struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, AB, SHARED, VISITED);
	intern_put(s.object->rotate);
	s.object->rotate = intern_get("1");
	set_secret(&s, A_ACCOUNT, records);
	plan_edit(&s.view, &s.memory, s.ledger, edit);
	assert_int_equal(count_entries(&s, s.ledger), 1);
	scene_done(&s);
}

/* Whoever can read a nonce may put it onto any number of domains. */
static void test_account_is_stored_for_as_many_as_a_spec_has(void **state)
{
	CLEANUP(buf_donep) struct buf records = BUF_INIT(1 << 20);
	CLEANUP(mem_freep) struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	struct scene s;
	int i;

	(void)state;
	scene_init(&s);
	(void)buf_adds(&records, "{'a.test':" CLAIM("n-1"));
	for (i = 0; i < 300; i++)
		(void)buf_addf(&records, ",'%d.test':" CLAIM("n-1"), i);
	(void)buf_adds(&records, "}");
	set_secret(&s, "{}", buf_str(&records));
	in_hand(&s);
	plan_edit(&s.view, &s.memory, s.ledger, edit);
	assert_true(edit->stored[0]);
	assert_int_equal(count_entries(&s, s.ledger), API_MAX_DOMAINS + 1);
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_large_entry_is_not_shared),
		cmocka_unit_test(test_large_account_that_waited_is_not_shared),
		cmocka_unit_test(test_account_is_stored_for_as_many_as_a_spec_has),
		cmocka_unit_test(test_too_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
