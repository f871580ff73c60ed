/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_IMPL_H
#define PLAN_IMPL_H

#include "plan/plan.h"

/* retry_ms of a failure that only another spec can heal. */
#define PLAN_NEVER INT64_MAX
/* How long the answer about an owner is believed. */
#define PLAN_OWNER_MS 60000

/* ---- plan_assess.c: what each domain needs, by the documents as they are ---- */

enum plan_need {
	NEED_NOTHING,	 /* an account at our host, ours */
	NEED_WORK,	 /* a registration of ours is under way */
	NEED_ADOPT,	 /* an account that nobody has taken yet */
	NEED_SHARE,	 /* a copy of the object's account */
	NEED_CLAIM,	 /* a registration */
	NEED_FOREIGN,	 /* a claim that is not ours has to end or expire first */
	NEED_SWITCH,	 /* a rotation: the account to use is there already */
	NEED_CNAME,	 /* the same, but the CNAME does not lead to it yet */
	NEED_REHOST,	 /* the account is at spec.host, under another address */
	NEED_OWNER,	 /* another owner is named: is it still one? */
	NEED_CONFLICT,	 /* it is */
	NEED_HOST,	 /* an account at another host: HostChanged */
	NEED_MISSING,	 /* our document or status names an account that is not there */
	NEED_INCOMPLETE, /* an entry without all of its fields */
	NEEDS,
};

struct plan_domain {
	enum plan_need need;
	bool take;    /* the owner named is none any more: name us with the same edit */
	bool counted; /* CLAIM, SHARE: the claim before may have made an account */
	bool rotates; /* CLAIM, FOREIGN: for a domain that has an account */
	bool missing; /* ours, as our document or status says, and not there */
	bool asked;   /* ours, and a rotation that was not done yet is asked for it */
	bool named;   /* has an account that is ours, at whatever host */
	bool served;  /* at our host */
	/* An account at our host that waits, or is retired; NULL: none is. Lent by the ledger. */
	const char *spare;
	const char
		*next; /* CNAME, SWITCH: what the CNAME has to lead to first; NULL: it need not */
};

enum plan_tag_need {
	TAG_FINE,
	TAG_PUT,
	TAG_ASK,  /* another owner is named: does it still want the key? */
	TAG_HELD, /* it does, with another value; from here on it is a conflict */
	TAG_FOREIGN,
	TAG_NO_ROOM,
	TAG_ADOPTED, /* of all: the Secret is not one that we made */
};

/* spec.secretTemplate; numbers are places in it. */
struct plan_tags {
	size_t edits; /* tags to put or to take away */
	bool asks;
	size_t ask_at;		     /* the first whose owner is to be asked */
	bool held;		     /* by another owner, who may let go */
	enum plan_tag_need conflict; /* the first; FINE: none */
	size_t conflict_at;
};

struct plan_assessment {
	struct plan_domain domains[API_MAX_DOMAINS];
	size_t count[NEEDS];
	size_t takes;
	size_t served;
	size_t missing;
	size_t remade;	   /* MISSING, and made already for the loss that status tells of */
	size_t rotating;   /* asked for */
	size_t unwatched;  /* FOREIGN, and their time has not begun */
	size_t removals;   /* domains that the spec names no more, under Delete */
	int first[NEEDS];  /* the first domain with that need, or -1 */
	int shared_source; /* SHARE: the domain whose account the others get */
	int64_t wake_ms;   /* when a claim expires or an owner is asked again */
	struct plan_tags tags;
};

/* ledger: of the object's key. */
void plan_assess(const struct plan_view *view, const struct plan_memory *memory,
		 const struct ledger *ledger, struct plan_assessment *ret);
/* An account was named for the domain, by us or in status. */
bool plan_had_account(const struct api_registration *object, const char *domain,
		      const struct ledger_entry *entry);
/* Accounts are missing, and the loss that status tells of is not this one. */
bool plan_is_new_loss(const struct plan_view *view, const struct plan_assessment *assessment);
/* Accounts went missing, were made again, and went missing again within a day. */
bool plan_is_contested(const struct plan_view *view, const struct plan_assessment *assessment);
/* A rotation is asked for that was not honoured for the whole object. */
bool plan_rotation_asked(const struct api_registration *object);
/* Something can be written without a claim. */
bool plan_has_edits(const struct plan_assessment *assessment);
/* Something is to be written now or as soon as it is known. */
bool plan_wants_edit(const struct plan_assessment *assessment);

/* Whose until_ms says when the claim can be taken over; NULL when it is not watched. */
const struct plan_foreign *plan_find_foreign(const struct plan_memory *memory, const char *nonce);
/* The time of a claim begins with a reading of the object's own, which finds a place for it. */
bool plan_must_watch(const struct plan_memory *memory, const struct plan_assessment *assessment);

/* Where the account of an entry is; "" = nobody says. */
const char *plan_entry_host(const struct ledger_entry *entry);

/* Why the Secret as it stands cannot be used; API_REASON_OTHER when it can. */
enum api_reason plan_secret_problem(const struct plan_view *view);
/* Nor can it be written. */
bool plan_is_writable(const struct plan_view *view);

/* Another owner is named for a domain or tag, whose bit in plan_owner that is: NEED_NOTHING when it
 * may be taken from it, NEED_OWNER, or NEED_CONFLICT. */
enum plan_need plan_judge_owner(const struct plan_view *view, const struct plan_memory *memory,
				const char *uid, const char *name, size_t bit);

/* ---- plan_edit.c ---- */

/* The object, as our document names owners; lent by the view. */
struct ledger_owner plan_self(const struct plan_view *view);

/* ---- plan_template.c: spec.secretTemplate ---- */

bool plan_wants_tag(const struct api_registration *object, bool annotation, const char *key);
void plan_assess_tags(const struct plan_view *view, const struct plan_memory *memory,
		      const struct ledger *ledger, struct plan_tags *ret);
/* What our document says of a tag of the spec. */
void plan_look_tag(const struct plan_view *view, size_t i, struct ledger_tag *ret_tag);
/* Tags that are there for the object, and that it wants no more: all, when it is being deleted. */
size_t plan_unwanted_tags(const struct plan_view *view, const struct ledger *ledger);
bool plan_drop_tags(const struct plan_view *view, struct ledger *ledger); /* true: there were */
/* Last of an edit: the Secret is made for accounts only. True: one of its own changed. */
bool plan_put_tags(const struct plan_view *view, const struct plan_memory *memory,
		   struct ledger *ledger);
/* Of the conflict, for people. */
void plan_tag_message(const struct plan_view *view, const struct plan_tags *tags, char *ret,
		      size_t len);

/* ---- plan.c ---- */

/* The object is ours to act on. */
bool plan_may_act(const struct plan_view *view);
/* And its spec is to be brought about. */
bool plan_may_begin(const struct plan_view *view);
/* What the view says of the host, and how it is reached, is of another than spec.host: of the one
 * where the object's requests still run. */
bool plan_is_busy_elsewhere(const struct plan_view *view, const struct plan_memory *memory);
/* No pause after a failed read or write of the Secret is on; else the action says when it ends. */
bool plan_may_try(const struct plan_view *view, const struct plan_memory *memory,
		  struct plan_action *action);
/* Claims that may be made now: by needs, free works, slots, and the last failure. */
unsigned int plan_claims(const struct plan_view *view, const struct plan_memory *memory,
			 const struct plan_assessment *assessment);
int64_t plan_claim_timeout_s(const struct plan_view *view);

/* ---- plan_finalize.c: deletionPolicy ---- */

/* The object is on its way out, and waits for us. */
bool plan_is_leaving(const struct plan_view *view);
/* What is to be done before it may go. */
void plan_finalize(const struct plan_view *view, const struct plan_memory *memory,
		   struct plan_action *action);
/* Another process, or nobody knows who, may be about to store an account for the object. */
bool plan_awaits_claim(const struct plan_view *view, const struct plan_memory *memory,
		       const struct ledger *ledger, struct plan_assessment *ret_assessment);
/* Domains in our document that are the object's and that it does not list, to be removed. */
size_t plan_removals(const struct plan_view *view, const struct plan_memory *memory,
		     const struct ledger *ledger);

/* ---- plan_probe.c: do the servers still take the accounts? ---- */

/* There is nothing else to do. */
void plan_probe(const struct plan_view *view, const struct plan_memory *memory,
		const struct plan_assessment *assessment, struct plan_action *action);
/* The reason is one that a round may find. */
bool plan_is_finding(enum api_reason reason);
/* The finding is what the annotation, as it is now, has asked for. */
bool plan_is_probe_done(const struct api_registration *object, const struct plan_finding *finding);

/* ---- plan_cname.c: do the CNAMEs lead where status says? ---- */

/* Completes the records of want and sets CNAMEReady; returns lastHandled.verify, lent by view. */
const char *plan_cname(const struct plan_view *view, const struct plan_memory *memory,
		       struct api_status *want);
/* This process has seen that the domain's CNAME leads there. */
bool plan_leads_to(const struct plan_view *view, const char *domain, const char *value);
/* A rotation: the CNAME was changed to the account that follows. */
bool plan_is_moved(const struct api_record *record);
/* A CNAME that was found is not, by what is written. */
bool plan_is_drift(const struct api_registration *object, const struct api_status *written);

/* ---- plan_endpoint.c: external-dns is to make the CNAMEs ---- */

/* There is nothing else to do. */
void plan_endpoint(const struct plan_view *view, const struct plan_memory *memory,
		   const struct plan_assessment *assessment, struct plan_action *action);
/* The object is on its way out, and has the finalizer that stands for a DNSEndpoint. */
bool plan_is_endpoint_leaving(const struct plan_view *view);
/* What is to be done before that finalizer goes. */
void plan_endpoint_leave(const struct plan_view *view, const struct plan_memory *memory,
			 struct plan_action *action);
/* Where the CNAME of a domain is to lead by now; NULL: nowhere yet. */
const char *plan_endpoint_target(const struct plan_view *view, const char *domain);
/* external-dns is asked for the CNAME of that domain, if it has a target. */
bool plan_is_handed_over(const struct plan_view *view, const char *domain);
/* Sets CNAMEReady if that keeps a CNAME away that was not found, and returns true. */
bool plan_tell_endpoint(const struct plan_view *view, const struct plan_memory *memory,
			struct api_status *want);

/* ---- plan_fold.c ---- */

/* base x 2^times up to cap, plus up to half of it at random. */
int64_t plan_backoff_ms(const struct plan_view *view, uint32_t times, int64_t base, int64_t cap);

/* ---- plan_status.c ---- */

/* It is worth a word in status. */
bool plan_is_told(const struct plan_failure *failure);
/* The first patch of a process for a generation: what is known stays, the rest is Unknown. */
void plan_status_visit(const struct api_registration *object, const struct plan_memory *memory,
		       struct api_status *ret_status);
/* spec.suspend: the same, and nothing is under way. */
void plan_status_suspend(const struct api_registration *object, const struct plan_memory *memory,
			 struct api_status *ret_status);
/* What the user should see. assessment NULL: the documents are not known. */
void plan_status_want(const struct plan_view *view, const struct plan_memory *memory,
		      const struct plan_assessment *assessment, struct api_status *ret_status);

#endif
