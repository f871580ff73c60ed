/* SPDX-License-Identifier: Apache-2.0 */

/* People and their tools: what they may do at any time is the two tables of user_objects.c and
 * user_secrets.c. */

#include <string.h>

#include "explore.h"
#include "jv/jv.h"

json_t *user_parse(const char *text)
{
	CLEANUP(mem_freep) char *json = mem_strdup(text);
	struct err err;
	json_t *doc;
	char *at = json;

	while ((at = strchr(at, '\'')))
		*at = '"';
	doc = jv_parse(json, strlen(json), &err);
	return doc ? doc : json_object();
}

static const struct user_row *row_of(enum act act)
{
	return object_acts[act].name ? &object_acts[act] : &secret_acts[act];
}

bool user_can(const struct run *run, enum act act)
{
	const struct user_row *row = row_of(act);

	return row->name && row->can(run, row->arg);
}

void user_act(struct run *run, enum act act)
{
	const struct user_row *row = row_of(act);

	tell(run, "a user %s", row->name);
	row->act(run, row->arg);
}

/* Two domains of a set may share one account. */
static bool counts_as_made(const struct run *run, uint32_t domain)
{
	const struct domain_facts *facts = world_facts(run, domain);
	uint32_t i;

	for (i = 0; i < domain; i++)
		if (world_facts(run, i)->account == facts->account)
			return false;
	return facts->origin == LEDGER_REGISTERED;
}

void user_begin(struct run *run)
{
	uint32_t i;

	user_make(run, 0);
	if (run->scenario->both)
		user_make(run, 2);
	if (run->scenario->secret)
		user_make_secret(run, run->scenario->secret);
	for (i = 0; i < DOMAINS; i++) {
		run->w.made[i] = counts_as_made(run, i);
		run->w.cname[i] = world_facts(run, i)->account;
	}
	run->w.older[0] = run->w.live[0];
	run->w.older[1] = run->w.live[1];
	run->w.first_secret = run->w.secret.id;
}
