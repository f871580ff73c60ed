/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's verify.c does for rotations: whether the CNAME leads to the account that is
 * to follow. When it is looked up is a step, not a time. */

#include <string.h>

#include "explore.h"

/* The account that status, as the process knows it, names to follow; 0: none. */
static uint32_t next_of(const struct run *run, size_t p, size_t s, uint32_t domain)
{
	const struct api_registration *object = seat_object(run, p, s);
	const struct api_record *record =
		object ? api_record_find(&object->status, domain_names[domain]) : NULL;

	return record && record->next ? account_of(record->next->value) : 0;
}

static uint32_t would_see(const struct run *run, size_t p, size_t s, uint32_t domain)
{
	uint32_t next = next_of(run, p, s, domain);

	return next == run->w.cname[domain] ? next : 0;
}

bool seat_may_see(const struct run *run, size_t p, size_t s)
{
	uint32_t i;

	for (i = 0; i < DOMAINS; i++)
		if (run->w.processes[p].seats[s].shown[i] != would_see(run, p, s, i))
			return true;
	return false;
}

/* finish() */
void seat_look_up(struct run *run, size_t p, size_t s)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	uint32_t i;

	tell(run, "process %zu looks up the CNAMEs of object-%u", p, seat->name);
	for (i = 0; i < DOMAINS; i++)
		seat->shown[i] = would_see(run, p, s, i);
	seat->queued = 1;
}

/* rebuild(): nothing is kept of a name that status does not say any more. */
void process_forget_shown(struct run *run, size_t p)
{
	uint32_t i;
	size_t s;

	for (s = 0; s < SEATS; s++)
		for (i = 0; i < DOMAINS; i++)
			if (run->w.processes[p].seats[s].shown[i] != next_of(run, p, s, i))
				run->w.processes[p].seats[s].shown[i] = 0;
}

size_t show_seen(const struct api_registration *object, const uint32_t shown[DOMAINS],
		 struct plan_seen ret_seen[DOMAINS])
{
	size_t len = 0;
	uint32_t i;

	for (i = 0; object && i < DOMAINS; i++) {
		const struct api_record *record = api_record_find(&object->status, domain_names[i]);

		if (shown[i] && record && record->next &&
		    account_of(record->next->value) == shown[i])
			ret_seen[len++] = (struct plan_seen){
				.digest = plan_record_digest(record->domain, record->next->value),
				.observed = "",
				.verdict = CNAME_FOUND,
				.told = true,
			};
	}
	return len;
}

/* ---- people, or what makes CNAMEs for them ---- */

static const struct api_record *record_of(const struct run *run, uint32_t domain)
{
	const uint32_t id = run->w.live[0].id;

	return id ? api_record_find(&store_get_object(run->store, id)->object->status,
				    domain_names[domain])
		  : NULL;
}

/* What the first CNAME that is not so should lead to: to what follows, or to what is. */
static uint32_t find_other(const struct run *run, bool back, uint32_t *ret_domain)
{
	uint32_t i;

	for (i = 0; i < DOMAINS; i++) {
		const struct api_record *record = record_of(run, i);

		if (record && record->next && !back)
			record = record->next;
		if (record && account_of(record->value) != run->w.cname[i]) {
			*ret_domain = i;
			return account_of(record->value);
		}
	}
	return 0;
}

bool user_can_lead(const struct run *run, int back)
{
	uint32_t domain;

	return find_other(run, back, &domain) != 0;
}

void user_lead(struct run *run, int back)
{
	uint32_t domain = 0;
	uint32_t account = find_other(run, back, &domain);

	run->w.cname[domain] = account;
	run->w.led[domain] |= UINT32_C(1) << account;
}

/* ---- what must be so ---- */

void check_led(struct run *run, uint32_t domain, const struct domain_facts *before,
	       const struct domain_facts *after)
{
	if (run->scenario->verifies && before->complete &&
	    !(run->w.led[domain] >> after->account & 1))
		broken(run, "the entry of %s is switched before its CNAME leads there",
		       domain_names[domain]);
}

bool awaits_cname(const struct run *run, const struct api_registration *object)
{
	uint32_t i;

	for (i = 0; i < DOMAINS; i++) {
		const struct api_record *record = api_record_find(&object->status, domain_names[i]);

		if (record && record->next && account_of(record->next->value) != run->w.cname[i])
			return true;
	}
	return false;
}
