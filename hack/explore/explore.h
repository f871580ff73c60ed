/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPLORE_H
#define EXPLORE_H

/*
 * `make explore`: the shipping plan, its folds, the document edits, the status patches and the
 * meaning of /register's answers, driven through every order of steps and faults up to a bound.
 *
 * What is real: pkg/plan, pkg/ledger, pkg/api, pkg/auth, pkg/acmedns and
 * pkg/controller/snapshot.c, linked as they ship. What is modelled: an API server (world.c:
 * versions, conflicts, merge patches), an acme-dns server that counts (world.c), users (user.c),
 * time and leases (steps.c), and the glue of the controller that sends and folds (process.c, act.c,
 * reference.c, probe.c, verify.c, channel.c). No object has cname.dnsEndpoint.
 *
 * A state is one struct world: numbers only. Everything large, from a Secret to a plan_memory, is
 * kept once in a pool, and its number stands for it; so a state is compared and hashed as bytes.
 * Times in it are relative to now, resourceVersions are ranks, nonces and accounts are counted: two
 * histories that differ in nothing that matters end in the same state. The search is breadth
 * first, so that the first violation found has the shortest story.
 *
 * A pass of the queue and the local half of a request are not steps of their own: a process runs
 * until it waits for somebody. Serving a request and the arrival of its answer are two steps.
 *
 * Checked on each step: see check.c and check_template.c. Checked from *each* state that is
 * reached, not from a sample: if faults stop here, does it come to the desired state, and stay
 * without a write (settle.c)? What such a way meets is remembered, so that the next one stops where
 * it joins.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "controller/controller_impl.h"
#include "plan/plan.h"
#include "store.h"

#define NAMES	  2
#define SEATS	  4
#define PROCESSES 2
#define POSTS	  4
#define CHANNEL	  SEATS /* in a step: the Secret's request, not one of a seat */

#define NOW	    INT64_C(1000000000) /* what a view shows, always */
#define TIMEOUT_MS  10000		/* of a POST */
#define WALL_S	    INT64_C(1800000000)
#define GRACE_MS    60000
#define CLAIM_MS    20000 /* --register-timeout and 10 s */
#define KEY	    "acmedns.json"
#define NONCES_EACH 16 /* of one process in one history */
#define NONCES	    (PROCESSES * NONCES_EACH)

/* ---- what a state is made of ---- */

struct version {
	uint32_t id; /* in the pool of objects or Secrets; 0 = absent */
	uint32_t rv;
};

enum request_kind {
	REQUEST_NONE,
	REQUEST_READ,	   /* GET the Secret */
	REQUEST_WRITE,	   /* create or patch it */
	REQUEST_PATCH,	   /* an object's status */
	REQUEST_OWNER,	   /* GET another object */
	REQUEST_SELF,	   /* GET the object itself */
	REQUEST_FINALIZER, /* patch an object's finalizers */
	REQUEST_REFERENCE, /* GET what the spec refers to */
};

enum answer {
	ANSWER_NOT_YET,
	ANSWER_OK,
	ANSWER_CONFLICT,
	ANSWER_ABSENT,
	ANSWER_DENIED,
	ANSWER_NONE, /* 5xx, a timeout, a dead connection: nobody knows */
};

struct request {
	uint32_t kind;
	uint32_t answer;
	uint32_t body; /* WRITE, PATCH: in the pool of bodies */
	uint32_t rv;   /* WRITE, PATCH: of what it was made from; 0: a Secret to be created */
	uint32_t by;   /* given up: whose it was */
	uint32_t name; /* PATCH, FINALIZER, OWNER, SELF; REFERENCE: enum referred */
	uint32_t uid;  /* OWNER, SELF: who is asked for */
	uint32_t old;  /* OWNER: an object has changed since it was sent */
	uint32_t generation, news, visits; /* PATCH: for the fold */
	uint32_t fresh;			   /* of the channel: seats whose pass it serves */
	int32_t sent_ms;
	struct version got;
};

/* What the specs refer to: a Secret with a login, a ConfigMap with a CA. */
enum referred { REFERRED_LOGIN, REFERRED_CA, REFERRED };
enum referred_state {
	REFERRED_ABSENT,
	REFERRED_GOOD,	/* for one.test */
	REFERRED_OTHER, /* for two.test */
};

struct references {
	uint32_t generation; /* 0: nothing is read */
	uint32_t complete;
	uint32_t read[REFERRED]; /* 1 + the state that was read; 0: not yet */
	int32_t age_ms;		 /* since reading began */
};

/* A server is being asked for an account. */
struct probe_call {
	uint32_t rest; /* the entry asked for, without server_url; 0: none is */
	uint32_t account, domain, host;
	int32_t age_ms;
};

/* What a process keeps of one object, by uid: the controller's record. */
struct seat {
	uint32_t uid; /* 0 = free */
	uint32_t name;
	uint32_t memory;
	uint32_t stage; /* enum record_stage */
	uint32_t edit;
	uint32_t slots;
	uint32_t own_rv;
	uint32_t proven; /* the generation that a status patch of this process has proven */
	uint32_t queued, again, waits_slot;
	int32_t wake_ms;
	struct references references;
	struct probe_call probe;
	uint32_t
		shown[DOMAINS]; /* an account that is to follow: the CNAME was seen to lead there */
	struct request request;
};

struct process {
	uint32_t incarnation;
	uint32_t nonces;
	uint32_t leads;	   /* has led in this incarnation: has records */
	uint32_t believes; /* that the lease is its own */
	uint32_t draining;
	uint32_t jumped; /* its clock is not to be trusted */
	uint32_t frozen; /* it has stood still */
	uint32_t hosts;	 /* bits: resolved */
	uint32_t known, fresh, seen, seen_rv;
	uint32_t piecewise, has_losers;
	struct version reading;
	struct version cache[NAMES];
	struct request request; /* of the channel */
	struct seat seats[SEATS];
};

enum post_state { POST_NONE, POST_SENT, POST_SERVED };

struct post {
	uint32_t state;
	uint32_t process; /* PROCESSES: nobody waits for it any more */
	uint32_t seat, work;
	uint32_t nonce, domain, host;
	uint32_t account; /* made by it; 0 = none */
	uint32_t how;	  /* enum served: what the server answered */
	uint32_t fresh_connection;
	int32_t age_ms;
};

enum budget {
	BUDGET_CRASH,
	BUDGET_FAULT, /* a request or an answer that goes wrong */
	BUDGET_TIME,  /* steps of time */
	BUDGET_USER,
	BUDGET_LEASE, /* takeovers */
	BUDGET_CLOCK, /* clocks that jump or stand still */
	BUDGET_ALL,   /* of the above together, but for time */
	BUDGETS,
};

struct world {
	uint32_t left[BUDGETS];
	uint32_t next_uid;
	uint32_t lease; /* whose it is, whoever believes it has it */
	struct version live[NAMES], older[NAMES];
	struct version secret;
	uint32_t older_secret; /* what a backup holds */
	uint32_t first_secret; /* another one */
	uint32_t sound_secret; /* before it was spoiled */
	uint32_t referred[REFERRED];
	struct request late; /* given up by its sender, still on its way */
	struct process processes[PROCESSES];
	struct post posts[POSTS];
	uint32_t accounts;	    /* made so far */
	uint32_t at_two;	    /* bits: made at the second host */
	uint32_t durable;	    /* bits: was in the Secret */
	uint32_t made[DOMAINS];	    /* for the account rule */
	uint32_t made_for[DOMAINS]; /* bits: accounts */
	uint32_t reset;		    /* somebody else wrote our document */
	uint32_t rotations;	    /* asked for so far */
	uint32_t probes;	    /* the same of the annotation probe */
	uint32_t rejected;	    /* bits: accounts that a server did not take once */
	uint32_t cname[DOMAINS];    /* the account that it leads to */
	uint32_t led[DOMAINS];	    /* bits: those that it has led to */
	uint32_t clock_s;	    /* of the wall: a day passes, or a loss is another one */
	uint32_t retained;	    /* bits: uids of objects that nothing held under Delete */
	uint32_t lost_uid;	    /* object 0 when an entry was removed that day */
	uint32_t excused[DOMAINS];  /* by users who rotate, or took something away */
	uint32_t claimed, posted, refused; /* bits: nonces */
	uint32_t learned;		   /* those whose account came to its process */
	int32_t claim_ms[NONCES];	   /* since it was first in the Secret */
	int32_t lost_ms[DOMAINS];	   /* since its entry vanished; the grace at most */
};

/* ---- scenarios ---- */

enum act {
	ACT_NONE,
	ACT_FIRST_SPEC,	 /* object 0 gets spec 0 again */
	ACT_OTHER_SPEC,	 /* object 0 gets spec 1 */
	ACT_SECOND_SPEC, /* object 1 gets spec 3 */
	ACT_SUSPEND,	 /* object 0 */
	ACT_RESUME,
	ACT_DELETE_OBJECT,
	ACT_DELETE_OTHER,
	ACT_RECREATE_OBJECT, /* under the same name, at once */
	ACT_MAKE_OTHER,
	ACT_ROTATE,   /* object 0 gets a new value of the annotation */
	ACT_CALL_OFF, /* and loses it */
	ACT_PROBE,    /* object 0 gets a new value of that annotation */
	ACT_LEAD,     /* the CNAME of a domain of object 0 is made as status says */
	ACT_LEAD_BACK,
	ACT_DELETE_SECRET,
	ACT_RESTORE,	   /* a backup: the Secret of yesterday, objects without status */
	ACT_RESTORE_FIRST, /* one from before the story begins */
	ACT_PUT_BACK,	   /* somebody applies the Secret of yesterday */
	ACT_REMOVE_ENTRY,
	ACT_DAY, /* nobody does anything for so long */
	ACT_ADD_FOREIGN,
	ACT_ADD_ENTRY,
	ACT_LOCK, /* the Secret becomes immutable: deleted and made anew with the same contents */
	ACT_UNLOCK,
	ACT_SPOIL, /* it cannot be read any more */
	ACT_MEND,
	ACT_SAME_SERVER,  /* the Secret's annotation, for specs at one.test and two.test */
	ACT_OTHER_SERVER, /* for another one */
	ACT_HOST_ONE,	  /* the Secret's annotation that says whose the accounts are */
	ACT_LABEL,	  /* the Secret's label team, which templates name */
	ACT_LABEL_OTHER,  /* as object 1 wants it */
	ACT_NO_LABEL,
	ACT_LOGIN, /* what spec.registrationAuth refers to is there */
	ACT_LOGIN_ELSEWHERE,
	ACT_NO_LOGIN,
	ACT_CA, /* the same of spec.caBundleRef */
	ACT_NO_CA,
	ACTS,
};

#define SPECS	  4
#define ACTS_MOST 8

struct scenario {
	const char *name;
	const char *what;
	const char *specs[SPECS]; /* of object 0: 0 and 1; of object 1: 2 and 3 */
	const char *secret;	  /* at the beginning; NULL = absent */
	bool both;		  /* object 1 is there from the beginning */
	bool two;		  /* a second process stands by */
	bool shared;
	bool denies;   /* 403 is among the faults */
	bool probes;   /* time makes rounds over the accounts due */
	bool verifies; /* CNAMEs are looked up */
	uint32_t slots;
	uint32_t left[BUDGETS];
	enum act acts[ACTS_MOST];
};

extern const struct scenario scenarios[];
extern const size_t scenarios_len;

/* ---- a run: one scenario being explored ---- */

struct run {
	struct store *store;
	const struct scenario *scenario;
	struct world w;
	bool calm;   /* faults have stopped */
	bool pruned; /* the state is beyond what a struct world holds: not looked at */
	unsigned int writes;
	bool telling;
	struct buf story;
	char broken[240]; /* what must not be; "" = nothing */
};

void tell(struct run *run, const char *fmt, ...) PRINTF_LIKE(2, 3);
void broken(struct run *run, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- world.c: the two servers ---- */

/* Executes a write or patch. */
enum answer world_execute(struct run *run, const struct request *request, size_t process,
			  struct version *ret_got);
/* What a GET brings. */
enum answer world_get(const struct run *run, const struct request *request,
		      struct version *ret_got);
void world_set_object(struct run *run, size_t name, json_t *json); /* NULL: gone */
void world_set_secret(struct run *run, uint32_t id);
/* The Secret that a write makes of one. */
uint32_t world_merge(struct run *run, uint32_t id, uint32_t body);
/* The object that lives with this uid; NULL: none. */
const struct object_thing *world_by_uid(const struct run *run, uint32_t uid);
uint32_t world_register(struct run *run, const struct post *post);
const struct domain_facts *world_facts(const struct run *run, uint32_t domain);
uint32_t domain_number(const char *domain); /* DOMAINS: none of ours */
uint32_t host_number(const char *url);	    /* 0 = one.test, 1 = two.test */
extern const char *const domain_names[DOMAINS];

/* ---- check.c: what must be so in each state ---- */

void check_commit(struct run *run, size_t process, uint32_t before, uint32_t after);
/* A write of these edits is about to be sent; body 0: nothing is. */
void check_write(struct run *run, size_t process, uint32_t body);
void check_patch(struct run *run, const struct request *request);
/* A patch of the object's finalizers is about to be sent. */
void check_let_go(struct run *run, size_t process, size_t seat);
void check_post(struct run *run, size_t process, size_t seat, const struct plan_work *work);
/* A claim comes after the status patch of its generation, by a leader. */
void check_claims(struct run *run, size_t p, size_t s);
void check_accounts(struct run *run);
/* The domain's account, as the process knows it, is about to be asked for. */
void check_probe(struct run *run, size_t process, size_t seat, uint32_t domain);
/* The answer has been counted. */
void check_probed(struct run *run, size_t process, size_t seat, const struct probe_call *call);
/* The Secret says that accounts at this host (1 or 2) are at spec.host, too. */
bool is_same_server(const struct secret_thing *secret, uint32_t host,
		    const struct api_registration *object);
/* A value of the annotation that is not done yet. */
bool asks_for_rotation(const struct api_registration *object);
bool asks_for_probe(const struct api_registration *object);
void check_led(struct run *run, uint32_t domain, const struct domain_facts *before,
	       const struct domain_facts *after);
/* Accounts in hand that a fold has let go. */
void check_hand(struct run *run, const struct seat *seat, uint32_t lost, bool discarded);

/* ---- check_template.c: labels and annotations of the Secret ---- */

void check_tags(struct run *run, const struct secret_thing *was, const struct secret_thing *is);
/* A write is about to be sent that makes is of was. */
void check_tag_owners(struct run *run, size_t process, const struct secret_thing *was,
		      const struct secret_thing *is);
void check_tags_at_rest(struct run *run);

/* ---- goal.c: what must be so at the end ---- */

/* What status says is true, and the best that can be. */
void check_goal(struct run *run);
bool awaits_cname(const struct run *run, const struct api_registration *object);

/* ---- fold.c: plan and its folds, remembered ---- */

struct decision {
	enum plan_what what;
	int32_t wake_ms; /* INT32_MAX: only an event */
	bool wants_slot;
	uint32_t work, claims, domain, body, owner_uid, owner_name;
	uint32_t news; /* PATCH_STATUS: all; EMIT_EVENT: one */
	bool leftover; /* EMIT_EVENT: of what deletion had to leave */
};

enum fold {
	FOLD_STATUS, /* generation, news */
	FOLD_READ,
	FOLD_READ_FAILED, /* reason */
	FOLD_WRITTEN,	  /* edit, outcome, reason, sent_ms */
	FOLD_CONFLICT,	  /* edit */
	FOLD_POSTING,	  /* work */
	FOLD_REGISTERED,  /* work, how, account, host */
	FOLD_EXPIRED,	  /* work */
	FOLD_OWNER,	  /* uid, object */
	FOLD_OWNER_STALE,
	FOLD_SELF,	 /* gone */
	FOLD_REFERENCES, /* whether there is a problem, its kind, its message in the texts */
	FOLD_EVENT,	 /* news */
	FOLD_LEFTOVER,
	FOLD_TIME,	    /* ms */
	FOLD_STORE_AT_ONCE, /* the controller's store_at_once() */
	FOLD_PROBE_DUE,
	FOLD_PROBING, /* domain of the spec */
	FOLD_PROBED,  /* how */
	FOLD_ROUND,
};

struct fold_args {
	enum fold fold;
	uint32_t a, b, c, d;
};

void seat_decide(struct run *run, size_t p, size_t s, struct decision *ret);
void seat_fold(struct run *run, size_t p, size_t s, const struct fold_args *args);
/* Makes the edits of these seats, in order; ret_edits: one each, 0 = none. Returns the body of the
 * write, 0 = nothing changed. */
uint32_t seats_edit(struct run *run, size_t p, const size_t *seats, size_t len,
		    uint32_t ret_edits[SEATS]);
const struct api_registration *seat_object(const struct run *run, size_t p, size_t s);

/* How a server answers a POST. */
enum served {
	SERVED_MADE,
	SERVED_LOST, /* made, and no answer comes */
	SERVED_ERROR_MADE,
	SERVED_ERROR,
	SERVED_UNAVAILABLE,
	SERVED_UNREACHABLE,
	SERVED_REPEATED, /* libcurl sends it again when a connection that it used before dies */
	SERVED,
};

bool served_makes(enum served how);

/* How one answers a probe. */
enum probed {
	PROBED_ALIVE,
	PROBED_REJECTED,
	PROBED_NONE,
	PROBED,
};

/* ---- process.c, act.c, reference.c, probe.c, verify.c, channel.c: the controller's glue ---- */

void process_start(struct run *run, size_t p); /* with an empty memory and the cache as it is */
void process_lead(struct run *run, size_t p);
void process_drain(struct run *run, size_t p);
void process_deliver(struct run *run, size_t p, size_t name, const struct version *version);
/* Runs until it waits for somebody; false when it turns in circles. */
void process_run(struct run *run, size_t p);
void process_pass_time(struct run *run, size_t p, int32_t ms);
bool process_is_idle(const struct process *process);
void seat_touch(struct process *process, size_t s);
void seat_settle(struct run *run, size_t p, size_t s);
void seat_want_slot(struct run *run, size_t p, size_t s, bool wants);
void seat_release(struct run *run, size_t p, size_t s);
bool seat_is_busy(const struct seat *seat);
bool seat_has_account(const struct run *run, const struct seat *seat);

/* Begins what a pass has decided. */
void seat_act(struct run *run, size_t p, size_t s, const struct decision *decision);
void process_answer(struct run *run, size_t p, size_t s); /* s: a seat, or CHANNEL */
void process_end_post(struct run *run, struct post *post);

void seat_failed(struct run *run, size_t p, size_t s); /* tries again after a pause */

void seat_read_references(struct run *run, size_t p, size_t s);
void seat_answer_reference(struct run *run, size_t p, size_t s, const struct request *request);
bool seat_has_references(const struct seat *seat, const struct api_registration *object);
void seat_pass_reference_time(struct seat *seat, int32_t ms);

void process_probe_due(struct run *run, size_t p);
void seat_probe(struct run *run, size_t p, size_t s, uint32_t domain); /* of the spec */
void seat_end_round(struct run *run, size_t p, size_t s);
void seat_end_probe(struct run *run, size_t p, size_t s, enum probed how);
uint32_t seat_held(const struct run *run, const struct seat *seat); /* slots of the host */
void seat_take_slots(struct run *run, struct seat *seat, uint32_t more);

bool seat_may_see(const struct run *run, size_t p, size_t s);
void seat_look_up(struct run *run, size_t p, size_t s);
void process_forget_shown(struct run *run, size_t p);
size_t show_seen(const struct api_registration *object, const uint32_t shown[DOMAINS],
		 struct plan_seen ret_seen[DOMAINS]);

void channel_edit_seat(struct run *run, size_t p, size_t s, uint32_t claims);
void channel_run(struct run *run, size_t p);
void channel_answer(struct run *run, size_t p);
void channel_resync(struct run *run, size_t p);
void channel_forget(struct run *run, size_t p); /* after a pause */
void channel_rest_seat(struct run *run, size_t p);
void channel_wake_owners(struct run *run, size_t p);

/* ---- user.c, user_objects.c, user_secrets.c ---- */

struct user_row {
	const char *name;
	bool (*can)(const struct run *run, int arg);
	void (*act)(struct run *run, int arg);
	int arg;
};

/* Each act is in one of them. */
extern const struct user_row object_acts[ACTS], secret_acts[ACTS];

bool user_can(const struct run *run, enum act act);
void user_act(struct run *run, enum act act);
void user_begin(struct run *run);
void user_make(struct run *run, int spec);
void user_make_secret(struct run *run, const char *text);
void user_restore_objects(struct run *run);
bool user_can_lead(const struct run *run, int back);
void user_lead(struct run *run, int back);
/* ' stands for " in the scenarios' texts. */
json_t *user_parse(const char *text);

/* ---- steps.c ---- */

enum step_kind {
	STEP_DELIVER, /* b: 0 what is, 1 the version before, 2 a list without it */
	STEP_SERVE,
	STEP_ANSWER,
	STEP_POST_SERVE,
	STEP_POST_END,
	STEP_PROBE_END, /* a: seat, b: how */
	STEP_LATE,
	STEP_CRASH,
	STEP_TAKE_LEASE,
	STEP_NOTICE,
	STEP_TIME,
	STEP_LONG_TIME,
	STEP_JUMP,
	STEP_FREEZE,
	STEP_PAUSE,
	STEP_RESYNC,
	STEP_PROBE_DUE,
	STEP_LOOK_UP, /* a: seat */
	STEP_USER,
};

struct step {
	uint8_t kind, p, a, b;
};

#define STEPS_MOST 96
#define LONG_MS	   21000 /* longer than any claim, POST, request or lease */

void steps_begin(struct run *run);
/* All that can happen now. */
size_t steps_list(const struct run *run, struct step steps[STEPS_MOST]);
void steps_apply(struct run *run, const struct step *step);
/* Until the next thing that is due; INT32_MAX = nothing is. */
int32_t steps_next_ms(const struct run *run);

/* One process does nothing meanwhile. */
struct absence {
	size_t process;
	enum {
		ABSENCE_NONE,
		ABSENCE_FROZEN,	 /* its clock stands still, too */
		ABSENCE_STOPPED, /* what has come by then is looked at before anything times out */
	} what;
};

/* absence NULL: all do what they do. */
void steps_pass_time(struct run *run, int32_t ms, const struct absence *absence);
void steps_pass_process_time(struct run *run, size_t p, int32_t ms);
void steps_notice(struct run *run, size_t p); /* that it does not lead any more */
struct request *steps_request(struct world *w, size_t p, size_t s);
/* It changes something at the API server. */
bool steps_writes(const struct request *request);
const char *steps_request_name(const struct request *request);
void steps_give_up(struct world *w, const struct request *request, size_t p);
/* Everybody runs until it waits; times and numbers become those of the state. */
void steps_finish(struct run *run);
size_t steps_processes(const struct run *run);

/* ---- canon.c ---- */

/* Numbers that mean the same become the same. */
void canonicalise(struct run *run);

/* ---- search.c, settle.c ---- */

struct hash {
	uint64_t a, b;
};

struct hash hash_world(const struct world *w);

/* Open addressing; the hashes alone. */
struct set {
	struct hash *places;
	size_t len, room;
};

bool set_add(struct set *set, struct hash hash); /* false: it was there */
bool set_has(const struct set *set, struct hash hash);
void set_done(struct set *set);

/* Faults stop: goes on from run->w until it rests or joins what is known to. */
void settle(struct run *run, struct set *known);

struct result {
	uint32_t states;
	uint64_t steps;
	uint32_t depth;
	uint32_t settled; /* states on the ways to rest, beyond those explored */
	bool complete;	  /* nothing is left within the bounds */
	int64_t ms;
	char broken[240]; /* what was found; "" = nothing */
};

/* False when something is broken; the story is told to stdout. */
bool search(struct store *store, const struct scenario *scenario, uint32_t most,
	    struct result *ret);

#endif
