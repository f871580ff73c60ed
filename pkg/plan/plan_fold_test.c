/* SPDX-License-Identifier: Apache-2.0 */

/* What a memory learns from results. */

#include "plan/plan_test_scene.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static int setup(void **state)
{
	struct scene *scene = mem_zalloc(sizeof(*scene));

	scene_init(scene);
	scene->view.random[0] = 0; /* no jitter */
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	scene_done(*state);
	free(*state);
	return 0;
}

static void assert_failure(const struct plan_failure *is, enum api_reason reason, uint32_t times,
			   int64_t retry_ms)
{
	assert_string_equal(api_reason_name(is->reason), api_reason_name(reason));
	assert_int_equal(is->times, times);
	assert_true(is->retry_ms == retry_ms);
}

static void assert_no_failure(const struct plan_failure *is)
{
	assert_failure(is, API_REASON_OTHER, 0, 0);
}

static bool is_watched(const struct scene *s, const char *nonce, int64_t until_ms)
{
	size_t i;

	for (i = 0; i < PLAN_FOREIGN; i++)
		if (strcmp(s->memory.foreign[i].nonce, nonce) == 0)
			return s->memory.foreign[i].until_ms == until_ms;
	return false;
}

/* ---- status, event ---- */

static void test_status(void **state)
{
	struct scene *s = *state;

	s->memory.visited_generation = 0;
	plan_fold_status(&s->memory, 3, 0);
	assert_int_equal(s->memory.visited_generation, 3);
	assert_int_equal(s->memory.news, 0);
	plan_fold_status(&s->memory, 3, PLAN_NEWS_READY);
	plan_fold_status(&s->memory, 3, PLAN_NEWS_ROTATED);
	plan_fold_status(&s->memory, 3, 0);
	assert_int_equal(s->memory.news, PLAN_NEWS_READY | PLAN_NEWS_ROTATED);
	plan_fold_event(&s->memory, PLAN_NEWS_READY);
	assert_int_equal(s->memory.news, PLAN_NEWS_ROTATED);
	plan_fold_event(&s->memory, PLAN_NEWS_ROTATED);
	assert_int_equal(s->memory.news, 0);
}

/* What the server refused is what another spec said. */
static void test_new_generation_may_try_at_once(void **state)
{
	struct scene *s = *state;

	s->memory.claim = failure(API_REASON_INVALID_ALLOW_FROM, 1, NOW + HOUR);
	plan_fold_status(&s->memory, 1, 0);
	assert_failure(&s->memory.claim, API_REASON_INVALID_ALLOW_FROM, 1, NOW + HOUR);
	plan_fold_status(&s->memory, 2, 0);
	assert_no_failure(&s->memory.claim);
}

/* ---- reading ---- */

#define SIX "['a.test','b.test','c.test','d.test','e.test','f.test']"

static void test_claims_are_watched(void **state)
{
	struct scene *s = *state;

	set_object(s, SIX, "", VISITED);
	set_secret(s, "{}",
		   "{'a.test':" CLAIM("n-1") ",'b.test':" CLAIM("n-2") ",'c.test':" CLAIM(
			   "n-3") ",'d.test':" CLAIM("n-1") "}");
	(void)add_work(s, PLAN_WORK_POSTING, "b.test", "n-2");
	(void)snprintf(s->memory.spent[0], PLAN_NONCE_LEN, "n-3");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-1", NOW + 20 * SECOND));
	assert_false(is_watched(s, "n-2", NOW + 20 * SECOND));
	assert_false(is_watched(s, "n-3", NOW + 20 * SECOND));
	assert_string_equal(s->memory.foreign[1].nonce, "");
	/* Seen again, it is as old as before. */
	s->view.now_ms += 7000;
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-1", NOW + 20 * SECOND));
}

/* One that expired stays, or its time would begin again; one that has ended makes room. */
static void test_watch_ends_with_claim(void **state)
{
	struct scene *s = *state;

	set_object(s, AB, "", VISITED);
	add_foreign(s, "n-0", NOW + 5);
	add_foreign(s, "n-1", NOW);
	add_foreign(s, "n-2", NOW);
	set_secret(s, "{'b.test':" ACCOUNT "}",
		   "{'a.test':" CLAIM("n-1") ",'b.test':" CLAIM("n-2") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-1", NOW));
	assert_false(is_watched(s, "n-0", NOW + 5));
	assert_false(is_watched(s, "n-2", NOW));
}

/* Those that wait for others of their Shared set keep their time, too. */
static void test_watch_in_shared_set(void **state)
{
	struct scene *s = *state;

	set_object(s, AB, ",'accountPolicy':'Shared'", VISITED);
	add_foreign(s, "n-2", NOW);
	set_secret(s, A_ACCOUNT, "{'a.test':" REGISTERED ",'b.test':" CLAIM("n-2") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-2", NOW));
	set_secret(s, "{}", "{'a.test':" CLAIM("n-1") ",'b.test':" CLAIM("n-2") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-2", NOW));
	assert_true(is_watched(s, "n-1", NOW + 20 * SECOND));
	(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-2", NOW));
	/* A domain that only waits for the set has no claim to watch. */
	set_secret(s, "{}", "{'b.test':" CLAIM("n-3") "}");
	s->memory.works[0].state = PLAN_WORK_NONE;
	plan_fold_read(&s->memory, &s->view);
	assert_string_equal(s->memory.foreign[1].nonce, "");
}

/* When no domain waits for a claim, none needs to be remembered. */
static void test_spent_claims_are_forgotten(void **state)
{
	struct scene *s = *state;

	(void)snprintf(s->memory.spent[0], PLAN_NONCE_LEN, "n-1");
	set_secret(s, "{}", "{'a.test':" CLAIM("n-1") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_string_equal(s->memory.spent[0], "n-1");
	set_secret(s, A_ACCOUNT, A_OURS);
	plan_fold_read(&s->memory, &s->view);
	assert_string_equal(s->memory.spent[0], "");
}

static void test_watch_is_bounded(void **state)
{
	struct scene *s = *state;

	set_object(s, SIX, "", VISITED);
	set_secret(s, "{}",
		   "{'a.test':" CLAIM("n-1") ",'b.test':" CLAIM("n-2") ",'c.test':" CLAIM(
			   "n-3") ",'d.test':" CLAIM("n-4") ",'e.test':" CLAIM("n-5") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-4", NOW + 20 * SECOND));
	assert_false(is_watched(s, "n-5", NOW + 20 * SECOND));
	set_secret(s, "{}", "{'d.test':" CLAIM("n-4") ",'e.test':" CLAIM("n-5") "}");
	s->view.now_ms += 5000;
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-4", NOW + 20 * SECOND));
	assert_true(is_watched(s, "n-5", NOW + 25 * SECOND));
}

/* A claim on a domain that another owns is none of our business. */
static void test_claims_of_owners_are_not_watched(void **state)
{
	struct scene *s = *state;

	set_secret(s, "{}", "{'a.test':" CLAIM_BY("uid-2", "n-1") "}");
	plan_fold_read(&s->memory, &s->view);
	assert_string_equal(s->memory.foreign[0].nonce, "");
}

static void test_read(void **state)
{
	struct scene *s = *state;

	s->memory.lives = true;
	plan_fold_read_failed(&s->memory, &s->view, API_REASON_SECRET_DENIED);
	assert_failure(&s->memory.read, API_REASON_SECRET_DENIED, 1, NOW + SECOND);
	assert_false(s->memory.lives);
	plan_fold_read_failed(&s->memory, &s->view, API_REASON_SECRET_UNAVAILABLE);
	assert_failure(&s->memory.read, API_REASON_SECRET_UNAVAILABLE, 2, NOW + 2 * SECOND);
	s->memory.lives = true;
	s->memory.write = failure(API_REASON_SECRET_DENIED, 2, NOW + 9);
	plan_fold_read(&s->memory, &s->view);
	assert_no_failure(&s->memory.read);
	assert_failure(&s->memory.write, API_REASON_SECRET_DENIED, 2, NOW + 9);
	assert_false(s->memory.lives);
}

static void test_read_without_object_or_ledger(void **state)
{
	struct scene *s = *state;

	add_foreign(s, "n-1", NOW);
	s->view.secret.ledger = NULL;
	plan_fold_read(&s->memory, &s->view);
	s->view.secret.ledger = s->ledger;
	s->view.object = NULL;
	plan_fold_read(&s->memory, &s->view);
	assert_true(is_watched(s, "n-1", NOW));
}

/* From 1 s up to the cap, and half as much at random. */
static void test_backoff(void **state)
{
	struct scene *s = *state;
	int i;

	for (i = 0; i < 40; i++)
		plan_fold_read_failed(&s->memory, &s->view, API_REASON_SECRET_DENIED);
	assert_failure(&s->memory.read, API_REASON_SECRET_DENIED, 40, NOW + MINUTE);
	s->view.random[0] = UINT64_MAX;
	plan_fold_read_failed(&s->memory, &s->view, API_REASON_SECRET_DENIED);
	assert_true(s->memory.read.retry_ms > NOW + MINUTE);
	assert_true(s->memory.read.retry_ms < NOW + MINUTE * 3 / 2);
}

/* ---- writing ---- */

/* works[0] in hand and stored, works[1] in hand and discarded, claims for 0 and 2. */
static struct plan_edit *make_edit(struct scene *s)
{
	struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	size_t i;

	(void)add_work(s, PLAN_WORK_IN_HAND, "a.test", "n-1");
	(void)add_work(s, PLAN_WORK_IN_HAND, "b.test", "n-2");
	edit->stored[0] = true;
	edit->discarded[1] = true;
	for (i = 0; i <= 2; i += 2) {
		edit->claimed[i].state = PLAN_WORK_CLAIMED;
		(void)snprintf(edit->claimed[i].nonce, PLAN_NONCE_LEN, "new-%zu", i);
	}
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 1, NOW);
	s->memory.write = failure(API_REASON_SECRET_DENIED, 1, NOW);
	s->memory.lives = true;
	return edit;
}

static void test_written(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) struct plan_edit *edit = make_edit(s);
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = NOW - 50};

	plan_fold_written(&s->memory, &s->view, edit, &written);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_CLAIMED);
	assert_string_equal(s->memory.works[0].nonce, "new-0");
	assert_true(s->memory.works[0].claimed_ms == NOW - 50);
	assert_string_equal(s->memory.works[0].account.password, "");
	assert_int_equal(s->memory.works[1].state, PLAN_WORK_NONE);
	assert_string_equal(s->memory.works[1].account.password, "");
	assert_int_equal(s->memory.works[2].state, PLAN_WORK_CLAIMED);
	assert_no_failure(&s->memory.read);
	assert_no_failure(&s->memory.write);
}

static void test_write_refused(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) struct plan_edit *edit = make_edit(s);
	const struct plan_written written = {.outcome = PLAN_WRITE_REFUSED,
					     .reason = API_REASON_NAMESPACE_TERMINATING};

	plan_fold_written(&s->memory, &s->view, edit, &written);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_IN_HAND);
	assert_int_equal(s->memory.works[1].state, PLAN_WORK_IN_HAND);
	assert_int_equal(s->memory.works[2].state, PLAN_WORK_NONE);
	assert_failure(&s->memory.write, API_REASON_NAMESPACE_TERMINATING, 2, NOW + 2 * SECOND);
	assert_string_equal(s->memory.spent[0], "");
	assert_false(s->memory.lives);
}

/* If it came through after all: nothing was posted for its claims. */
static void test_write_unknown(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) struct plan_edit *edit = make_edit(s);
	const struct plan_written written = {.outcome = PLAN_WRITE_UNKNOWN,
					     .reason = API_REASON_SECRET_UNAVAILABLE};

	plan_fold_written(&s->memory, &s->view, edit, &written);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_IN_HAND);
	assert_string_equal(s->memory.works[0].nonce, "n-1");
	assert_int_equal(s->memory.works[2].state, PLAN_WORK_NONE);
	assert_string_equal(s->memory.spent[0], "new-2");
	assert_string_equal(s->memory.spent[1], "new-0");
	assert_failure(&s->memory.write, API_REASON_SECRET_UNAVAILABLE, 2, NOW + 2 * SECOND);
}

/* The conflict may be with itself, sent twice. */
static void test_write_conflict(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) struct plan_edit *edit = make_edit(s);

	plan_fold_conflict(&s->memory, edit);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_IN_HAND);
	assert_int_equal(s->memory.works[2].state, PLAN_WORK_NONE);
	assert_string_equal(s->memory.spent[0], "new-2");
	assert_string_equal(s->memory.spent[1], "new-0");
	assert_failure(&s->memory.write, API_REASON_SECRET_DENIED, 1, NOW);
}

static void test_too_large(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	const struct plan_written written = {.outcome = PLAN_WRITTEN};

	edit->too_large = true;
	plan_fold_written(&s->memory, &s->view, edit, &written);
	assert_no_failure(&s->memory.write);
	assert_failure(&s->memory.claim, API_REASON_SECRET_TOO_LARGE, 1, NOW + SECOND);
}

/* ---- registering ---- */

static void test_posting_and_expired(void **state)
{
	struct scene *s = *state;
	int i;

	for (i = 0; i < PLAN_SPENT + 2; i++) {
		char nonce[PLAN_NONCE_LEN];

		(void)snprintf(nonce, sizeof(nonce), "n-%d", i);
		(void)add_work(s, PLAN_WORK_CLAIMED, "a.test", nonce);
		plan_fold_expired(&s->memory, 0);
	}
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_NONE);
	assert_string_equal(s->memory.spent[0], "n-17");
	assert_string_equal(s->memory.spent[PLAN_SPENT - 1], "n-2");
	(void)add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-9");
	plan_fold_posting(&s->memory, 0);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_POSTING);
}

static void test_registered(void **state)
{
	struct scene *s = *state;
	const struct acmedns_account account = {.password = "p", .fulldomain = FULL};
	const struct acmedns_result result = {ACMEDNS_REGISTERED, false, -1, "registered"};

	(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");
	s->memory.claim = failure(API_REASON_SERVER_UNAVAILABLE, 3, NOW + HOUR);
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 3, NOW + MINUTE);
	s->memory.write = failure(API_REASON_SECRET_DENIED, 3, NOW + MINUTE);
	plan_fold_registered(&s->memory, &s->view, 0, &result, &account);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_IN_HAND);
	assert_string_equal(s->memory.works[0].account.fulldomain, FULL);
	assert_no_failure(&s->memory.claim);
	/* The next try to store is now, the one after it as late as before. */
	assert_failure(&s->memory.read, API_REASON_SECRET_UNAVAILABLE, 3, 0);
	assert_failure(&s->memory.write, API_REASON_SECRET_DENIED, 3, 0);
}

static void test_references(void **state)
{
	const struct err missing = {.kind = ERR_NOT_FOUND, .msg = "spec.caBundleRef: missing"};
	const struct err hopeless = {.kind = ERR_INVALID, .msg = "spec.caBundle: no PEM"};
	struct scene *s = *state;

	/* What the server said before is another story, and stays when all is well here. */
	s->memory.claim = failure(API_REASON_REGISTRATION_DENIED, 3, NOW);
	plan_fold_references(&s->memory, &s->view, NULL);
	assert_failure(&s->memory.claim, API_REASON_REGISTRATION_DENIED, 3, NOW);
	plan_fold_references(&s->memory, &s->view, &missing);
	assert_failure(&s->memory.claim, API_REASON_INVALID_REFERENCE, 1, NOW + SECOND);
	assert_string_equal(s->memory.claim_message, missing.msg);
	s->memory.claim.times = 30;
	plan_fold_references(&s->memory, &s->view, &missing);
	assert_failure(&s->memory.claim, API_REASON_INVALID_REFERENCE, 31, NOW + MINUTE);
	plan_fold_references(&s->memory, &s->view, NULL);
	assert_no_failure(&s->memory.claim);
	plan_fold_references(&s->memory, &s->view, &hopeless);
	assert_failure(&s->memory.claim, API_REASON_INVALID_REFERENCE, 1, INT64_MAX);
	assert_string_equal(s->memory.claim_message, hopeless.msg);
	plan_fold_status(&s->memory, 1, 0);
	assert_failure(&s->memory.claim, API_REASON_INVALID_REFERENCE, 1, INT64_MAX);
	plan_fold_status(&s->memory, 2, 0);
	assert_no_failure(&s->memory.claim);
}

static void test_refusals(void **state)
{
	static const struct {
		enum acmedns_verdict verdict;
		bool maybe_made;
		int retry_after_s;
		enum api_reason reason;
		int64_t first_ms;
		int64_t most_ms;
	} rows[] = {
		{ACMEDNS_UNAVAILABLE, false, -1, API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND,
		 HOUR},
		{ACMEDNS_BAD_ALLOWFROM, false, -1, API_REASON_INVALID_ALLOW_FROM, HOUR, HOUR},
		{ACMEDNS_DENIED, false, -1, API_REASON_REGISTRATION_DENIED, 30 * SECOND, HOUR},
		{ACMEDNS_REJECTED, false, -1, API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND,
		 HOUR},
		{ACMEDNS_THROTTLED, false, -1, API_REASON_SERVER_UNAVAILABLE, 5 * SECOND,
		 5 * MINUTE},
		{ACMEDNS_THROTTLED, false, 3, API_REASON_SERVER_UNAVAILABLE, 5 * SECOND,
		 5 * MINUTE},
		{ACMEDNS_THROTTLED, false, 900, API_REASON_SERVER_UNAVAILABLE, 900 * SECOND,
		 900 * SECOND},
		{ACMEDNS_UNREACHABLE, false, -1, API_REASON_SERVER_UNAVAILABLE, SECOND, 5 * MINUTE},
		{ACMEDNS_NO_ANSWER, true, -1, API_REASON_SERVER_UNAVAILABLE, 30 * SECOND, HOUR},
		{ACMEDNS_SERVER_ERROR, true, -1, API_REASON_SERVER_UNAVAILABLE, 30 * SECOND, HOUR},
		{ACMEDNS_BAD_ANSWER, true, -1, API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND,
		 HOUR},
	};
	struct scene *s = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct acmedns_result result = {rows[i].verdict, rows[i].maybe_made,
						      rows[i].retry_after_s, "the message"};

		memset(&s->memory, 0, sizeof(s->memory));
		(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");
		plan_fold_registered(&s->memory, &s->view, 0, &result, NULL);
		assert_int_equal(s->memory.works[0].state, PLAN_WORK_NONE);
		assert_failure(&s->memory.claim, rows[i].reason, 1, NOW + rows[i].first_ms);
		assert_string_equal(s->memory.claim_message, "the message");
		assert_int_equal(is_watched(s, "n-1", NOW + 30 * SECOND), rows[i].maybe_made);
		assert_string_equal(s->memory.spent[0], rows[i].maybe_made ? "" : "n-1");
		s->memory.claim.times = 30;
		(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");
		plan_fold_registered(&s->memory, &s->view, 0, &result, NULL);
		assert_failure(&s->memory.claim, rows[i].reason, 31, NOW + rows[i].most_ms);
	}
}

/* What a server refused that is not meant any more holds up nothing. */
static void test_refusal_by_another_host(void **state)
{
	struct scene *s = *state;
	const struct acmedns_result result = {ACMEDNS_DENIED, false, -1, "denied"};
	struct plan_work *work = add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");

	(void)snprintf(work->host, sizeof(work->host), "https://old.test");
	plan_fold_registered(&s->memory, &s->view, 0, &result, NULL);
	assert_no_failure(&s->memory.claim);
	assert_string_equal(s->memory.spent[0], "n-1");
	(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-2");
	s->view.object = NULL;
	plan_fold_registered(&s->memory, &s->view, 0, &result, NULL);
	assert_failure(&s->memory.claim, API_REASON_REGISTRATION_DENIED, 1, NOW + 30 * SECOND);
}

/* ---- questions ---- */

#define OF_TWO_AND_THREE "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" REGISTERED_OF("uid-3") "}"

/* 70 domains, so that the second word of bits counts, too. */
static char *many_domains(void)
{
	struct buf list = BUF_INIT(4096);
	int i;

	for (i = 0; i < 70; i++)
		(void)buf_addf(&list, "%s'd%d.test'", i ? "," : "[", i);
	(void)buf_adds(&list, "]");
	return buf_take(&list);
}

static void assert_owner(const struct scene *s, const char *uid, uint64_t free_bits, uint64_t held)
{
	assert_string_equal(s->memory.owner.uid, uid);
	assert_int_equal(s->memory.owner.free[0], free_bits);
	assert_int_equal(s->memory.owner.held[0], held);
}

static void test_owners(void **state)
{
	struct scene *s = *state;
	CLEANUP(api_freep) struct api_registration *owner = make_object(AB, "", VISITED);

	set_object(s, AB, "", VISITED);
	set_secret(s, "{}", OF_TWO_AND_THREE);
	plan_fold_owner(&s->memory, &s->view, "uid-2", NULL);
	assert_owner(s, "uid-2", 3, 0);
	/* Another object of that name. */
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_owner(s, "uid-2", 3, 0);
	/* It lists both; but only one is its own by our document. */
	free(owner->uid);
	owner->uid = mem_strdup("uid-2");
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_owner(s, "uid-2", 0, 1);
	/* What was learnt of others stays for a minute. */
	s->view.now_ms += 59999;
	plan_fold_owner(&s->memory, &s->view, "uid-3", NULL);
	assert_owner(s, "uid-3", 3, 1);
	s->view.now_ms += 1;
	plan_fold_owner(&s->memory, &s->view, "uid-3", NULL);
	assert_owner(s, "uid-3", 3, 0);
	assert_true(s->memory.owner.since_ms == s->view.now_ms);
	/* It lists but one. */
	set_object(s, "['z.test','a.test']", "", VISITED);
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_owner(s, "uid-2", 1, 2);
	set_object(s, AB, "", VISITED);
	/* It is on its way out. */
	owner->deleting = true;
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_owner(s, "uid-2", 3, 2);
	plan_fold_owner_stale(&s->memory);
	assert_owner(s, "", 0, 0);
}

static void test_owner_of_another_generation(void **state)
{
	struct scene *s = *state;

	set_owner(s, "uid-3", 0, 1);
	s->object->generation = 2;
	plan_fold_owner(&s->memory, &s->view, "uid-2", NULL);
	assert_owner(s, "uid-2", 1, 0);
	assert_int_equal(s->memory.owner.generation, 2);
}

static void test_owner_of_many(void **state)
{
	struct scene *s = *state;
	CLEANUP(mem_freep) char *domains = many_domains();
	CLEANUP(api_freep) struct api_registration *owner = make_object(domains, "", VISITED);

	free(owner->uid);
	owner->uid = mem_strdup("uid-2");
	set_object(s, domains, "", VISITED);
	set_secret(s, "{}", "{'d69.test':" REGISTERED_OF("uid-2") "}");
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_true(s->memory.owner.held[0] == 0);
	assert_true(s->memory.owner.held[1] == UINT64_C(1) << 5);
	/* A Secret that cannot be read by then names nobody. */
	plan_fold_owner_stale(&s->memory);
	s->view.secret.ledger = NULL;
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	assert_true(s->memory.owner.held[1] == 0);
}

static void test_self(void **state)
{
	struct scene *s = *state;

	(void)add_work(s, PLAN_WORK_IN_HAND, "a.test", "n-1");
	(void)add_work(s, PLAN_WORK_POSTING, "b.test", "n-2");
	(void)add_work(s, PLAN_WORK_IN_HAND, "c.test", "n-3");
	assert_int_equal(plan_fold_self(&s->memory, false), 0);
	assert_true(s->memory.lives);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_IN_HAND);
	assert_int_equal(plan_fold_self(&s->memory, true), 2);
	assert_false(s->memory.lives);
	assert_int_equal(s->memory.works[0].state, PLAN_WORK_NONE);
	assert_string_equal(s->memory.works[0].account.password, "");
	assert_int_equal(s->memory.works[1].state, PLAN_WORK_POSTING);
	assert_int_equal(s->memory.works[2].state, PLAN_WORK_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_new_generation_may_try_at_once),
		TEST(test_claims_are_watched),
		TEST(test_watch_ends_with_claim),
		TEST(test_watch_in_shared_set),
		TEST(test_spent_claims_are_forgotten),
		TEST(test_watch_is_bounded),
		TEST(test_claims_of_owners_are_not_watched),
		TEST(test_read),
		TEST(test_read_without_object_or_ledger),
		TEST(test_backoff),
		TEST(test_written),
		TEST(test_write_refused),
		TEST(test_write_unknown),
		TEST(test_write_conflict),
		TEST(test_too_large),
		TEST(test_posting_and_expired),
		TEST(test_registered),
		TEST(test_references),
		TEST(test_refusals),
		TEST(test_refusal_by_another_host),
		TEST(test_owners),
		TEST(test_owner_of_another_generation),
		TEST(test_owner_of_many),
		TEST(test_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
