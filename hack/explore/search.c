/* SPDX-License-Identifier: Apache-2.0 */

/* Breadth first: the states of a depth, then all that follow from them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "explore.h"

#define STORY_MOST (1 << 20)

/* How a state was come to. */
struct trail {
	uint32_t from;
	struct step step;
};

struct level {
	struct world *worlds;
	uint32_t *numbers; /* of the states */
	size_t len, room;
};

struct explorer {
	struct run run;
	struct set seen;    /* with their budgets */
	struct set settled; /* without: those from which all is well */
	struct trail *trails;
	size_t trails_len, trails_room;
	struct level now, next;
	uint32_t most;
	struct result *result;
};

static void level_add(struct level *level, const struct world *w, uint32_t number)
{
	if (level->len == level->room) {
		level->room = level->room ? 2 * level->room : 256;
		level->worlds = mem_resize(level->worlds, level->room, sizeof(*w));
		level->numbers = mem_resize(level->numbers, level->room, sizeof(number));
	}
	level->worlds[level->len] = *w;
	level->numbers[level->len++] = number;
}

static void level_done(struct level *level)
{
	free(level->worlds);
	free(level->numbers);
	*level = (struct level){0};
}

static uint32_t trail_add(struct explorer *e, uint32_t from, const struct step *step)
{
	if (e->trails_len == e->trails_room) {
		e->trails_room = e->trails_room ? 2 * e->trails_room : 1024;
		e->trails = mem_resize(e->trails, e->trails_room, sizeof(*e->trails));
	}
	e->trails[e->trails_len] = (struct trail){.from = from, .step = *step};
	return (uint32_t)e->trails_len++;
}

/* ---- the story ---- */

/* Replays the way to a state, and the step after it; then, if asked, what follows without faults.
 */
static void tell_story(struct explorer *e, uint32_t state, const struct step *last, bool calm)
{
	struct run run = {.store = e->run.store,
			  .scenario = e->run.scenario,
			  .telling = true,
			  .story = BUF_INIT(STORY_MOST)};
	struct set nothing = {0};
	uint32_t way[512];
	size_t len = 0;

	for (; state && len < ARRAY_LEN(way); state = e->trails[state].from)
		way[len++] = state;
	tell(&run, "%s: %s", run.scenario->name, run.scenario->what);
	steps_begin(&run);
	while (len > 0 && !*run.broken)
		steps_apply(&run, &e->trails[way[--len]].step);
	if (last && !*run.broken)
		steps_apply(&run, last);
	if (calm && !*run.broken) {
		tell(&run, "---- no more faults ----");
		settle(&run, &nothing);
	}
	printf("\n%s\n", buf_str(&run.story));
	set_done(&nothing);
	buf_done(&run.story);
}

/* ---- the search ---- */

/* False when it is not well from here, or the step itself broke something. */
static bool check(struct explorer *e, uint32_t from, const struct step *step)
{
	struct run *run = &e->run;
	struct world here = run->w;
	bool calm = !*run->broken;

	if (calm)
		settle(run, &e->settled);
	if (*run->broken) {
		tell_story(e, from, step, calm);
		return false;
	}
	run->pruned = false;
	run->w = here;
	return true;
}

/* One step from a state. */
static bool try_step(struct explorer *e, const struct world *w, uint32_t from,
		     const struct step *step)
{
	struct run *run = &e->run;

	run->w = *w;
	run->writes = 0;
	run->pruned = false;
	steps_apply(run, step);
	e->result->steps++;
	if (!*run->broken && (run->pruned || !set_add(&e->seen, hash_world(&run->w))))
		return true;
	if (!check(e, from, step))
		return false;
	level_add(&e->next, &run->w, trail_add(e, from, step));
	return true;
}

static bool expand(struct explorer *e, size_t at)
{
	struct step steps[STEPS_MOST];
	struct run look = e->run;
	size_t len;
	size_t i;

	look.w = e->now.worlds[at];
	len = steps_list(&look, steps);
	for (i = 0; i < len; i++)
		if (!try_step(e, &look.w, e->now.numbers[at], &steps[i]))
			return false;
	return true;
}

static bool search_level(struct explorer *e)
{
	struct level done = e->now;
	size_t i;

	for (i = 0; i < e->now.len && e->trails_len < e->most; i++)
		if (!expand(e, i))
			return false;
	e->result->complete = i == e->now.len;
	e->result->depth += e->next.len > 0;
	e->now = e->next;
	e->next = done;
	e->next.len = 0;
	return true;
}

static bool begin(struct explorer *e)
{
	const struct step none = {0};

	(void)trail_add(e, 0, &none);
	steps_begin(&e->run);
	(void)set_add(&e->seen, hash_world(&e->run.w));
	if (!check(e, 0, NULL))
		return false;
	level_add(&e->now, &e->run.w, 0);
	return true;
}

bool search(struct store *store, const struct scenario *scenario, uint32_t most, struct result *ret)
{
	struct explorer e = {
		.run = {.store = store, .scenario = scenario}, .most = most, .result = ret};
	int64_t begun_ms = mono_ms();
	bool well;

	*ret = (struct result){0};
	well = begin(&e);
	while (well && e.now.len > 0 && e.trails_len < most)
		well = search_level(&e);
	ret->complete &= e.now.len == 0;
	ret->states = (uint32_t)e.trails_len;
	ret->settled = (uint32_t)e.settled.len;
	ret->ms = mono_ms() - begun_ms;
	memcpy(ret->broken, e.run.broken, sizeof(ret->broken));
	set_done(&e.seen);
	set_done(&e.settled);
	level_done(&e.now);
	level_done(&e.next);
	free(e.trails);
	return well;
}
