/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must be so (ARCHITECTURE, "Why no account is lost or made twice"):
 *	- no entry of the Secret is lost by a write of ours, and none is replaced but by an account
 *	  that waited or was retired, when a rotation is asked for; then the old one is retired;
 *	- where CNAMEs are looked up, an entry is replaced only once its CNAME leads to the new one;
 *	- an account that waits or is retired goes only for a newer one of the same server;
 *	- what an object owns goes only under deletionPolicy Delete, with the object, which goes
 *	  after it, or when its spec drops the domain; what was adopted stays;
 *	- what others keep in the Secret stays as it is;
 *	- an account's entry names the server that made it, and no other is asked to register;
 *	- a claim is taken over only after its time, or when it surely made no account;
 *	- an account that vanished is made again only after a grace;
 *	- an account is asked for only at the host that its entry names, or the Secret for it, and
 *	  an answer counts for that account alone;
 *	- a POST has a claim of its own that was in the Secret, is in its time, and is a leader's;
 *	- accounts made <= 1 + outcomes counted in our document, per domain;
 *	- an account in hand is let go only when stored, counted, or its object is gone;
 *	- labels and annotations: check_template.c;
 *	- status names a CNAME only when its account was in the Secret, and is never put back.
 */

#include <string.h>

#include "explore.h"

/* ---- a write of the Secret ---- */

/* The claim before was never used, or the server said no to it. */
static bool is_harmless(const struct run *run, uint32_t nonce)
{
	uint32_t bit = UINT32_C(1) << (nonce - 1);

	return !(run->w.posted & bit) || run->w.refused & bit;
}

static void check_takeover(struct run *run, size_t process, uint32_t domain,
			   const struct domain_facts *before)
{
	const char *name = domain_names[domain];
	bool own = process == (before->nonce - 1) / NONCES_EACH;
	bool waited =
		run->w.claim_ms[before->nonce - 1] >= CLAIM_MS || run->w.processes[process].jumped;

	if (is_harmless(run, before->nonce) && own)
		return;
	if (!waited)
		broken(run, "the claim on %s is taken over before its time", name);
}

/* The claim has gone, and what is there now is no account of ours: one that may be is counted. (One
 * of ours is that of a claim before, which was counted when this one took it over.) */
static void check_counted(struct run *run, uint32_t domain, const struct domain_facts *before,
			  const struct domain_facts *after)
{
	if (run->w.reset || (!before->entry && after->by))
		return;
	if (!is_harmless(run, before->nonce) && after->uncertain == before->uncertain)
		broken(run, "a claim on %s that may have made an account goes uncounted",
		       domain_names[domain]);
}

/* Somebody may put back what vanished: a new one is not claimed before the grace is over. */
static void check_grace(struct run *run, size_t process, uint32_t domain,
			const struct domain_facts *before, const struct domain_facts *after)
{
	if (before->entry || before->origin == LEDGER_NONE || !after->nonce ||
	    before->nonce == after->nonce || run->w.processes[process].jumped || run->w.rotations)
		return;
	if (run->w.lost_ms[domain] < GRACE_MS)
		broken(run, "the account of %s that vanished is made again before its time",
		       domain_names[domain]);
}

static bool is_among(uint32_t accounts, uint32_t account)
{
	return account && accounts >> account & 1;
}

/* The accounts that wait or are retired. */
static uint32_t kept(const struct domain_facts *facts)
{
	return facts->retired | (facts->next ? UINT32_C(1) << facts->next : 0);
}

bool asks_for_rotation(const struct api_registration *object)
{
	const char *handled = object->status.handled_rotate;

	return *object->rotate && (!handled || strcmp(object->rotate, handled) != 0);
}

bool is_same_server(const struct secret_thing *secret, uint32_t host,
		    const struct api_registration *object)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("https://%s.test %s", host == 1 ? "one" : "two", object->spec.host);
	const char *said = secret->snapshot.same_server;

	return said && strcmp(said, text) == 0;
}

/* It is the same account, at another address. (Whether the Secret says so: check_write().) */
static bool is_rehosted(const struct domain_facts *before, const struct domain_facts *after)
{
	return before->entry && before->rest == after->rest && before->host && after->host &&
	       before->host != after->host;
}

/* The entry has changed. (Whether a rotation is asked for: check_write().) */
static void check_switch(struct run *run, uint32_t domain, const struct domain_facts *before,
			 const struct domain_facts *after)
{
	const char *name = domain_names[domain];
	bool claimed = before->nonce && after->by == before->nonce;

	if (!after->entry)
		broken(run, "the entry of %s is lost by a write of ours", name);
	else if (!after->complete || (!claimed && !is_among(kept(before), after->account)))
		broken(run, "the entry of %s is replaced by a write of ours", name);
	else if (before->account && !is_among(after->retired, before->account))
		broken(run, "the entry of %s is switched, and the old one is not kept", name);
	check_led(run, domain, before, after);
}

/* Only the newest of a server is kept. */
static bool is_followed(const struct run *run, uint32_t retired, uint32_t account)
{
	uint32_t at_two = run->w.at_two;

	return retired & (at_two >> account & 1 ? at_two : ~at_two);
}

static void check_spares(struct run *run, uint32_t domain, const struct domain_facts *before,
			 const struct domain_facts *after)
{
	uint32_t lost = kept(before) & ~kept(after) & ~(UINT32_C(1) << after->account);
	uint32_t i;

	for (i = 1; i < 32; i++)
		if (lost >> i & 1 && !is_followed(run, after->retired & ~before->retired, i))
			broken(run, "account %u of %s, kept for a rotation, is lost", i,
			       domain_names[domain]);
}

/* A new entry is for the server that made the account, and for the domain. */
static void check_maker(struct run *run, uint32_t domain, const struct domain_facts *before,
			const struct domain_facts *after)
{
	const char *name = domain_names[domain];

	if (before->entry == after->entry || !after->account || after->account > run->w.accounts)
		return;
	if (after->host != 1 + (run->w.at_two >> after->account & 1))
		broken(run, "the account of %s is stored for another server than made it", name);
	if (!run->scenario->shared && !is_among(run->w.made_for[domain], after->account))
		broken(run, "the account that is stored for %s was made for another domain", name);
}

/* All that we know of the domain goes. (Whether it may: check_write().) */
static bool is_removed(const struct domain_facts *before, const struct domain_facts *after)
{
	return before->owner && !after->owner;
}

/* What was adopted stays. The account rule begins anew with what it was. */
static void check_removal(struct run *run, size_t process, uint32_t domain,
			  const struct domain_facts *before, const struct domain_facts *after)
{
	bool adopted = before->entry && before->origin != LEDGER_REGISTERED;

	tell(run, "  %s is removed", domain_names[domain]);
	if (after->entry != (adopted ? before->entry : 0))
		broken(run, "the entry of %s is %s by a removal", domain_names[domain],
		       adopted ? "touched" : "left");
	/* What is in hand may be stored and removed at once. */
	if (before->nonce && !(run->w.learned >> (before->nonce - 1) & 1))
		check_takeover(run, process, domain, before);
	run->w.excused[domain] += before->uncertain + !adopted + (before->nonce != 0);
}

static void check_domain(struct run *run, size_t process, uint32_t domain,
			 const struct secret_thing *was, const struct secret_thing *is)
{
	const struct domain_facts *before = &was->domains[domain];
	const struct domain_facts *after = &is->domains[domain];

	if (is_removed(before, after)) {
		check_removal(run, process, domain, before, after);
		return;
	}
	if (is_rehosted(before, after))
		run->w.at_two ^= UINT32_C(1) << after->account;
	else if (before->entry && before->entry != after->entry)
		check_switch(run, domain, before, after);
	check_spares(run, domain, before, after);
	check_maker(run, domain, before, after);
	if (before->uncertain > after->uncertain)
		broken(run, "the count of outcomes unknown of %s goes back", domain_names[domain]);
	check_grace(run, process, domain, before, after);
	if (!before->nonce || before->nonce == after->nonce || before->nonce == after->by ||
	    before->nonce == after->next_by)
		return;
	check_counted(run, domain, before, after);
	if (!after->entry || after->nonce)
		check_takeover(run, process, domain, before);
}

/* A Secret that we make: what is not ours of it is always the same, and says who made it. */
void check_commit(struct run *run, size_t process, uint32_t before, uint32_t after)
{
	const struct secret_thing *was = store_get_secret(run->store, before);
	const struct secret_thing *is = store_get_secret(run->store, after);
	uint32_t i;

	tell(run, "  the Secret is written");
	if (before && !was->readable)
		broken(run, "a Secret that cannot be read is written");
	if (before && was->foreign != is->foreign)
		broken(run, "what others keep in the Secret has changed");
	for (i = 0; i < DOMAINS; i++)
		check_domain(run, process, i, was, is);
	check_tags(run, was, is);
}

static uint32_t count_uncertain(struct run *run, uint32_t id)
{
	const struct secret_thing *thing = store_get_secret(run->store, id);
	uint32_t count = 0;
	size_t i;

	for (i = 0; i < DOMAINS; i++)
		count += thing->domains[i].uncertain;
	return count;
}

/* One of those that take part in the write asks for a rotation, or (domain given) has the account
 * at its host by what the Secret says. */
static bool is_asked(const struct run *run, size_t process, const struct secret_thing *was,
		     const struct domain_facts *before)
{
	size_t s;

	for (s = 0; s < SEATS; s++) {
		const struct api_registration *object = seat_object(run, process, s);

		if (run->w.processes[process].seats[s].stage != RECORD_WRITING || !object)
			continue;
		if (before ? is_same_server(was, before->host, object) : asks_for_rotation(object))
			return true;
	}
	return false;
}

static void check_change(struct run *run, size_t process, uint32_t domain,
			 const struct secret_thing *was, const struct secret_thing *is)
{
	const struct domain_facts *before = &was->domains[domain];
	const struct domain_facts *after = &is->domains[domain];

	if (!before->entry || before->entry == after->entry || is_removed(before, after))
		return;
	if (!is_asked(run, process, was, is_rehosted(before, after) ? before : NULL))
		broken(run, "the entry of %s is to be replaced, and nobody asked for it",
		       domain_names[domain]);
}

/* Nothing but stores: no domain becomes that of an object that is suspended. */
static void check_suspended(struct run *run, size_t process, uint32_t before, uint32_t after)
{
	size_t s;

	for (s = 0; s < SEATS && before != after; s++) {
		const struct seat *seat = &run->w.processes[process].seats[s];
		const struct api_registration *object = seat_object(run, process, s);

		if (object && object->spec.suspend && !object->deleting && seat->uid == after)
			broken(run, "a suspended object takes a domain");
	}
}

static void check_changes(struct run *run, size_t process, uint32_t after)
{
	const struct secret_thing *was =
		store_get_secret(run->store, run->w.processes[process].reading.id);
	const struct secret_thing *is = store_get_secret(run->store, after);
	uint32_t i;

	check_tag_owners(run, process, was, is);
	for (i = 0; i < DOMAINS; i++) {
		check_change(run, process, i, was, is);
		check_suspended(run, process, was->domains[i].owner, is->domains[i].owner);
	}
}

static bool may_remove(const struct run *run, size_t process, size_t s, uint32_t domain,
		       uint32_t owner)
{
	const struct seat *seat = &run->w.processes[process].seats[s];
	const struct api_registration *object = seat_object(run, process, s);

	if (seat->stage != RECORD_WRITING || seat->uid != owner || !object ||
	    object->spec.deletion != API_DELETE)
		return false;
	return object->deleting || api_domain_index(&object->spec, domain_names[domain]) < 0;
}

/* True when something is removed, with all that was counted of it. */
static bool check_removals(struct run *run, size_t process, uint32_t after)
{
	const struct secret_thing *was =
		store_get_secret(run->store, run->w.processes[process].reading.id);
	const struct secret_thing *is = store_get_secret(run->store, after);
	bool any = false;
	uint32_t i;
	size_t s;

	for (i = 0; i < DOMAINS; i++) {
		bool may = !is_removed(&was->domains[i], &is->domains[i]);

		any |= !may;
		for (s = 0; s < SEATS && !may; s++)
			may = may_remove(run, process, s, i, was->domains[i].owner);
		if (!may)
			broken(run, "%s is to be removed, and its owner does not want it",
			       domain_names[i]);
	}
	return any;
}

void check_write(struct run *run, size_t process, uint32_t body)
{
	const struct process *by = &run->w.processes[process];
	uint32_t after = body ? world_merge(run, by->reading.id, body) : by->reading.id;
	uint32_t discarded = 0;
	size_t s;

	for (s = 0; s < SEATS; s++)
		if (by->seats[s].stage == RECORD_WRITING && by->seats[s].edit)
			discarded += (uint32_t)__builtin_popcount(
				store_edit_facts(run->store, by->seats[s].edit)->discarded);
	check_changes(run, process, after);
	if (!check_removals(run, process, after) &&
	    count_uncertain(run, after) < count_uncertain(run, by->reading.id) + discarded)
		broken(run, "an account that came second is thrown away uncounted");
}

/* ---- status ---- */

/* Called when the server takes the patch, so the object is still what it was then. */
void check_patch(struct run *run, const struct request *request)
{
	const struct body_thing *body = store_get_body(run->store, request->body);

	tell(run, "  status is written: Ready %s", body->ready ? "True" : "not True");
	if (request->rv != run->w.live[request->name].rv)
		broken(run, "a status is written over one that its writer has not seen");
	if (body->unknown || body->accounts & ~run->w.durable)
		broken(run, "status names a CNAME whose account was never in the Secret");
}

/* An object that is being deleted leaves nothing behind that could be removed. What others write
 * until the patch arrives is another matter. */
void check_let_go(struct run *run, size_t process, size_t seat)
{
	const struct process *by = &run->w.processes[process];
	const struct api_registration *object = seat_object(run, process, seat);
	const struct secret_thing *secret = store_get_secret(run->store, by->reading.id);
	uint32_t i;

	if (!object->deleting || object->spec.deletion != API_DELETE || !by->known ||
	    !secret->readable || secret->snapshot.immutable || run->scenario->denies)
		return;
	for (i = 0; i < DOMAINS; i++)
		if (secret->domains[i].owner == by->seats[seat].uid)
			broken(run, "%s is let go, and %s is still its own in the Secret",
			       object->name, domain_names[i]);
}

/* ---- claims and POSTs ---- */

void check_claims(struct run *run, size_t p, size_t s)
{
	const struct process *process = &run->w.processes[p];
	const struct seat *seat = &process->seats[s];
	const struct api_registration *object = seat_object(run, p, s);

	if (!seat->edit || !store_edit_facts(run->store, seat->edit)->claims)
		return;
	if (!process->believes || process->draining)
		broken(run, "a claim of one who does not lead");
	if (!object || seat->proven != object->generation)
		broken(run, "a claim before the status patch of its generation");
	else if (object->spec.suspend)
		broken(run, "a claim of an object that is suspended");
}

/* What authenticates it was read for this spec, and is for this host. */
static void check_references(struct run *run, const struct seat *seat,
			     const struct api_registration *object)
{
	uint32_t host = host_number(object->spec.host);
	uint32_t login = seat->references.read[REFERRED_LOGIN];

	if (!object->spec.auth)
		return;
	if (!seat_has_references(seat, object))
		broken(run, "a POST without what the spec refers to");
	else if (object->spec.auth->basic_secret && login != 1 + REFERRED_GOOD + host)
		broken(run, "credentials are sent to a host that they are not for");
}

void check_post(struct run *run, size_t process, size_t seat, const struct plan_work *work)
{
	const struct process *by = &run->w.processes[process];
	const struct api_registration *object = seat_object(run, process, seat);
	uint32_t nonce = number_in(work->nonce, 16) - 1;
	uint32_t bit = UINT32_C(1) << nonce;

	if (!by->believes || by->draining)
		broken(run, "a POST of one who does not lead");
	if (run->w.posted & bit)
		broken(run, "two POSTs for one claim");
	if (!(run->w.claimed & bit))
		broken(run, "a POST whose claim was never in the Secret");
	if (!by->frozen && run->w.claim_ms[nonce] + TIMEOUT_MS > CLAIM_MS)
		broken(run, "a POST that can end after its claim's time");
	if (!object || strcmp(object->spec.host, work->host) != 0)
		broken(run, "a POST to another host than the object's");
	else if (object->spec.suspend)
		broken(run, "a POST of an object that is suspended");
	else if (work->rotates && !asks_for_rotation(object))
		broken(run, "a POST for an account that nobody asked to have replaced");
	else
		check_references(run, &by->seats[seat], object);
}

/* ---- probes ---- */

bool asks_for_probe(const struct api_registration *object)
{
	const char *handled = object->status.handled_probe;

	return *object->probe && (!handled || strcmp(object->probe, handled) != 0);
}

void check_probe(struct run *run, size_t process, size_t seat, uint32_t domain)
{
	const struct process *by = &run->w.processes[process];
	const struct api_registration *object = seat_object(run, process, seat);
	const struct secret_thing *secret = store_get_secret(run->store, by->reading.id);
	const struct domain_facts *facts = &secret->domains[domain];
	const char *said = secret->snapshot.host;

	if (!by->believes || by->draining || object->spec.suspend)
		broken(run, "a probe of one who may not act");
	if (facts->host ? facts->host != 1 + host_number(object->spec.host)
			: !said || strcmp(said, object->spec.host) != 0)
		broken(run, "the credentials of %s are sent to a host that they are not of",
		       domain_names[domain]);
}

void check_probed(struct run *run, size_t process, size_t seat, const struct probe_call *call)
{
	const struct process *by = &run->w.processes[process];
	const struct api_registration *object = seat_object(run, process, seat);
	const struct secret_thing *secret = store_get_secret(run->store, by->reading.id);

	if (!object || host_number(object->spec.host) != call->host ||
	    secret->domains[call->domain].rest != call->rest)
		broken(run, "an answer of account %u counts for another one of %s", call->account,
		       domain_names[call->domain]);
}

/* ---- accounts ---- */

void check_hand(struct run *run, const struct seat *seat, uint32_t lost, bool discarded)
{
	uint32_t id = run->w.live[seat->name].id;
	const struct object_thing *live = id ? store_get_object(run->store, id) : NULL;
	bool gone = !live || live->uid != seat->uid || live->object->deleting;

	if (lost & ~run->w.durable && !discarded && !gone)
		broken(run, "an account in hand is let go, neither stored nor counted");
}

void check_accounts(struct run *run)
{
	const struct world *w = &run->w;
	uint32_t made = 0;
	uint32_t most = 1;
	uint32_t i;

	/* What was counted is in a document that is to be mended. */
	if (!store_get_secret(run->store, w->secret.id)->readable)
		return;
	for (i = 0; i < DOMAINS; i++) {
		uint32_t excused = world_facts(run, i)->uncertain + w->excused[i];

		made += w->made[i];
		most += excused;
		if (!run->scenario->shared && w->made[i] > 1 + excused)
			broken(run, "%u accounts were made for %s, and %u are accounted for",
			       w->made[i], domain_names[i], 1 + excused);
	}
	if (run->scenario->shared && made > most)
		broken(run, "%u accounts were made for the set, and %u are accounted for", made,
		       most);
}
