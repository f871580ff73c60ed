/* SPDX-License-Identifier: Apache-2.0 */

/* explore [--most STATES] [SCENARIO...]: all scenarios, or those named, each up to so many states.
 * Fails with the story of the first thing that is broken. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "jv/jv.h"

#define MOST 1000000

struct totals {
	uint64_t states, steps, ms;
	uint32_t depth;
	struct buf *whole; /* the scenarios of which nothing is left */
	unsigned int whole_len, len;
	char broken[240];
};

static void print(const struct scenario *scenario, const struct result *result)
{
	double seconds = (double)result->ms / 1000;

	printf("  %-16s %8u states  depth %2u  %9llu steps  %7u on ways to rest  %5.1f s  "
	       "%6.0f states/s  %s\n",
	       scenario->name, result->states, result->depth, (unsigned long long)result->steps,
	       result->settled, seconds, (double)result->states / (seconds > 0 ? seconds : 0.001),
	       result->complete ? "all within its bounds" : "up to the limit");
	(void)fflush(stdout);
}

static bool is_named(const char *name, char **names, int len)
{
	int i;

	for (i = 0; i < len; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return len == 0;
}

static bool explore(const struct scenario *scenario, uint32_t most, struct totals *totals)
{
	struct store store = {0};
	struct result result;
	bool well = search(&store, scenario, most, &result);

	print(scenario, &result);
	store_done(&store);
	totals->states += result.states;
	totals->steps += result.steps;
	totals->ms += (uint64_t)result.ms;
	if (result.depth > totals->depth)
		totals->depth = result.depth;
	totals->len++;
	totals->whole_len += result.complete;
	if (result.complete)
		(void)buf_addf(totals->whole, " %s", scenario->name);
	memcpy(totals->broken, result.broken, sizeof(totals->broken));
	return well;
}

int main(int argc, char **argv)
{
	CLEANUP(buf_donep) struct buf whole = BUF_INIT(4096);
	struct totals totals = {.whole = &whole};
	uint32_t most = MOST;
	int first = 1;
	size_t i;

	if (argc > 2 && strcmp(argv[1], "--most") == 0) {
		char *end;

		most = (uint32_t)strtoul(argv[2], &end, 10);
		first = 3;
	}
	for (i = 0; i < scenarios_len; i++) {
		if (!is_named(scenarios[i].name, argv + first, argc - first))
			continue;
		if (!explore(&scenarios[i], most, &totals)) {
			printf("explore: BROKEN in %s after %llu states: %s\n", scenarios[i].name,
			       (unsigned long long)totals.states, totals.broken);
			return 1;
		}
	}
	printf("explore: %u of %u scenarios were explored to their bounds:%s\n", totals.whole_len,
	       totals.len, buf_str(&whole));
	printf("explore: nothing found in %llu distinct states (%llu steps, depth up to %u) "
	       "in %.1f s\n",
	       (unsigned long long)totals.states, (unsigned long long)totals.steps, totals.depth,
	       (double)totals.ms / 1000);
	return 0;
}
