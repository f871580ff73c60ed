/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "plan/plan_impl.h"

/* What every step of an edit needs. */
struct editor {
	const struct plan_view *view;
	const struct plan_memory *memory;
	struct ledger *ledger;
	const char *key;
	struct plan_edit *edit;
};

struct ledger_owner plan_self(const struct plan_view *view)
{
	return (struct ledger_owner){.uid = view->object->uid, .name = view->object->name};
}

/* The rotation that is asked for, if any, needs no doing for the domain, or is done with it. */
static void honour(const struct editor *e, const char *domain)
{
	if (e->view->object && *e->view->object->rotate)
		ledger_set_rotated(e->ledger, e->key, domain, e->view->object->rotate);
}

/* ---- stores ---- */

/* Should the account that was made for a lost one be lost in turn, that is another loss, also if
 * status has not come to say so. */
static void note_loss(const struct editor *e, const char *domain, const struct ledger_entry *entry)
{
	const struct api_registration *object = e->view->object;

	if (object && object->status.loss_s >= 0 && plan_had_account(object, domain, entry))
		ledger_set_loss(e->ledger, e->key, domain, object->status.loss_s);
}

/* True when the domain has this account, now or already: the answer to a write may have been lost.
 */
static bool store_for(const struct editor *e, const char *domain, const struct plan_work *work)
{
	struct ledger_entry entry;

	ledger_look(e->ledger, e->key, domain, &entry);
	if (!entry.present) {
		note_loss(e, domain, &entry);
		ledger_store(e->ledger, e->key, domain, work->host, &work->account);
		honour(e, domain);
		return true;
	}
	if (entry.rotates && strcmp(entry.nonce, work->nonce) == 0) {
		ledger_store_next(e->ledger, e->key, domain, work->host, &work->account);
		return true;
	}
	return strcmp(entry.fulldomain, work->account.fulldomain) == 0 ||
	       strcmp(entry.next_fulldomain, work->account.fulldomain) == 0;
}

/* With Shared the claim is on several domains, no more than a spec can have: each that has none
 * gets the account. */
static void store(const struct editor *e, size_t i)
{
	const struct plan_work *work = &e->memory->works[i];
	bool stored = store_for(e, work->domain, work);
	const char *domain = NULL;
	int claimed = 0;

	while (claimed++ < API_MAX_DOMAINS &&
	       (domain = ledger_next_claimed(e->ledger, e->key, work->nonce, domain)))
		stored |= store_for(e, domain, work);
	e->edit->stored[i] = stored;
	e->edit->discarded[i] = !stored;
	if (stored)
		return;
	ledger_discard(e->ledger, e->key, work->domain, work->nonce);
	e->edit->uncertain++;
}

/* ---- owners, adoptions, shares ---- */

static void take_or_adopt(const struct editor *e, const struct plan_assessment *a, size_t i)
{
	const char *domain = e->view->object->spec.domains[i];
	const struct ledger_owner owner = plan_self(e->view);
	struct ledger_entry entry;

	if (a->domains[i].need != NEED_ADOPT && !a->domains[i].take)
		return;
	ledger_set_owner(e->ledger, e->key, domain, &owner);
	honour(e, domain);
	ledger_look(e->ledger, e->key, domain, &entry);
	if (a->domains[i].need == NEED_ADOPT && entry.origin == LEDGER_NONE)
		ledger_adopt(e->ledger, e->key, domain, e->view->object->spec.host);
}

static void switch_or_rehost(const struct editor *e, const struct plan_assessment *a, size_t i)
{
	const struct api_spec *spec = &e->view->object->spec;
	const char *domain = spec->domains[i];
	struct ledger_entry entry;
	const char *host;

	if (a->domains[i].need == NEED_REHOST)
		ledger_rehost(e->ledger, e->key, domain, spec->host);
	if (a->domains[i].need != NEED_SWITCH)
		return;
	ledger_look(e->ledger, e->key, domain, &entry);
	host = plan_entry_host(&entry);
	ledger_switch(e->ledger, e->key, domain, spec->host, *host ? host : spec->host);
	honour(e, domain);
}

static void share(const struct editor *e, const struct plan_assessment *a, size_t i)
{
	const struct api_spec *spec = &e->view->object->spec;
	const char *domain = spec->domains[i];
	const struct ledger_owner owner = plan_self(e->view);
	struct ledger_entry entry;

	if (a->domains[i].need != NEED_SHARE)
		return;
	if (a->domains[i].counted) {
		ledger_look(e->ledger, e->key, domain, &entry);
		ledger_discard(e->ledger, e->key, domain, entry.nonce);
		e->edit->uncertain++;
	}
	ledger_set_owner(e->ledger, e->key, domain, &owner);
	honour(e, domain);
	ledger_share(e->ledger, e->key, spec->domains[a->shared_source], domain);
}

/* By a switch the domain has got another entry than it had. */
static void share_all(const struct editor *e, const struct plan_assessment *a)
{
	const struct api_spec *spec = &e->view->object->spec;
	size_t i;

	if (!ledger_is_sharable(e->ledger, e->key, spec->domains[a->shared_source]))
		return;
	for (i = 0; i < spec->domains_len; i++)
		share(e, a, i);
}

/* ---- claims ---- */

/* Version 4 of RFC 9562, from the view's randomness. */
static void make_nonce(const struct plan_view *view, unsigned int n, char nonce[PLAN_NONCE_LEN])
{
	const uint64_t high = view->random[2 * n];
	const uint64_t low = view->random[2 * n + 1];

	(void)snprintf(nonce, PLAN_NONCE_LEN, "%08x-%04x-4%03x-%04x-%012llx",
		       (unsigned int)(high >> 32), (unsigned int)(high >> 16 & 0xffff),
		       (unsigned int)(high & 0xfff), (unsigned int)((low >> 48 & 0x3fff) | 0x8000),
		       (unsigned long long)(low & 0xffffffffffff));
}

/* As JSON, with quotes and comma. */
static size_t allow_from_size(const struct api_spec *spec)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < spec->allow_from_len; i++)
		size += strlen(spec->allow_from[i]) + 3;
	return size;
}

static bool fits(const struct editor *e, const char *domain, bool rotates)
{
	const struct api_spec *spec = &e->view->object->spec;
	size_t size = ledger_size_bound(e->ledger);
	size_t values = ledger_values_bound(e->ledger);

	size += ledger_claim_size(domain, spec->host, allow_from_size(spec));
	values += LEDGER_CLAIM_VALUES + spec->allow_from_len;
	if (rotates) {
		size += ledger_retired_size(e->ledger, e->key, domain);
		values += ledger_retired_values(e->ledger, e->key, domain);
	}
	return size <= LEDGER_MAX_SECRET && values <= LEDGER_MAX_VALUES;
}

/* There is one for each of plan_claims(): works under way are left out there. */
static struct plan_work *find_place(const struct editor *e)
{
	size_t i = 0;

	while (e->edit->claimed[i].state != PLAN_WORK_NONE ||
	       (e->memory->works[i].state != PLAN_WORK_NONE && !e->edit->stored[i] &&
		!e->edit->discarded[i]))
		i++;
	return &e->edit->claimed[i];
}

/* False when the Secret could not take the account. */
static bool claim_domain(const struct editor *e, const struct plan_assessment *a, size_t i,
			 const struct plan_work *work)
{
	const char *domain = e->view->object->spec.domains[i];
	const struct ledger_owner owner = plan_self(e->view);
	const struct ledger_claim claim = {
		.nonce = work->nonce,
		.holder = e->view->holder,
		.host = work->host,
		.timeout_s = plan_claim_timeout_s(e->view),
		.after_uncertain = a->domains[i].counted,
		.rotates = a->domains[i].rotates,
	};

	if (!fits(e, domain, claim.rotates)) {
		e->edit->too_large = true;
		return false;
	}
	ledger_claim(e->ledger, e->key, domain, &owner, &claim);
	/* Its first account: nobody may see the object any more when that is stored. */
	if (!claim.rotates && !a->domains[i].missing)
		honour(e, domain);
	e->edit->uncertain += a->domains[i].counted;
	return true;
}

/* The first domain that is claimed makes the work; with Shared the others join it. */
static void claim(const struct editor *e, const struct plan_assessment *a, size_t i, unsigned int n)
{
	const struct api_spec *spec = &e->view->object->spec;
	struct plan_work *work = find_place(e);

	make_nonce(e->view, n, work->nonce);
	(void)snprintf(work->domain, sizeof(work->domain), "%s", spec->domains[i]);
	(void)snprintf(work->host, sizeof(work->host), "%s", spec->host);
	if (!claim_domain(e, a, i, work))
		return;
	work->state = PLAN_WORK_CLAIMED;
	work->rotates = a->domains[i].rotates;
	while (spec->policy == API_SHARED && ++i < spec->domains_len)
		if (a->domains[i].need == NEED_CLAIM)
			(void)claim_domain(e, a, i, work);
}

static void make_claims(const struct editor *e, const struct plan_assessment *a)
{
	unsigned int most = plan_claims(e->view, e->memory, a);
	unsigned int made = 0;
	size_t i;

	for (i = 0; made < most && !e->edit->too_large; i++)
		if (a->domains[i].need == NEED_CLAIM)
			claim(e, a, i, made++);
}

/* ---- removals ---- */

/* What the object owns goes, but for the domains in keep. */
static void remove_but(const struct editor *e, char *const *keep, size_t keep_len)
{
	size_t i;

	for (i = 0; i < PLAN_SPENT && *e->memory->spent[i]; i++) {
		const char *nonce = e->memory->spent[i];
		const char *domain = NULL;

		while ((domain = ledger_next_claimed(e->ledger, e->key, nonce, domain)))
			ledger_drop_claim(e->ledger, e->key, domain);
	}
	e->edit->uncertain += (unsigned int)ledger_remove_owned(
		e->ledger, e->key, e->view->object->uid, keep, keep_len);
}

/* The object goes, and all that was made for it. */
static void remove_all(const struct editor *e)
{
	remove_but(e, NULL, 0);
	e->edit->retagged = plan_drop_tags(e->view, e->ledger);
}

/* ---- the whole ---- */

void plan_edit(const struct plan_view *view, const struct plan_memory *memory,
	       struct ledger *ledger, struct plan_edit *ret_edit)
{
	const struct editor e = {
		.view = view,
		.memory = memory,
		.ledger = ledger,
		.key = view->secret.key,
		.edit = ret_edit,
	};
	struct plan_assessment a;
	size_t i;

	*ret_edit = (struct plan_edit){0};
	/* The Secret may have changed since plan() saw it. */
	if (!plan_is_writable(view))
		return;
	for (i = 0; i < PLAN_WORKS; i++)
		if (memory->works[i].state == PLAN_WORK_IN_HAND)
			store(&e, i);
	if (plan_is_leaving(view) && view->object->spec.deletion == API_DELETE &&
	    plan_slots_held(memory) == 0 && !plan_awaits_claim(view, memory, ledger, &a))
		remove_all(&e);
	if (!plan_may_begin(view) || memory->visited_generation != view->object->generation)
		return;
	plan_assess(view, memory, ledger, &a);
	if (a.removals)
		remove_but(&e, view->object->spec.domains, view->object->spec.domains_len);
	for (i = 0; i < view->object->spec.domains_len; i++)
		take_or_adopt(&e, &a, i);
	for (i = 0; i < view->object->spec.domains_len; i++)
		switch_or_rehost(&e, &a, i);
	if (a.count[NEED_SHARE])
		share_all(&e, &a);
	make_claims(&e, &a);
	ret_edit->retagged = plan_drop_tags(view, ledger);
	ret_edit->retagged |= plan_put_tags(view, memory, ledger);
}
