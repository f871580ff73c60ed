/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_TEST_SCENE_H
#define PLAN_TEST_SCENE_H

/*
 * A view and a memory for the table tests of plan, built from texts in which ' stands for ".
 *
 * Unless told otherwise: no CNAME is looked up; the object "one" (uid-1, generation 1, host
 * auth.test, domain a.test) was visited by this process, which leads; its host is known and has
 * slots; the Secret is there, was read just now, and holds no account, but a document of ours.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jv/jv.h"
#include "plan/plan.h"

#define NOW  1000000
#define WALL 1800000000
#define KEY  "acmedns.json"
#define HOST "https://auth.test"
#define FULL "11111111-1111-4111-8111-111111111111.auth.test"
/* A name that an object may have, and no host: one of its labels is too long. */
#define LABEL_64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
/* Longer than any of Kubernetes'. */
#define LONG_UID "0123456789012345678901234567890123456789012345678901234567890123456789"

/* ---- pieces of the documents ---- */

#define ACCOUNT_AT(url)                                                                            \
	"{'username':'u','password':'p','subdomain':'s','fulldomain':'" FULL                       \
	"','server_url':'" url "'}"
#define ACCOUNT		   ACCOUNT_AT(HOST)
#define REGISTERED_OF(uid) "{'owner':'" uid "','origin':'registered','host':'" HOST "'}"
#define REGISTERED	   REGISTERED_OF("uid-1")
#define CLAIM_BY(uid, nonce)                                                                       \
	"{'owner':'" uid "','claim':{'nonce':'" nonce "','holder':'h','owner':'" uid               \
	"','host':'" HOST "','timeoutSeconds':20,'attempt':1}}"
#define CLAIM(nonce) CLAIM_BY("uid-1", nonce)
#define A_ACCOUNT    "{'a.test':" ACCOUNT "}"
#define A_OURS	     "{'a.test':" REGISTERED "}"

/* ---- pieces of an object ---- */

#define AB     "['a.test','b.test']"
#define SHARED ",'accountPolicy':'Shared'"
#define READY_STATUS                                                                               \
	"'conditions':[{'type':'Ready','status':'Unknown','reason':'Registering','message':''},"   \
	"{'type':'Reconciling','status':'True','reason':'Progressing','message':''}]"
#define VISITED "{'observedGeneration':1," READY_STATUS "}"
#define NAMED(domain)                                                                              \
	"{'observedGeneration':1," READY_STATUS ",'records':[{'domain':'" domain                   \
	"','value':'" FULL "'}]}"

struct scene {
	struct plan_view view;
	struct plan_memory memory;
	struct api_registration *object;
	struct ledger_value values[2];
	size_t values_len;
	struct ledger *ledger; /* the view's */
};

static inline char *quoted(const char *text)
{
	char *json = mem_strdup(text);
	char *at = json;

	while ((at = strchr(at, '\'')))
		*at = '"';
	return json;
}

static inline json_t *parse(const char *text)
{
	CLEANUP(mem_freep) char *json = quoted(text);
	struct err err = {0};
	json_t *doc = jv_parse(json, strlen(json), &err);

	if (!doc)
		fail_msg("%s: %s", json, err.msg);
	return doc;
}

/* Whether CNAMEs are looked up, for a spec. */
#define VERIFIED   ",'cname':{'verify':true}"
#define UNVERIFIED ",'cname':{'verify':false}"

/* more: further members of spec, each with a comma before it. */
static inline struct api_registration *make_object(const char *domains, const char *more,
						   const char *status)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{'metadata':{'name':'one','uid':'uid-1','generation':1,"
				"'resourceVersion':'5'},'spec':{'host':'" HOST
				"','accountSecretRef':{'name':'s'},'domains':%s%s%s},'status':%s}",
				domains, more, strstr(more, "'cname'") ? "" : UNVERIFIED, status);
	CLEANUP(jv_freep) json_t *json = parse(text);

	return api_decode(json);
}

static inline struct ledger *open_ledger(const struct scene *scene)
{
	struct err err = {0};
	struct ledger *ledger = ledger_open(scene->values, scene->values_len, &err);

	if (!ledger || ledger_use(ledger, KEY, &err))
		fail_msg("ledger: %s", err.msg);
	return ledger;
}

static inline void add_value(struct scene *scene, const char *key, const char *text)
{
	struct ledger_value *value = &scene->values[scene->values_len++];

	value->key = mem_strdup(key);
	value->data = quoted(text);
	value->len = strlen(value->data);
}

/* accounts: the public document; records: what ours says of KEY, NULL: there is none of ours. */
static inline void set_secret(struct scene *scene, const char *accounts, const char *records)
{
	CLEANUP(mem_freep)
	char *own = mem_printf(
		"{'version':1,'owners':{'uid-1':'one','uid-2':'two','uid-3':'three','uid-8':'..',"
		"'uid-4':'" LABEL_64 "',"
		"'" LONG_UID "':'long'}"
		",'keys':{'" KEY "':%s}}",
		records ? records : "");

	ledger_free(TAKE(scene->ledger));
	while (scene->values_len > 0) {
		free(scene->values[--scene->values_len].key);
		free(scene->values[scene->values_len].data);
	}
	add_value(scene, KEY, accounts);
	if (records)
		add_value(scene, LEDGER_OWN_KEY, own);
	scene->ledger = open_ledger(scene);
	scene->view.secret = (struct plan_secret){.state = PLAN_SECRET_PRESENT,
						  .fresh = true,
						  .opaque = true,
						  .ledger = scene->ledger,
						  .key = KEY};
}

static inline void set_object(struct scene *scene, const char *domains, const char *more,
			      const char *status)
{
	api_free(scene->object);
	scene->object = make_object(domains, more, status);
	scene->view.object = scene->object;
}

static inline void scene_init(struct scene *scene)
{
	size_t i;

	*scene = (struct scene){.view = {.holder = "holder",
					 .leading = true,
					 .host = {.state = PLAN_HOST_OK, .slots = 4},
					 .now_ms = NOW,
					 .wall_s = WALL,
					 .lost_account_grace_ms = 60000,
					 .register_timeout_ms = 10000},
				.memory = {.visited_generation = 1}};
	for (i = 0; i < ARRAY_LEN(scene->view.random); i++)
		scene->view.random[i] = UINT64_C(0x0101010101010101) * (i + 1);
	set_object(scene, "['a.test']", "", VISITED);
	set_secret(scene, "{}", "{}");
}

static inline void scene_done(struct scene *scene)
{
	api_free(scene->object);
	ledger_free(scene->ledger);
	while (scene->values_len > 0) {
		free(scene->values[--scene->values_len].key);
		free(scene->values[scene->values_len].data);
	}
}

static inline void add_finalizer(struct scene *s, const char *finalizer)
{
	struct api_registration *object = s->object;

	object->finalizers = mem_resize(object->finalizers, object->finalizers_len + 1,
					sizeof(*object->finalizers));
	object->finalizers[object->finalizers_len++] = mem_strdup(finalizer);
}

/* ---- what a memory may hold ---- */

static inline struct plan_work *add_work(struct scene *scene, enum plan_work_state state,
					 const char *domain, const char *nonce)
{
	struct plan_work *work = scene->memory.works;

	while (work->state != PLAN_WORK_NONE)
		work++;
	work->state = state;
	work->claimed_ms = NOW - 100;
	(void)snprintf(work->domain, sizeof(work->domain), "%s", domain);
	(void)snprintf(work->nonce, sizeof(work->nonce), "%s", nonce);
	(void)snprintf(work->host, sizeof(work->host), HOST);
	if (state == PLAN_WORK_IN_HAND)
		work->account = (struct acmedns_account){.username = "hand",
							 .password = "p",
							 .subdomain = "hand",
							 .fulldomain = "hand.auth.test"};
	return work;
}

static inline void add_foreign(struct scene *scene, const char *nonce, int64_t until_ms)
{
	struct plan_foreign *foreign = scene->memory.foreign;

	while (*foreign->nonce)
		foreign++;
	(void)snprintf(foreign->nonce, sizeof(foreign->nonce), "%s", nonce);
	foreign->until_ms = until_ms;
}

/* An owner that was asked just now; bits as in plan.h. */
static inline void set_owner(struct scene *scene, const char *uid, uint64_t free_bits,
			     uint64_t held_bits)
{
	scene->memory.owner = (struct plan_owner){.free = {free_bits},
						  .held = {held_bits},
						  .generation = 1,
						  .asked_ms = NOW,
						  .since_ms = NOW};
	(void)snprintf(scene->memory.owner.uid, sizeof(scene->memory.owner.uid), "%s", uid);
}

static inline struct plan_failure failure(enum api_reason reason, uint32_t times, int64_t retry_ms)
{
	return (struct plan_failure){.reason = reason, .times = times, .retry_ms = retry_ms};
}

/* ---- what a table's row may say beyond its texts ---- */

static inline void unread(struct scene *s)
{
	s->view.secret = (struct plan_secret){.key = KEY};
}

static inline void absent(struct scene *s)
{
	set_secret(s, "{}", NULL);
	s->view.secret.state = PLAN_SECRET_ABSENT;
}

static inline void immutable(struct scene *s)
{
	s->view.secret.immutable = true;
}

static inline void not_opaque(struct scene *s)
{
	s->view.secret.opaque = false;
}

static inline void unparsable(struct scene *s)
{
	s->view.secret.ledger = NULL;
	s->view.secret.unparsable = "it is damaged";
}

static inline void not_leading(struct scene *s)
{
	s->view.leading = false;
}

static inline void not_proven(struct scene *s)
{
	s->memory.visited_generation = 0;
}

static inline void gone(struct scene *s)
{
	s->view.object = NULL;
}

static inline void host_failed(struct scene *s)
{
	s->view.host.state = PLAN_HOST_FAILED;
	s->view.host.message = "no address";
	s->view.host.retry_ms = NOW + 500;
}

static inline void host_refused(struct scene *s)
{
	host_failed(s);
	s->view.host.state = PLAN_HOST_REFUSED;
	s->view.host.message = "loopback";
}

static inline void host_down(struct scene *s)
{
	s->view.host.state = PLAN_HOST_DOWN;
	s->view.host.message = "it fails";
	s->view.host.retry_ms = INT64_MAX;
	s->view.host.slots = 0;
}

static inline void host_not_allowed(struct scene *s)
{
	s->view.host.state = PLAN_HOST_NOT_ALLOWED;
	s->view.host.message = "--allowed-hosts";
	s->view.host.retry_ms = INT64_MAX;
}

static inline void one_slot(struct scene *s)
{
	s->view.host.slots = 1;
}

static inline void in_hand(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_IN_HAND, "a.test", "n-1");
}

static inline void watched(struct scene *s)
{
	add_foreign(s, "n-1", NOW + 300);
}

static inline void expired(struct scene *s)
{
	add_foreign(s, "n-1", NOW);
}

static inline void spent(struct scene *s)
{
	(void)snprintf(s->memory.spent[2], PLAN_NONCE_LEN, "n-1");
}

static inline void two_holds_a(struct scene *s)
{
	set_owner(s, "uid-2", 0, 1);
}

/* ---- on the way to rest ---- */

static inline void take_status(struct scene *s, struct plan_action *action)
{
	unsigned int news = plan_news(s->object, &action->status);

	api_status_done(&s->object->status);
	s->object->status = action->status;
	api_status_init(&action->status, -1);
	plan_fold_status(&s->memory, s->object->generation, news);
}

/* Status is written until there is another thing to do, which is returned. */
static inline struct plan_action next_action(struct scene *s)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	while (action.what == PLAN_PATCH_STATUS || action.what == PLAN_EMIT_EVENT) {
		if (action.what == PLAN_PATCH_STATUS)
			take_status(s, &action);
		else
			plan_fold_event(&s->memory, action.news);
		plan_action_done(&action);
		plan(&s->view, &s->memory, &action);
	}
	return action;
}

/* ---- a row of a table ---- */

typedef void given_fn(struct scene *s);

#define ON(...) .given = {__VA_ARGS__}

struct setting {
	given_fn *const *given; /* ends with NULL */
	const char *domains;	/* NULL: ['a.test'] */
	const char *spec;	/* further members; NULL: none */
	const char *status;	/* NULL: VISITED */
	const char *accounts;	/* the public document; NULL: {} */
	const char *records;	/* ours; NULL with accounts: none */
};

static inline void scene_set(struct scene *scene, const struct setting *setting)
{
	given_fn *const *given = setting->given;

	scene_init(scene);
	set_object(scene, setting->domains ? setting->domains : "['a.test']",
		   setting->spec ? setting->spec : "", setting->status ? setting->status : VISITED);
	if (setting->accounts || setting->records)
		set_secret(scene, setting->accounts ? setting->accounts : "{}", setting->records);
	while (*given)
		(*given++)(scene);
}

#endif
