/* SPDX-License-Identifier: Apache-2.0 */

/* resourceVersions as ranks: only which of two is the newer one means anything. */

#include "explore.h"

#define REFS_MOST 64

struct refs {
	uint32_t *at[REFS_MOST];
	size_t len;
};

static void refer(struct refs *refs, uint32_t *rv)
{
	if (*rv && refs->len < REFS_MOST)
		refs->at[refs->len++] = rv;
}

/* The next larger one becomes the next rank. */
static void rank(struct refs *refs)
{
	uint32_t done = 0;
	uint32_t next = 1;
	size_t i;

	for (;; next++) {
		uint32_t least = UINT32_MAX;

		for (i = 0; i < refs->len; i++)
			if (*refs->at[i] > done && *refs->at[i] < least)
				least = *refs->at[i];
		if (least == UINT32_MAX)
			return;
		for (i = 0; i < refs->len; i++)
			if (*refs->at[i] == least)
				*refs->at[i] = next;
		done = least;
	}
}

static void refer_seat(struct refs *refs, struct seat *seat, const struct version *cache,
		       uint32_t name)
{
	if (seat->uid && seat->name == name) {
		/* The cache never goes back: what it has passed does not matter. */
		if (seat->own_rv <= cache->rv)
			seat->own_rv = 0;
		refer(refs, &seat->own_rv);
	}
	if (seat->request.kind == REQUEST_NONE || seat->request.name != name)
		return;
	refer(refs, &seat->request.rv);
	refer(refs, &seat->request.got.rv);
}

static void rank_object(struct world *w, uint32_t name)
{
	struct refs refs = {0};
	size_t p;
	size_t s;

	refer(&refs, &w->live[name].rv);
	refer(&refs, &w->older[name].rv);
	if (w->late.kind != REQUEST_WRITE && w->late.name == name)
		refer(&refs, &w->late.rv);
	for (p = 0; p < PROCESSES; p++) {
		struct process *process = &w->processes[p];

		refer(&refs, &process->cache[name].rv);
		for (s = 0; s < SEATS; s++)
			refer_seat(&refs, &process->seats[s], &process->cache[name], name);
	}
	rank(&refs);
}

static void rank_secret(struct world *w)
{
	struct refs refs = {0};
	size_t p;

	refer(&refs, &w->secret.rv);
	if (w->late.kind == REQUEST_WRITE)
		refer(&refs, &w->late.rv);
	for (p = 0; p < PROCESSES; p++) {
		struct process *process = &w->processes[p];

		refer(&refs, &process->reading.rv);
		refer(&refs, &process->seen_rv);
		refer(&refs, &process->request.rv);
		refer(&refs, &process->request.got.rv);
	}
	rank(&refs);
}

void canonicalise(struct run *run)
{
	uint32_t n;

	for (n = 0; n < NAMES; n++)
		rank_object(&run->w, n);
	rank_secret(&run->w);
}
