/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a hostile Secret, object or server can make the operator work: each document at half its
 * caps and at its whole ones. Twice the bytes may cost twice the time and somewhat more, but not
 * four times; and nothing may hold the loop up.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acmedns/acmedns.h"
#include "api/api.h"
#include "base/buf.h"
#include "base/mem.h"
#include "http/http.h"
#include "jv/jv.h"
#include "ledger/ledger.h"

#define KEY	   "acmedns.json"
#define HOST	   "https://auth.example.com"
#define UID	   "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
#define MAX_OBJECT (2 * 1024 * 1024) /* what pkg/kube takes */
#define TRIES	   7
#define MOST_RATIO 3.5 /* twice the bytes: 2 is linear, 4 quadratic */
#define LEAST_MS   1.0 /* below it a ratio says nothing */

/* ---- documents: as many pieces as there is room for, and as their values are allowed ---- */

typedef void piece_fn(struct buf *text, size_t i);

static struct buf filled(size_t size, size_t values, const char *before, piece_fn *piece,
			 const char *after)
{
	struct buf text = BUF_INIT(size + 4096);
	size_t counted = 0;
	size_t count = 64; /* those of the next piece */
	size_t i;

	(void)buf_adds(&text, before);
	for (i = 0; text.len + 512 < size && count < values; i++) {
		if (i)
			(void)buf_adds(&text, ",");
		piece(&text, i);
		for (; counted < text.len; counted++)
			count += strchr(",[{", text.data[counted]) != NULL;
	}
	(void)buf_adds(&text, after);
	assert(text.len <= size);
	return text;
}

static void empty_entry(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zx\":{}", i);
}

static void odd_entry(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zx\":{\"USERNAME\":\"\\u0041\",\"userName\":null,\"x\":[1e3,{}]}",
		       i);
}

static void nested(struct buf *text, size_t i)
{
	(void)buf_addf(
		text,
		"\"%zx\":{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", i);
}

static void field(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zx\":0", i);
}

static void escape(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zx\":{\"x\":\"\\u0001\\ud83d\\ude00\\\\\\u0001\\u0001\\u0001\"}",
		       i);
}

/* Of as many owners as there are records, so that each is forgotten in its turn. */
static void record(struct buf *text, size_t i)
{
	(void)buf_addf(text,
		       "\"%zu.example\":{\"owner\":\"%zu\",\"host\":\"h\",\"origin\":"
		       "\"registered\",\"claim\":{\"nonce\":\"n\",\"timeoutSeconds\":1}}",
		       i, i);
}

/* As many of them as there can be. */
static void owner(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zu.example\":{\"owner\":\"%zu\"}", i, i);
}

static void key_of_one(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zu\":{\"a.example\":{\"owner\":\"%zu\"}}", i, i);
}

/* Each other one is of the owner whose tags go. */
static void tag(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zu\":{\"owner\":\"%s\"}", i, i % 2 ? "u" : "v");
}

static void domain(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%zx.example\"", i);
}

static void same_domain(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"%s.EXAMPLE.\"", i % 2 ? "*.a" : "a");
}

static void network(struct buf *text, size_t i)
{
	(void)buf_addf(text, "\"10.%zu.%zu.0/24\"", i / 256 % 256, i % 256);
}

static void condition(struct buf *text, size_t i)
{
	(void)buf_addf(text, "{\"type\":\"Ready\",\"status\":\"True\",\"message\":\"%zu\"}", i);
}

static void status_record(struct buf *text, size_t i)
{
	(void)buf_addf(text, "{\"domain\":\"%zu.example\",\"value\":\"x.test\"}", i);
}

/* ---- what is done with them ---- */

typedef void work_fn(const struct buf *text);

static struct ledger *opened(struct ledger_value *values, size_t len)
{
	struct err err = {0};
	struct ledger *ledger = ledger_open(values, len, &err);

	if (!ledger || ledger_use(ledger, KEY, &err)) {
		(void)fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	return ledger;
}

/* Everything that an object with the most domains does to a Secret. */
static void edit(struct ledger *ledger)
{
	static const struct ledger_owner owner = {.uid = UID, .name = "one"};
	static const struct ledger_claim claim = {
		.nonce = "n", .holder = UID, .host = HOST, .timeout_s = 20};
	static const struct acmedns_account account = {.password = "p", .fulldomain = UID ".a"};
	struct ledger_value *values;
	struct ledger_entry entry;
	char name[32];
	size_t len;
	size_t i;

	(void)ledger_has_account(ledger, KEY);
	for (i = 0; i < API_MAX_DOMAINS; i++) {
		(void)snprintf(name, sizeof(name), "%zu.example", i);
		ledger_look(ledger, KEY, name, &entry);
		ledger_claim(ledger, KEY, name, &owner, &claim);
		ledger_store(ledger, KEY, name, HOST, &account);
	}
	assert(ledger_size_bound(ledger) > 0);
	len = ledger_write(ledger, &values);
	ledger_values_free(values, len);
}

static void edit_accounts(const struct buf *text)
{
	char key[] = KEY;
	struct ledger_value values[] = {{.key = key, .data = text->data, .len = text->len}};
	struct ledger *ledger = opened(values, 1);

	edit(ledger);
	ledger_free(ledger);
}

static bool keep_none(const void *ctx, bool annotation, const char *name)
{
	(void)ctx;
	(void)annotation;
	(void)name;
	return false;
}

static void edit_own(const struct buf *text)
{
	char key[] = LEDGER_OWN_KEY;
	struct ledger_value values[] = {{.key = key, .data = text->data, .len = text->len}};
	struct ledger *ledger = opened(values, 1);
	size_t tags = ledger_count_tags(ledger, "u", keep_none, NULL);
	const char *domain = NULL;

	assert(ledger_drop_tags(ledger, "u", keep_none, NULL) == tags);
	while ((domain = ledger_next_claimed(ledger, KEY, "n", domain)))
		;
	edit(ledger);
	ledger_free(ledger);
}

static void decode(const struct buf *text)
{
	struct err err = {0};
	CLEANUP(jv_freep) json_t *object = jv_parse(text->data, text->len, &err);
	CLEANUP(api_freep) struct api_registration *registration = NULL;

	assert(object);
	registration = api_decode(object);
	assert(registration);
}

static void judge(const struct buf *text)
{
	struct acmedns_account account;
	const struct http_response resp = {
		.sent = true, .status = 201, .body = text->data, .body_len = text->len};
	int i;

	for (i = 0; i < 100; i++)
		(void)acmedns_register_result(&resp, &account);
}

/* ---- measuring ---- */

#define OWN	    "{\"version\":1,\"owners\":{},\"keys\":{"
#define OBJECT	    "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"uid\":\"u\"},"
#define SPEC	    OBJECT "\"spec\":{\"host\":\"" HOST "\",\"accountSecretRef\":{\"name\":\"s\"},"
#define ACCOUNT(at) "{\"username\":\"" UID "\",\"password\":\"p\",\"subdomain\":\"" UID "\"," at

static const struct subject {
	const char *name;
	size_t cap;
	const char *before;
	piece_fn *piece;
	const char *after;
	work_fn *work;
} subjects[] = {
	{"accounts: entries", LEDGER_MAX_SECRET, "{", empty_entry, "}", edit_accounts},
	{"accounts: odd fields", LEDGER_MAX_SECRET, "{", odd_entry, "}", edit_accounts},
	{"accounts: nesting", LEDGER_MAX_SECRET, "{", nested, "}", edit_accounts},
	{"accounts: escapes", LEDGER_MAX_SECRET, "{", escape, "}", edit_accounts},
	{"accounts: one entry", LEDGER_MAX_SECRET, "{\"0.example\":{", field, "}}", edit_accounts},
	{"ours: records", LEDGER_MAX_SECRET, OWN "\"" KEY "\":{", record, "}}}", edit_own},
	{"ours: owners", LEDGER_MAX_SECRET, OWN "\"" KEY "\":{", owner, "}}}", edit_own},
	{"ours: keys", LEDGER_MAX_SECRET, OWN, key_of_one, "}}", edit_own},
	{"ours: members", LEDGER_MAX_SECRET, "{\"version\":1,\"owners\":{},\"keys\":{},\"more\":{",
	 field, "}}", edit_own},
	{"ours: tags", LEDGER_MAX_SECRET,
	 "{\"version\":1,\"owners\":{},\"keys\":{},\"template\":{\"labels\":{", tag, "}}}",
	 edit_own},
	{"object: domains", MAX_OBJECT, SPEC "\"domains\":[", domain, "]}}", decode},
	{"object: one domain", MAX_OBJECT, SPEC "\"domains\":[", same_domain, "]}}", decode},
	{"object: networks", MAX_OBJECT, SPEC "\"allowFrom\":[", network, "]}}", decode},
	{"object: conditions", MAX_OBJECT, OBJECT "\"status\":{\"conditions\":[", condition, "]}}",
	 decode},
	{"object: records", MAX_OBJECT, OBJECT "\"status\":{\"records\":[", status_record, "]}}",
	 decode},
	{"/register x 100: fields", ACMEDNS_MAX_ANSWER, ACCOUNT(""), field, "}", judge},
	{"/register x 100: networks", ACMEDNS_MAX_ANSWER,
	 ACCOUNT("\"fulldomain\":\"" UID ".a\",\"allowfrom\":["), network, "]}", judge},
};

static double cpu_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The least of some tries: what disturbs makes it only longer. */
static double measure(const struct subject *subject, size_t part)
{
	size_t values = subject->cap == LEDGER_MAX_SECRET ? LEDGER_MAX_VALUES : SIZE_MAX;
	CLEANUP(buf_donep)
	struct buf text = filled(subject->cap / part, values / part, subject->before,
				 subject->piece, subject->after);
	double least = 0;
	int i;

	for (i = 0; i < TRIES; i++) {
		double begun = cpu_ms();
		double took;

		subject->work(&text);
		took = cpu_ms() - begun;
		if (i == 0 || took < least)
			least = took;
	}
	return least;
}

int main(void)
{
	int over = 0;
	size_t i;

	jv_setup();
	(void)printf("%-28s %10s %10s %6s\n", "hostile input", "half, ms", "whole, ms", "ratio");
	for (i = 0; i < ARRAY_LEN(subjects); i++) {
		double half = measure(&subjects[i], 2);
		double whole = measure(&subjects[i], 1);
		bool bad = whole >= LEAST_MS && whole > MOST_RATIO * half;

		(void)printf("%-28s %10.2f %10.2f %6.2f%s\n", subjects[i].name, half, whole,
			     whole / half, bad ? "  OVER" : "");
		over += bad;
	}
	(void)printf("%zu subjects, %d over a ratio of %.1f\n", ARRAY_LEN(subjects), over,
		     MOST_RATIO);
	return over > 0;
}
