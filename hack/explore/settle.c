/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Faults stop: from here on everybody is served at once and in a fixed order, and time passes when
 * there is nothing else to do. It has to come to rest: nothing is written any more, also when the
 * Secret is looked at again hours later. Then check_goal().
 */

#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define STEPS_TO_REST 3000
#define HOURS_MS      (2 * 3600 * 1000)
#define ROUNDS_MOST   8

/* ---- the set of hashes ---- */

static size_t place_of(const struct set *set, struct hash hash)
{
	size_t at = hash.a & (set->room - 1);

	while ((set->places[at].a || set->places[at].b) &&
	       (set->places[at].a != hash.a || set->places[at].b != hash.b))
		at = (at + 1) & (set->room - 1);
	return at;
}

static void grow(struct set *set)
{
	struct hash *old = set->places;
	size_t room = set->room;
	size_t i;

	set->room = room ? 2 * room : 1024;
	set->places = mem_zalloc_array(set->room, sizeof(*set->places));
	for (i = 0; i < room; i++)
		if (old[i].a || old[i].b)
			set->places[place_of(set, old[i])] = old[i];
	free(old);
}

bool set_has(const struct set *set, struct hash hash)
{
	const struct hash *place = set->room ? &set->places[place_of(set, hash)] : NULL;

	return place && (place->a || place->b);
}

bool set_add(struct set *set, struct hash hash)
{
	struct hash *place;

	if (4 * set->len >= 3 * set->room)
		grow(set);
	place = &set->places[place_of(set, hash)];
	if (place->a || place->b)
		return false;
	*place = hash;
	set->len++;
	return true;
}

void set_done(struct set *set)
{
	free(set->places);
	*set = (struct set){0};
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 31;
}

/* A struct world is numbers of 32 bits, without padding. */
struct hash hash_world(const struct world *w)
{
	struct hash hash = {.a = 1, .b = 2};
	const uint32_t *words = (const void *)w;
	size_t i;

	for (i = 0; i < sizeof(*w) / sizeof(*words); i++) {
		hash.a = mix(hash.a, words[i]);
		hash.b = mix(hash.b, words[i] ^ UINT64_C(0xd6e8feb86659fd93));
	}
	return hash;
}

/* ---- the way ---- */

struct way {
	struct hash hashes[STEPS_TO_REST];
	size_t len;
	struct hash rests[ROUNDS_MOST * 16]; /* where nothing was left but to let time pass */
	size_t rests_len;
	unsigned int writes; /* when the rests began to count */
	int rounds;	     /* looks at the Secret since the last write */
};

/* The same moment again, and nothing written since. */
static bool is_resting(struct run *run, struct way *way)
{
	struct hash hash = hash_world(&run->w);
	size_t i;

	if (way->writes != run->writes) {
		way->writes = run->writes;
		way->rests_len = 0;
		way->rounds = 0;
	}
	for (i = 0; i < way->rests_len; i++)
		if (way->rests[i].a == hash.a && way->rests[i].b == hash.b)
			return true;
	if (way->rests_len < ARRAY_LEN(way->rests))
		way->rests[way->rests_len++] = hash;
	return steps_next_ms(run) == INT32_MAX;
}

/* Hours later, everybody who leads looks at the Secret by himself. */
static void look_again(struct run *run)
{
	size_t p;

	tell(run, "hours pass; the Secret is looked at again");
	steps_pass_time(run, HOURS_MS, NULL);
	for (p = 0; p < PROCESSES; p++)
		if (run->w.processes[p].believes)
			channel_resync(run, p);
	steps_finish(run);
}

static void let_time_pass(struct run *run)
{
	int32_t ms = steps_next_ms(run);

	tell(run, "%d ms pass", ms);
	steps_pass_time(run, ms, NULL);
	steps_finish(run);
}

/* What comes next when nothing goes wrong. First of all, who has lost the lease learns of it: two
 * that lead would put each other's status right for ever. */
static bool take_step(struct run *run)
{
	struct step steps[STEPS_MOST];
	size_t len = steps_list(run, steps);
	size_t next = 0;
	size_t i;

	for (i = len; i-- > 0;)
		if (steps[i].kind == STEP_NOTICE)
			next = i;
	if (len > 0)
		steps_apply(run, &steps[next]);
	return len > 0;
}

/* True when the end is reached. */
static bool go_on(struct run *run, struct way *way)
{
	if (take_step(run))
		return false;
	if (!is_resting(run, way)) {
		let_time_pass(run);
		return false;
	}
	if (way->rounds++ > 0)
		return true;
	way->rests_len = 0;
	look_again(run);
	return false;
}

void settle(struct run *run, struct set *known)
{
	CLEANUP(mem_freep) struct way *way = mem_zalloc(sizeof(*way));
	size_t i;

	memset(run->w.left, 0, sizeof(run->w.left));
	way->writes = run->writes;
	while (!*run->broken && !run->pruned) {
		struct hash hash = hash_world(&run->w);

		if (set_has(known, hash))
			break;
		if (way->len == STEPS_TO_REST) {
			broken(run, "faults have stopped, and it does not come to rest");
			break;
		}
		way->hashes[way->len++] = hash;
		if (!go_on(run, way))
			continue;
		check_goal(run);
		break;
	}
	for (i = 0; i < way->len && !*run->broken && !run->pruned; i++)
		(void)set_add(known, way->hashes[i]);
}
