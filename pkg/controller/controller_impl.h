/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_IMPL_H
#define CONTROLLER_IMPL_H

#include "base/hash.h"

#include "api/api.h"
#include "breaker/breaker.h"
#include "controller/controller.h"
#include "dns/dns.h"
#include "http/http.h"
#include "informer/informer.h"
#include "ledger/ledger.h"
#include "plan/plan.h"
#include "resolve/resolve.h"
#include "workq/workq.h"

#define CONTROLLER_NAME "acmednsregistration"

/* The memory of a resting object: all that comes before the works. */
#define MEMORY_HEAD offsetof(struct plan_memory, works)
/* What is kept of it in any case: all that comes before that. */
#define MEMORY_KEPT offsetof(struct plan_memory, read)

struct channel;
struct endpoint;
struct host;
struct lookup_line;
struct reference;
struct verify;

/* A timer that several wishes may set, and that rings at the earliest of them. */
struct alarm {
	struct event *event; /* NULL until alarm_start() */
	int64_t at_ms;	     /* when it rings; 0: it does not */
	int64_t least_ms;    /* never sooner than after that */
	void (*on_alarm)(void *ctx);
	void *ctx;
};

/* What an object waits for at its Secret. */
enum record_stage {
	RECORD_NOTHING,
	RECORD_READING, /* for a GET sent after it asked */
	RECORD_EDITING, /* for its turn to write */
	RECORD_WRITING, /* for the end of a write that carries its edit */
	RECORD_STAGES,
};

/* One object, by uid; lives on after the object until what it began is finished. */
struct record {
	struct controller *controller;
	char *uid;
	const char *namespace; /* interned, like the key */
	char *name;
	const char *secret_key;
	struct channel *channel; /* to its Secret */
	struct host *host;	 /* NULL until spec.host was read */
	/* What the spec refers to, while registrations need it; NULL: unread. */
	struct reference *reference;

	/* The memory; NULL while it rests: then its head, and if that is NULL too, what is kept in
	 * any case, is all of it. */
	struct plan_memory *memory;
	void *head;
	unsigned char kept[MEMORY_KEPT];

	char own_rv[KUBE_RV_LEN]; /* resourceVersion of our last own write; "" = none */
	int64_t due_ms;		  /* the pass must see a Secret read at or after this time */
	int64_t wake_ms;	  /* when plan() wants to look again; 0 = never */
	unsigned int streak;	  /* acts since plan() last found nothing to do */
	struct kube_call *call;	  /* the patch or question under way */
	struct patch *patch;	  /* what that patch says */
	struct patch *lost;	  /* one with news whose outcome is not known; NULL: none */
	char *asked_uid;	  /* whom that question is about */
	unsigned int asked_at;	  /* channel->changes when it was sent */
	struct post *posts[PLAN_WORKS];
	struct probe *probe; /* an account is being asked for */
	int64_t probe_ms;    /* when the next round is due; 0: not before something happens */

	/* verify.c */
	struct verify *verify; /* the CNAMEs that status names; NULL: none, or none is looked up */
	bool viewed;	       /* a pass was made over the object */

	struct endpoint *endpoint; /* the DNSEndpoint; NULL: none is wanted, and none is to go */

	/* channel.c */
	enum record_stage stage;
	struct plan_edit *edit;			    /* in the write under way */
	struct record *channel_prev, *channel_next; /* among all of the Secret */
	struct record *stage_prev, *stage_next;	    /* among those in the same stage */
	/* host.c */
	unsigned int slots; /* taken at host; never less than it holds */
	bool waits_slot, waits_address;
	struct record *slot_prev, *slot_next; /* among those that wait for it */
	struct record *address_prev, *address_next;

	UT_hash_handle hh;
};

struct controller {
	struct controller_options options;
	char holder[PLAN_NONCE_LEN];
	struct informer *informer;
	struct workq *queue;
	struct http *http; /* to tenants' hosts: connections of its own */
	struct resolve *resolve;
	struct record *records;
	struct channel *channels;
	struct host *hosts;
	struct cidr_addr *api_addrs;
	size_t api_addrs_len;
	struct resolve_call *api_call;
	struct event *api_timer;
	bool leading; /* before that there are no records, only the cache */
	bool draining;
	struct event *drain_timer;
	struct event *probe_timer;
	struct dns *dns;
	struct alarm verify_alarm;
	struct lookup_line *lookup_lines;
	int lookups_running;
	struct alarm endpoint_alarm;
	int endpoint_looks; /* under way beside the passes */
	int64_t no_kind_ms; /* so long it is believed that there are no DNSEndpoints; 0: not */
	int64_t drain_until_ms;
	void (*drained)(void *ctx);
	void *drained_ctx;
	struct {
		struct metrics_family *reconciles, *reconcile_time, *registrations, *orphaned;
		struct metrics_family *unavailable, *health_probes, *probes, *lookups, *drifts;
	} metrics;
};

/* ---- controller.c ---- */

/* Why an address that a tenant's server has must not be used, as cidr_refusal(); ctx is the
 * controller. */
const char *controller_refusal(void *ctx, const struct cidr_addr *addr);

/* ---- alarm.c ---- */

/* Of one that is zeroed but for least_ms, and stays where it is. */
void alarm_start(struct alarm *alarm, struct event_base *base, void (*on_alarm)(void *ctx),
		 void *ctx);
void alarm_stop(struct alarm *alarm); /* one that was never started is fine */
/* It rings at ms by mono_ms(), or sooner. */
void alarm_at(struct alarm *alarm, int64_t ms);

/* ---- record.c ---- */

struct record *record_find(struct controller *controller, const char *uid);
struct record *record_get(struct controller *controller, const struct api_registration *object);
/* Frees it if the object is gone and nothing is under way. */
void record_release(struct record *record);
void record_free(struct record *record);
/* Something has changed at since_ms: the next pass must see a Secret read then or later. */
void record_touch(struct record *record, int64_t since_ms, enum workq_priority priority);
/* The object as cached, or NULL when it is gone or another of the name. */
const struct api_registration *record_object(const struct record *record);
/* The whole memory, to be folded into. */
struct plan_memory *record_memory(struct record *record);
/* After a fold: keeps only the head of a memory at rest. */
void record_rest(struct record *record);
void record_view(struct record *record, struct plan_view *ret_view);
bool record_is_unfinished(const struct record *record);
/* An account that is not stored yet: nothing may hold it up. */
bool record_has_account(const struct record *record);
/* An exclusive act has ended: the memory rests if it can, and the key runs again. */
void record_act_ended(struct record *record);

/* ---- act.c ---- */

void act_pass(void *ctx, const char *uid); /* the queue's handler; ctx is the controller */
void act_cancel(struct record *record);
/* An exclusive act has failed: it is logged, and the key runs again after a pause. */
void act_failed(struct record *record, const char *what, const struct err *err);
/* Because what came is neither an object (err NULL) nor a 404 by act_is_not_found(). */
void act_unanswered(struct record *record, const char *what, const struct err *err);
/* A 404 by the API server's own word, and not by that of something before it. */
bool act_is_not_found(const json_t *status, const struct err *err);
/* A right is missing. A token that is being replaced brings a 401, which says nothing of rights. */
bool act_is_forbidden(const struct err *err);
/* Accounts that may exist unknown to anybody were counted. */
void act_count_orphans(struct record *record, unsigned int count);

/* ---- patch.c: status and finalizers ---- */

/* Each ends with record_act_ended() or act_failed(). */
void patch_take_status(struct record *record, const struct plan_view *view,
		       struct api_status *status);
void patch_finalizer(struct record *record, const struct plan_view *view,
		     const struct plan_action *action);
/* Before a pass: a status patch whose reply was lost was accepted, if the object now says what it
 * does; then its news are folded. */
void patch_settle(struct record *record, const struct api_registration *object);
void patch_drop(struct record *record);

/* ---- post.c: POST /register ---- */

void post_start(struct record *record, const struct plan_view *view, int work);
bool post_is_running(const struct record *record);
void post_cancel_all(struct record *record);

/* ---- probe.c: do the servers still take the accounts? ---- */

/* Begins to look for objects whose next round is due. */
void probe_start_timer(struct controller *controller);
/* When the first round of an object that was not known before is due. */
int64_t probe_first_ms(const struct controller *controller, const struct api_registration *object);
/* Asks for the account of spec.domains[domain]; passes go on meanwhile. */
void probe_start(struct record *record, const struct plan_view *view, size_t domain);
void probe_end_round(struct record *record, const struct plan_view *view);
void probe_cancel(struct record *record);

/* ---- verify.c: do the CNAMEs lead to the accounts? ---- */

int verify_start(struct controller *controller, struct err *err) MUST_CHECK;
void verify_stop(struct controller *controller); /* after the records */
/* Begins to look up CNAMEs that status has come to name, lets go of others, and shows what is known
 * of them: view->seen is lent until verify_view() or verify_drop() of the record is called again.
 */
void verify_view(struct record *record, struct plan_view *view);
void verify_drop(struct record *record);

/* ---- endpoint.c: the DNSEndpoint ---- */

void endpoint_start(struct controller *controller);
void endpoint_stop(struct controller *controller); /* after the records */
/* Lets it be looked at now and then. */
void endpoint_view(struct record *record, struct plan_view *view);
/* READ, WRITE or DELETE_ENDPOINT; ends with plan_fold_endpoint() and record_act_ended(). */
void endpoint_act(struct record *record, const struct plan_view *view, enum plan_what what);
void endpoint_drop(struct record *record);

/* ---- reference.c: what the spec refers to, to authenticate both ends of a registration ---- */

/* UNREAD also when it was read too long ago, or for another generation. */
enum plan_references reference_view(const struct record *record,
				    const struct api_registration *object);
/* Ends with plan_fold_references() and record_act_ended(), or with act_failed(). */
void reference_read(struct record *record, const struct plan_view *view);
/* For requests to the object's host, once it is read; lent until reference_read() or _drop(). NULL:
 * the object refers to nothing. */
const struct auth *reference_auth(const struct record *record,
				  const struct api_registration *object);
/* The CA in it, for a call that may outlive what was read; the caller frees it and what ret_tls
 * then lends. NULL: there is none, as in an auth that is NULL. */
char *reference_copy_ca(const struct auth *auth, struct http_tls *ret_tls);
void reference_drop(struct record *record); /* wipes it */

/* ---- channel.c: one Secret, one writer ---- */

struct channel *channel_get(struct controller *controller, const char *namespace, const char *name);
void channel_add(struct channel *channel, struct record *record);
void channel_remove(struct channel *channel, struct record *record); /* frees an empty channel */
void channel_view(struct channel *channel, const struct record *record,
		  struct plan_secret *ret_secret);
/* Ends with plan_fold_read() or plan_fold_read_failed() and record_act_ended(). */
void channel_read(struct channel *channel, struct record *record);
/* Ends with plan_fold_written() and record_act_ended(); merged with what others of the Secret want.
 */
void channel_edit(struct channel *channel, struct record *record);
/* Another object of the Secret has changed or is gone. */
void channel_wake_losers(struct channel *channel);
/* An object has asked for an owner: it is one of the losers. */
void channel_note_loser(struct channel *channel);
/* A pass has ended with nothing to do: a reading that no other object can use is let go. */
void channel_rest(struct channel *channel);

/* ---- snapshot.c: a Secret as it was read ---- */

struct snapshot {
	bool known;
	bool exists;
	bool opaque, immutable, adopt;
	const char *same_server; /* the annotations, lent by tags; NULL: absent */
	const char *host;
	char rv[KUBE_RV_LEN];
	int64_t as_of_ms; /* when the request was sent that brought it */
	struct ledger_value *values;
	size_t values_len;
	json_t *tags;	       /* {labels, annotations} of the Secret; NULL: absent */
	struct ledger *ledger; /* lent to views; NULL when our document is unreadable */
	char *unparsable;      /* why ours, or the last key asked for, is; owned */
};

void snapshot_set(struct snapshot *snapshot, const json_t *secret, int64_t as_of_ms);
void snapshot_set_absent(struct snapshot *snapshot, int64_t as_of_ms);
/* The contents go; what else it says is of the last reading. */
void snapshot_drop(struct snapshot *snapshot);
/* A ledger of its own, to be edited; NULL when our document is unreadable. */
struct ledger *snapshot_open(const struct snapshot *snapshot, struct err *err) MUST_CHECK;
/* Its trees take a megabyte or more. */
bool snapshot_is_large(const struct snapshot *snapshot);
/* Metadata and the values that a ledger changed, as a create or a merge patch. Owned by the caller.
 */
json_t *snapshot_body(const struct snapshot *snapshot, const char *namespace, const char *name,
		      struct ledger *edited);

/* ---- channel.c and channel_write.c ---- */

struct channel {
	struct controller *controller;
	char *key;	       /* "namespace/name" */
	const char *namespace; /* interned */
	const char *name;      /* the end of the key */
	struct record *records;
	struct record *stages[RECORD_STAGES]; /* those in each but RECORD_NOTHING */
	struct snapshot snapshot;
	bool seen;		/* snapshot.rv is that of the last reading; "" = absent */
	bool has_losers;	/* one of the objects has asked for an owner */
	unsigned int changes;	/* of the objects, as the cache has brought them */
	bool piecewise;		/* one object a write, until nobody wants one */
	unsigned int conflicts; /* of writes, in a row */
	struct kube_call *call; /* the one read or write under way */
	int64_t sent_ms;	/* when that was sent */
	struct alarm alarm;	/* for the earliest of these: */
	int64_t work_ms, keep_ms, resync_ms;
	int64_t pause_ms; /* no work before that */
	UT_hash_handle hh;
};

extern const struct kube_resource controller_registrations;
extern const struct kube_resource channel_secrets;

#define CHANNEL_REQUEST_MS 15000

/* Looks for something to do, in ms at the latest but for a pause. */
void channel_work_in(struct channel *channel, int64_t ms);
void channel_move(struct record *record, enum record_stage stage);
/* Ends those who waited for the reading that has come; with err all, also those who want to write:
 * they need one, too. */
void channel_end_reads(struct channel *channel, const struct err *err);
/* The server has asked for more patience than a failure has by itself. */
void channel_respect(struct plan_failure *failure, const struct err *err);
/* Sends the edits that wait, or ends them when there is nothing to send. */
void channel_write(struct channel *channel);

/* ---- host.c: one acme-dns server, and its addresses ---- */

/* Objects of one namespace that wait for a slot, in the order they came. */
struct host_line {
	char *namespace;
	struct record *records;
	UT_hash_handle hh; /* the order of the hash is that of the turns */
};

struct host {
	struct controller *controller;
	char *url; /* its base URL, in normal form: behind one port may be many servers */
	char name[DNSNAME_LEN];
	int port;
	bool ipv6;
	size_t users;
	const char *forbidden; /* by the administrator: why; static */
	char *proxy;	       /* NULL: none */
	/* addresses */
	struct resolve_call *call;
	enum plan_host_state state;
	int64_t until_ms; /* when state becomes UNRESOLVED again */
	int64_t failed_ms;
	char message[160];
	char *pin;
	struct record *wait_address;
	/* slots */
	unsigned int taken; /* the sum of the records' */
	struct host_line *lines;
	/* whether it lives */
	struct breaker breaker;
	struct event *question_timer; /* NULL until the first question */
	struct http_call *question;   /* GET /health under way */
	bool asks_address;	      /* the question waits for an address */
	UT_hash_handle hh;
};

void host_use(struct record *record, const char *url);
void host_leave(struct record *record);
void host_view(struct record *record, struct plan_host *ret_host);
void host_resolve(struct record *record); /* wakes the record when there is an answer */
bool host_is_resolved(const struct host *host);
void host_look_up(struct host *host); /* ends with host_ask() */
/* For http_request, once host_is_resolved() or host_view() has said that it may be used. */
const char *host_pin(const struct host *host);
void host_free_all(struct controller *controller);

/* ---- host_slots.c: its slots ---- */

void host_take_slots(struct record *record, unsigned int more);
void host_wait_slot(struct record *record);
void host_want_no_slot(struct record *record);
/* Gives back what neither works nor an edit under way need, to the next that waits. */
void host_settle(struct record *record);
/* Slots that the object's works and its probe need. */
unsigned int host_held(const struct record *record);
unsigned int host_free_slots(const struct host *host);
/* To those whose turn it is, as long as there are any. */
void host_offer_slots(struct host *host);
void host_leave_line(struct record *record);
/* Those who wait shall look again at the host: they keep their places. */
void host_wake_lines(struct host *host);

/* ---- host_breaker.c: whether it lives ---- */

/* What came of a POST. */
void host_note(struct record *record, const struct acmedns_result *result, enum http_fault fault,
	       int64_t sent_ms);
/* Slots that may be in use at a time. */
unsigned int host_most_slots(const struct host *host);
/* When it is time, if somebody waits and the breaker is open. */
void host_ask_later(struct host *host);
/* Asks now, if that only waited for an address; without one it is dead. */
void host_ask(struct host *host);
void host_forget_breaker(struct host *host);

#endif
