/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger_test_docs.h"

#include <stdio.h>

/*
 * Random edits against a model that is nothing but a table: what the ledger says of each domain
 * must be what the model says, before and after a round through the Secret, and no value may ever
 * be larger than the bound said.
 */

#define DOMAINS 5
#define OWNERS	3
#define NONCES	4
#define LONG_HOST                                                                                  \
	"https://a-host-with-a-long-name.example.com:8443/and/quite/some/path/to/the/api/behind/"  \
	"it"
#define LABEL "a123456789b123456789c123456789d123456789e123456789f123456789g1"

static const char *const hosts[] = {"https://a", LONG_HOST};

static const char *const owner_names[OWNERS] = {"alice", "bob", "carol"};

static const char *const domains[DOMAINS] = {
	"a.example", "b.example", "c", "d.example.com", LABEL "." LABEL "." LABEL "." LABEL ".aa",
};

struct row {
	bool present;
	bool recorded;
	enum ledger_origin origin;
	int host; /* -1: none */
	int owner;
	int64_t uncertain;
	int nonce;
	int64_t attempt;
};

struct world {
	uint64_t seed;
	struct docs docs;
	struct ledger *ledger;
	struct row rows[DOMAINS];
};

static int pick(struct world *w, int n)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (int)(w->seed % (uint64_t)n);
}

static const char *nonce_text(int nonce, char text[37])
{
	text[0] = '\0';
	if (nonce >= 0)
		(void)snprintf(text, 37, "00000000-0000-4000-8000-%012d", nonce);
	return text;
}

static const char *uid_text(int owner, char text[37])
{
	text[0] = '\0';
	if (owner >= 0)
		(void)snprintf(text, 37, "11111111-0000-4000-8000-%012d", owner);
	return text;
}

static struct ledger_owner owner_of(int owner, char uid[37])
{
	return (struct ledger_owner){.uid = uid_text(owner, uid), .name = owner_names[owner]};
}

/* ---- edits, each to both ---- */

static void do_own(struct world *w, int d)
{
	int owner = pick(w, OWNERS);
	char uid[37];
	const struct ledger_owner self = owner_of(owner, uid);

	ledger_set_owner(w->ledger, KEY, domains[d], &self);
	w->rows[d].recorded = true;
	w->rows[d].owner = owner;
}

static void do_adopt(struct world *w, int d)
{
	int host = pick(w, 2);

	ledger_adopt(w->ledger, KEY, domains[d], hosts[host]);
	w->rows[d].recorded = true;
	w->rows[d].origin = LEDGER_ADOPTED;
	w->rows[d].host = host;
}

static void do_claim(struct world *w, int d)
{
	struct row *row = &w->rows[d];
	int host = pick(w, 2);
	char uid[37];
	char nonce[37];
	struct ledger_owner self;
	struct ledger_claim claim = {.holder = "22222222-0000-4000-8000-000000000000",
				     .host = hosts[host],
				     .timeout_s = 20,
				     .after_uncertain = pick(w, 2)};
	size_t before = ledger_size_bound(w->ledger);
	size_t values = ledger_values_bound(w->ledger);

	row->recorded = true;
	row->owner = pick(w, OWNERS);
	row->nonce = pick(w, NONCES);
	row->uncertain += claim.after_uncertain;
	row->attempt++;
	self = owner_of(row->owner, uid);
	claim.nonce = nonce_text(row->nonce, nonce);
	ledger_claim(w->ledger, KEY, domains[d], &self, &claim);
	assert_true(ledger_size_bound(w->ledger) - before <=
		    ledger_claim_size(domains[d], hosts[host], 0));
	assert_true(ledger_values_bound(w->ledger) - values <= LEDGER_CLAIM_VALUES);
}

static void stored(struct row *row, enum ledger_origin origin, int host)
{
	row->present = true;
	row->recorded = true;
	row->origin = origin;
	row->host = host;
	row->nonce = -1;
	row->attempt = 0;
}

static void do_store(struct world *w, int d)
{
	const struct acmedns_account account = an_account();
	int host = pick(w, 2);

	ledger_store(w->ledger, KEY, domains[d], hosts[host], &account);
	stored(&w->rows[d], LEDGER_REGISTERED, host);
}

static void do_share(struct world *w, int d)
{
	int from = pick(w, DOMAINS);
	const struct row *source = &w->rows[from];

	if (!source->present || source->origin == LEDGER_NONE)
		return;
	ledger_share(w->ledger, KEY, domains[from], domains[d]);
	stored(&w->rows[d], source->origin, source->host);
}

static void do_discard(struct world *w, int d)
{
	struct row *row = &w->rows[d];
	int nonce = pick(w, NONCES);
	char text[37];

	ledger_discard(w->ledger, KEY, domains[d], nonce_text(nonce, text));
	row->recorded = true;
	row->uncertain++;
	if (row->nonce == nonce) {
		row->nonce = -1;
		row->attempt = 0;
	}
}

static void edit(struct world *w)
{
	static void (*const edits[])(struct world *, int) = {do_own,   do_adopt, do_claim,
							     do_store, do_share, do_discard};

	edits[pick(w, ARRAY_LEN(edits))](w, pick(w, DOMAINS));
}

/* ---- what must hold ---- */

static void check_row(const struct world *w, int d)
{
	const struct row *row = &w->rows[d];
	struct ledger_entry e;
	char text[37];

	ledger_look(w->ledger, KEY, domains[d], &e);
	assert_int_equal(e.present, row->present);
	assert_int_equal(e.complete, row->present);
	assert_int_equal(e.origin, row->origin);
	assert_string_equal(e.host, row->host >= 0 ? hosts[row->host] : "");
	assert_string_equal(e.owner, uid_text(row->owner, text));
	assert_string_equal(e.owner_name, row->owner >= 0 ? owner_names[row->owner] : "");
	assert_int_equal(e.uncertain, row->uncertain);
	assert_string_equal(e.nonce, nonce_text(row->nonce, text));
	assert_int_equal(e.attempt, row->attempt);
}

static void check_owners(const struct world *w)
{
	bool owns[OWNERS] = {false};
	char uid[37];
	int i;

	for (i = 0; i < DOMAINS; i++)
		if (w->rows[i].owner >= 0)
			owns[w->rows[i].owner] = true;
	for (i = 0; i < OWNERS; i++) {
		CLEANUP(mem_freep) char *member = mem_printf("\"%s\":", uid_text(i, uid));

		assert_int_equal(strstr(docs_text(&w->docs, LEDGER_OWN_KEY), member) != NULL,
				 owns[i]);
	}
}

static void check(struct world *w)
{
	size_t bound = ledger_size_bound(w->ledger);
	size_t values = ledger_values_bound(w->ledger);
	int i;

	for (i = 0; i < DOMAINS; i++)
		check_row(w, i);
	docs_reopen(&w->docs, &w->ledger);
	assert_true(docs_count(&w->docs) <= values);
	assert_true(docs_size(&w->docs) <= bound);
	assert_true(docs_size(&w->docs) <= ledger_size_bound(w->ledger));
	assert_false(ledger_changed(w->ledger));
	for (i = 0; i < DOMAINS; i++)
		check_row(w, i);
}

static void test_random_edits(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		struct world w = {.seed = seed * 0x9e3779b97f4a7c15, .docs = docs_of(NULL, NULL)};
		int i;

		w.ledger = docs_open(&w.docs);
		for (i = 0; i < DOMAINS; i++)
			w.rows[i] = (struct row){.host = -1, .owner = -1, .nonce = -1};
		for (i = 0; i < 40; i++) {
			edit(&w);
			if (pick(&w, 3) == 0)
				check(&w);
		}
		check(&w);
		check_owners(&w);
		ledger_free(w.ledger);
		docs_donep(&w.docs);
	}
}

/* ---- the size bound where it is hardest ---- */

/* A number that gets longer by being written, in a value that is not edited and in one that is. */
static void test_numbers_grow(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(
		"{\"version\":1,\"owners\":{},\"keys\":{},\"x\":[0.1,0.1,0.1,0.1,1e15,1e15]}",
		"{\"d\":{\"x\":[0.1,0.2,0.3,0.1,0.1,1e15,1e15,1e15]}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	const struct acmedns_account account = {.password = "\"\"\"\"\"\"\"\"\"\""};

	(void)state;
	ledger_store(ledger, KEY, "e", "https://a", &account);
	assert_int_equal(docs_write(&docs, ledger), 2);
	assert_true(docs_size(&docs) <= ledger_size_bound(ledger));
}

/* White space that a rewrite would drop counts as long as it is there. */
static void test_unedited_counts(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, "{                    }");
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;

	(void)state;
	docs_set(&docs, "foreign", "12345", 5);
	ledger = docs_open(&docs);
	assert_true(ledger_size_bound(ledger) >= docs_size(&docs));
	ledger_set_created(ledger);
	assert_int_equal(docs_write(&docs, ledger), 1);
	assert_true(ledger_size_bound(ledger) >= docs_size(&docs));
}

static void fill(char *text, size_t size, char c)
{
	memset(text, c, size - 1);
	text[size - 1] = '\0';
}

/* Room is kept for the largest account of every claim: its store never passes the bound. */
static void test_claims_have_room(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, "{}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct acmedns_account account = an_account();
	char host[2049];
	char name[254];
	char key[241];
	char uid[37];
	char domain[238];
	size_t before = ledger_size_bound(ledger);
	size_t bound;
	struct ledger_owner self = {.uid = uid, .name = name};
	struct ledger_claim claim = {.nonce = uid,
				     .holder = uid,
				     .host = host,
				     .timeout_s = INT64_MAX,
				     .after_uncertain = true};
	struct err err = {0};

	(void)state;
	fill(host, sizeof(host), 'h');
	fill(name, sizeof(name), 'n');
	fill(key, sizeof(key), 'k');
	fill(uid, sizeof(uid), 'u');
	fill(domain, sizeof(domain), 'd');
	fill(account.password, sizeof(account.password), '"');
	fill(account.fulldomain, sizeof(account.fulldomain), 'f');
	account.allowfrom[0] = '\0';
	assert_int_equal(ledger_use(ledger, key, &err), 0);
	ledger_claim(ledger, key, domain, &self, &claim);
	bound = ledger_size_bound(ledger);
	assert_true(bound - before <= ledger_claim_size(domain, host, 0));
	(void)docs_write(&docs, ledger);
	ledger_free(ledger);
	ledger = docs_open(&docs);
	assert_int_equal(ledger_use(ledger, key, &err), 0);
	assert_true(ledger_size_bound(ledger) <= bound);
	bound = ledger_size_bound(ledger);
	ledger_set_loss(ledger, key, domain, INT64_MAX);
	ledger_store(ledger, key, domain, host, &account);
	(void)docs_write(&docs, ledger);
	assert_true(docs_size(&docs) <= bound);
	assert_true(docs_count(&docs) <= LEDGER_CLAIM_VALUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_edits),
		cmocka_unit_test(test_numbers_grow),
		cmocka_unit_test(test_unedited_counts),
		cmocka_unit_test(test_claims_have_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
