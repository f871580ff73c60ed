/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_H
#define PLAN_H

/*
 * What to do next for one object: the heart of the operator, and pure.
 *
 *	view -> plan() -> action		decides one thing
 *	view, ledger -> plan_edit() -> ledger	makes the edit that plan() asked for
 *	memory, result -> plan_fold_*() -> memory	learns what came of it
 *
 * There is no clock, no randomness and no I/O but through the view, and no state but the memory,
 * which is a plain value: copied by assignment, compared and hashed as bytes. So a crash is a pass
 * with an empty memory, and every order of faults can be tried on this very code.
 *
 * The order that keeps an account from being lost or made twice (there is no idempotency key, and
 * the server can neither list nor delete): a status patch proves that the object is still the one
 * we see; the Secret is read; a claim is written there by compare-and-swap; only then is /register
 * called, once for a claim and within its time; what it answers is stored before anything else,
 * wherever spec and lease are by then; only then does status name the CNAME.
 *
 * Whether the server still takes the accounts is asked in rounds over all of them, one account at a
 * time, and only of the host that an account belongs to. What comes of it is told, and nothing is
 * ever replaced for it.
 *
 * plan() may run again while POSTs of the object run. It must not run while a Secret edit, a status
 * patch or a question of the object is under way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acmedns/acmedns.h"
#include "api/api.h"
#include "base/attr.h"
#include "base/err.h"
#include "ledger/ledger.h"

/* Registrations of one object at a time; also the slots of one acme-dns host. */
#define PLAN_WORKS 4
/* Claims that are watched for expiry at a time. */
#define PLAN_FOREIGN 4
/* Claims remembered as spent: those of a few edits, each of which may meet a conflict. */
#define PLAN_SPENT 16

#define PLAN_NONCE_LEN	 37		     /* a UUID with its NUL */
#define PLAN_FINDING_LEN (DNSNAME_LEN + 200) /* a domain, and a sentence of it */

/* ---- memory: one an object, by uid ---- */

enum plan_work_state {
	PLAN_WORK_NONE,
	PLAN_WORK_CLAIMED, /* our claim is in the Secret, the POST has not started */
	PLAN_WORK_POSTING,
	PLAN_WORK_IN_HAND, /* an account that is not stored yet: the dearest thing we have */
};

/* One registration. It knows its destination by itself: spec may say something else by then. */
struct plan_work {
	enum plan_work_state state;
	char nonce[PLAN_NONCE_LEN];
	char domain[DNSNAME_LEN]; /* with Shared: the first; the others have the same nonce */
	char host[URL_LEN];
	bool rotates;	    /* the account is to replace the one that the domain has */
	int64_t claimed_ms; /* when the write of the claim was first sent */
	struct acmedns_account account;
};

/* A claim in the Secret that none of our works has: of another process or object, or one of ours
 * of whose POST nobody knows the outcome. It can be taken over, and is counted, from until_ms on.
 */
struct plan_foreign {
	char nonce[PLAN_NONCE_LEN]; /* "" = free */
	int64_t until_ms;
};

#define PLAN_OWNER_WORDS ((API_MAX_DOMAINS + 2 * API_MAX_TAGS + 63) / 64) /* of 64 bits */

/* Whether the owners that our document names for domains and tags of our spec still are. Bit i is
 * domain i of the spec of that generation, bit API_MAX_DOMAINS + i is secretTemplate's. What may be
 * taken is known of one owner at a time, by its uid. */
struct plan_owner {
	char uid[64];			 /* who was asked last; "" = nobody yet */
	uint64_t free[PLAN_OWNER_WORDS]; /* it does not exist or list the domain any more, as of
					    asked_ms */
	uint64_t held[PLAN_OWNER_WORDS]; /* whoever is named lists it, as of since_ms */
	int64_t generation;
	int64_t asked_ms;
	int64_t since_ms;
};

/* What events have to tell; bits. */
enum plan_news {
	PLAN_NEWS_READY = 1,   /* Ready says something else than before */
	PLAN_NEWS_ROTATED = 2, /* a rotation is done: other accounts have taken their place */
	PLAN_NEWS_DRIFTED = 4, /* a CNAME that was right is right no more */
};

/* What went wrong last, and so waits for retry_ms. */
struct plan_failure {
	enum api_reason reason; /* API_REASON_OTHER: nothing did */
	uint32_t times;		/* in a row; for the backoff */
	int64_t retry_ms;
};

/* Rounds over the object's accounts: what is known of them between two. */
struct plan_probe {
	uint32_t stopped; /* the generation whose host is no acme-dns: it is not asked again */
	uint8_t misses;	  /* rounds in a row that found out nothing */
	bool due;	  /* one is to be made */
};

/* The round under way, of this generation, this value of the annotation, and these accounts. */
struct plan_round {
	int64_t generation;
	uint64_t act;
	uint64_t accounts;	/* what they look like */
	uint32_t next;		/* the first domain whose account was not asked yet */
	enum api_reason reason; /* the worst so far; API_REASON_OTHER: none */
	int retry_after_s;	/* what the server has asked for */
	bool asked;		/* one is being asked */
	bool stops;		/* the server is no acme-dns */
	char message[PLAN_FINDING_LEN];
};

/* What a round found and status does not say yet. */
struct plan_finding {
	enum api_reason reason; /* API_REASON_OTHER: nothing */
	bool acted;		/* the round was one that the annotation asks for: */
	uint64_t act;
	char message[PLAN_FINDING_LEN];
};

/* What is known of the DNSEndpoint. */
enum plan_endpoint_state {
	PLAN_ENDPOINT_UNREAD,
	PLAN_ENDPOINT_CURRENT, /* as it should be, be that absent */
	PLAN_ENDPOINT_ABSENT,
	PLAN_ENDPOINT_OTHER, /* ours, and it is to say something else, or to go */
	PLAN_ENDPOINT_FOREIGN,
	/* What keeps it from being known, or from being CURRENT: */
	PLAN_ENDPOINT_CHANGED, /* since it was read */
	PLAN_ENDPOINT_NO_KIND, /* the API server knows no DNSEndpoints */
	PLAN_ENDPOINT_DENIED,  /* it may not be read */
	PLAN_ENDPOINT_REFUSED, /* it may not be written so */
	PLAN_ENDPOINT_UNANSWERED,
};

/* Blank where no DNSEndpoint is wanted, and none is to go. */
struct plan_endpoint {
	uint64_t digest; /* plan_endpoint_digest() of what state is about; 0: nothing */
	uint8_t state;	 /* enum plan_endpoint_state, up to FOREIGN */
	uint8_t trouble; /* the same: UNREAD, or from FOREIGN on; lasts until it is CURRENT */
	uint8_t times;	 /* that something went wrong, in a row */
	bool told;	 /* that it had to be left */
};

struct plan_memory {
	int64_t visited_generation; /* whose first status patch this process has sent; 0 = none */
	struct plan_probe probe;
	struct plan_endpoint endpoint;
	struct plan_failure read;  /* of the Secret: holds up everything */
	struct plan_failure write; /* of the Secret: holds up every edit */
	struct plan_failure claim; /* to register: holds up the next claim only */
	char claim_message[240];
	uint8_t news; /* enum plan_news that are to be told */
	bool leftover_told;
	int64_t missing_ms; /* since when entries are missing that should be there; 0 = none is */
	bool lives;	    /* since the last trouble with the Secret a GET has found the object */
	struct plan_round round;
	struct plan_finding finding;
	struct plan_owner owner;
	struct plan_foreign foreign[PLAN_FOREIGN];
	/* The last claims of ours that surely made no account; their place in the Secret is free.
	 */
	char spent[PLAN_SPENT][PLAN_NONCE_LEN];
	struct plan_work works[PLAN_WORKS]; /* last, see plan_resting() */
};

/* ---- view ---- */

enum plan_secret_state {
	PLAN_SECRET_UNREAD,
	PLAN_SECRET_ABSENT,
	PLAN_SECRET_PRESENT,
};

struct plan_secret {
	enum plan_secret_state state;
	/* Read after the pass became due. An older reading serves for a compare-and-swap only. */
	bool fresh;
	bool opaque; /* its type */
	bool immutable;
	bool adopt;		 /* carries the annotation */
	const char *same_server; /* API_ANNOTATION_SAME_SERVER; NULL: absent */
	const char *host;	 /* API_ANNOTATION_HOST; NULL: absent */
	/* Both documents, the object's key opened; an empty one for ABSENT; NULL if unparsable. */
	const struct ledger *ledger;
	const char *unparsable; /* why; for people */
	const char *key;	/* where the object's accounts are, also when the object is gone */
};

enum plan_host_state {
	PLAN_HOST_UNRESOLVED, /* ask with PLAN_RESOLVE_HOST */
	PLAN_HOST_OK,
	PLAN_HOST_FAILED,      /* the name has no address, or no answer came */
	PLAN_HOST_REFUSED,     /* an address that the operator must not use */
	PLAN_HOST_DOWN,	       /* it fails: no claim; who wants a slot is woken when it has one */
	PLAN_HOST_NOT_ALLOWED, /* by --allowed-hosts and the like: nothing goes there */
};

struct plan_host {
	enum plan_host_state state;
	const char *message; /* lent; why it is not OK */
	int64_t retry_ms;    /* not OK: when to look again */
	unsigned int slots;  /* POSTs that this object may have beyond those it has */
};

/* What spec.auth refers to; without a meaning when it is NULL. */
enum plan_references {
	PLAN_REFERENCES_UNREAD, /* ask with PLAN_READ_REFERENCES */
	PLAN_REFERENCES_OK,	/* all there and usable, for this generation */
};

/* What is known of one CNAME of status.records. */
struct plan_seen {
	uint64_t digest;      /* plan_record_digest() of it */
	const char *observed; /* MISMATCH; "" = nothing to show */
	enum cname_verdict verdict;
	enum cname_reason reason;
	bool told; /* seen by this process; else verdict is what status said */
};

struct plan_view {
	const struct api_registration *object; /* NULL: not in the cache */
	const char *holder;		       /* uuid of this process */
	bool leading; /* read fresh; false too once SIGTERM came: nothing new may begin */
	struct plan_secret secret;
	struct plan_host host;
	enum plan_references references;
	const struct plan_seen *seen; /* in DNS; lent */
	size_t seen_len;
	bool verified; /* all of it since API_ANNOTATION_VERIFY has its value */
	const struct dnsname_glob *endpoint_domains; /* --dns-endpoint-domains; lent */
	size_t endpoint_domains_len;
	int64_t now_ms; /* monotonic */
	int64_t wall_s; /* since 1970: for what outlives the process */
	int64_t lost_account_grace_ms;
	int64_t register_timeout_ms;
	int64_t probe_interval_ms;	 /* 0: rounds are made for the annotation only */
	uint64_t random[2 * PLAN_WORKS]; /* for nonces and jitter */
};

/* ---- action ---- */

enum plan_what {
	PLAN_WAIT, /* until wake_ms, or an event */
	PLAN_PATCH_STATUS,
	PLAN_READ_SECRET,
	PLAN_EDIT_SECRET, /* by plan_edit() */
	PLAN_RESOLVE_HOST,
	PLAN_READ_REFERENCES, /* a registration is about to be made */
	PLAN_ASK_OWNER,	      /* GET the AcmeDnsRegistration called name, for its uid and domains */
	PLAN_ASK_SELF,	      /* GET the object itself: does it still exist? */
	PLAN_REGISTER,	      /* POST /register for works[work] */
	PLAN_EXPIRE,	      /* works[work] was not started in time: plan_fold_expired() */
	PLAN_EMIT_EVENT,      /* of news, or of what deletion had to leave */
	PLAN_PATCH_FINALIZER, /* add or remove ours */
	PLAN_PROBE,	      /* ask spec.host for the account of spec.domains[domain] */
	PLAN_END_ROUND,	      /* plan_fold_round() */
	PLAN_READ_ENDPOINT,   /* these three end with plan_fold_endpoint() */
	PLAN_WRITE_ENDPOINT,  /* make it, or change ours, to say what plan_endpoint_list() does */
	PLAN_DELETE_ENDPOINT,
};

struct plan_action {
	enum plan_what what;
	int64_t wake_ms; /* WAIT: INT64_MAX = only an event */
	bool wants_slot; /* WAIT: wake me when the host has a slot */
	int work;
	size_t domain;
	const char *owner_uid; /* ASK_OWNER; both lent from the ledger */
	const char *owner_name;
	unsigned int claims;	  /* EDIT_SECRET: slots that it will take at most */
	bool add;		  /* PATCH_FINALIZER: this one; */
	const char *finalizer;	  /* static */
	enum plan_news news;	  /* EMIT_EVENT: one of them, if leftover is NULL */
	const char *leftover;	  /* EMIT_EVENT: why entries stay behind, or */
	bool leaves_endpoint;	  /* the DNSEndpoint does */
	struct api_status status; /* PATCH_STATUS; plan_action_done() frees */
};

/* Fills *ret_action. */
void plan(const struct plan_view *view, const struct plan_memory *memory,
	  struct plan_action *ret_action);
void plan_action_done(struct plan_action *action);
const char *plan_what_name(enum plan_what what); /* "PatchStatus", for logs */

/* ---- edit ---- */

/* What an edit did, to be folded when its write has ended. */
struct plan_edit {
	struct plan_work claimed[PLAN_WORKS]; /* state NONE or CLAIMED */
	bool stored[PLAN_WORKS];	      /* works[i].account is the domain's entry now */
	bool discarded[PLAN_WORKS];	      /* another account was there first */
	/* Accounts that may exist unknown to anybody, counted in our document by this edit. */
	unsigned int uncertain;
	bool too_large; /* a claim was left out: the Secret could not take the account */
	bool retagged; /* a label or annotation that another object may want alike is another now */
};

/* Makes every edit that the object needs now: stores first, then owners, adoptions, shares, claims,
 * labels; of an object that is being deleted under Delete, stores and the removal of what it owns.
 * Finding nothing to do is fine. The ledger is another opening of the reading in the view, and the
 * newest; view->host.slots are the slots that it may take. Whatever comes of the edit, the next
 * view shows this reading, what was written, or a newer one, never an older one. */
void plan_edit(const struct plan_view *view, const struct plan_memory *memory,
	       struct ledger *ledger, struct plan_edit *ret_edit);

/* ---- fold ---- */

/* The status patch of a generation was accepted; news as plan_news() said. */
void plan_fold_status(struct plan_memory *memory, int64_t generation, unsigned int news);
/* It turned out only later that it was: nothing hangs on that but what is to be told. */
void plan_fold_news(struct plan_memory *memory, unsigned int news);

/* A fresh reading of the Secret is in the view: notes whose claims are there. */
void plan_fold_read(struct plan_memory *memory, const struct plan_view *view);
/* SecretDenied or SecretUnavailable. */
void plan_fold_read_failed(struct plan_memory *memory, const struct plan_view *view,
			   enum api_reason reason);

enum plan_outcome { PLAN_WRITTEN, PLAN_WRITE_REFUSED, PLAN_WRITE_UNKNOWN };

struct plan_written {
	enum plan_outcome outcome;
	int64_t sent_ms; /* when the first write with these claims was sent */
	/* REFUSED: SecretDenied, SecretTooLarge, NamespaceTerminating;
	 * UNKNOWN: SecretUnavailable */
	enum api_reason reason;
};

void plan_fold_written(struct plan_memory *memory, const struct plan_view *view,
		       const struct plan_edit *edit, const struct plan_written *written);

/* The write met a conflict and the edit is made anew. The conflict may be with itself, when the
 * transport had to send it twice: what it claimed is surely without a POST. */
void plan_fold_conflict(struct plan_memory *memory, const struct plan_edit *edit);

void plan_fold_posting(struct plan_memory *memory, int work);
/* account is copied when result says REGISTERED. */
void plan_fold_registered(struct plan_memory *memory, const struct plan_view *view, int work,
			  const struct acmedns_result *result,
			  const struct acmedns_account *account);
/* What the spec refers to was read; problem NULL: it can be used. Otherwise nothing is registered:
 * until it has been read again (ERR_NOT_FOUND, ERR_DENIED), or the spec is another (ERR_INVALID).
 */
void plan_fold_references(struct plan_memory *memory, const struct plan_view *view,
			  const struct err *problem);
/* The POST of a claim was not started in time, or may not start any more. */
void plan_fold_expired(struct plan_memory *memory, int work);
/* What a GET of the owner's name brought: NULL = it does not exist any more. */
void plan_fold_owner(struct plan_memory *memory, const struct plan_view *view, const char *uid,
		     const struct api_registration *owner);
/* Another object with the Secret changed or went: whom we asked for may have given up a domain. */
void plan_fold_owner_stale(struct plan_memory *memory);
/* What a GET of the object itself brought. Gone: what is in hand cannot be stored any more and is
 * given up; returns how many accounts. */
int plan_fold_self(struct plan_memory *memory, bool gone);
void plan_fold_event(struct plan_memory *memory, enum plan_news told);
/* It was told that deletion had to leave entries. */
void plan_fold_leftover(struct plan_memory *memory);

/* It is time for a round. */
void plan_fold_probe_due(struct plan_memory *memory);
/* The account of spec.domains[domain] is being asked; plan_fold_probed() ends that. */
void plan_fold_probing(struct plan_memory *memory, const struct plan_view *view, size_t domain);
/* An answer counts if the object is the same and all its accounts are. */
void plan_fold_probed(struct plan_memory *memory, const struct plan_view *view,
		      const struct acmedns_probe_result *result);
/* The view is that of PLAN_END_ROUND. Returns the pause before the next round, which is without a
 * meaning when probe_interval_ms is 0. */
int64_t plan_fold_round(struct plan_memory *memory, const struct plan_view *view);

/* What a look at the DNSEndpoint, or a write of it, has brought, for what was wanted of it by that
 * look. Returns the pause before it is to be looked at again; 0: nothing is wrong. */
int64_t plan_fold_endpoint(struct plan_memory *memory, const struct plan_view *view,
			   uint64_t digest, enum plan_endpoint_state state);
/* It was told that the DNSEndpoint had to be left. */
void plan_fold_endpoint_left(struct plan_memory *memory);
/* None is wanted, and none is to go. */
void plan_fold_endpoint_end(struct plan_memory *memory);

/* ---- the DNSEndpoint ---- */

/* One is wanted, or ours is to go: only then is it looked at. */
bool plan_minds_endpoint(const struct plan_view *view);
bool plan_wants_endpoint(const struct plan_view *view);
/* What is to stand in it; lent by view. The view has an object. */
size_t plan_endpoint_list(const struct plan_view *view, struct api_cname ret_list[API_MAX_DOMAINS]);
/* Tells what is wanted of it from all else; never 0. */
uint64_t plan_endpoint_digest(const struct plan_view *view);
/* So bad that status says it. */
bool plan_is_endpoint_trouble(const struct plan_endpoint *endpoint);
/* What went wrong has done so more than once or twice. */
bool plan_is_endpoint_lasting(const struct plan_endpoint *endpoint);

/* ---- small questions about a memory ---- */

/* POSTs that may still make an account, and accounts not stored: what a process must not leave. */
int plan_unfinished(const struct plan_memory *memory);
/* Slots of the host that it takes: works CLAIMED or POSTING. */
int plan_slots_held(const struct plan_memory *memory);
/* The verdict of a record of status, as status tells it. */
enum cname_verdict plan_said(const struct api_status *status, const struct api_record *record);
/* What tells a record from one of another domain or value. */
uint64_t plan_record_digest(const char *domain, const char *value);
/* What is new when status is written over the object's: enum plan_news. */
unsigned int plan_news(const struct api_registration *object, const struct api_status *written);
/* The pause after a round that found this, but for jitter. */
int64_t plan_probe_pause_ms(int64_t interval_ms, enum api_reason found);
/* What is asked there is asked under CAs of the spec, which PLAN_READ_REFERENCES has to bring. */
bool plan_probe_trusts(const struct api_spec *spec);
/* Nothing in works: what comes before them in the struct is all of the memory. */
bool plan_resting(const struct plan_memory *memory);

#endif
