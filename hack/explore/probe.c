/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's probe.c does: accounts are asked for one at a time, and an answer is folded
 * when it comes. When a round is due is a step, not a time. */

#include "explore.h"

uint32_t seat_held(const struct run *run, const struct seat *seat)
{
	return store_memory_facts(run->store, seat->memory)->held + (seat->probe.rest != 0);
}

/* look() */
void process_probe_due(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	for (s = 0; s < SEATS; s++) {
		if (!process->seats[s].uid)
			continue;
		seat_fold(run, p, s, &(struct fold_args){.fold = FOLD_PROBE_DUE});
		seat_touch(process, s);
	}
}

/* probe_start() */
void seat_probe(struct run *run, size_t p, size_t s, uint32_t domain)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];
	const struct api_registration *object = seat_object(run, p, s);
	const uint32_t number = domain_number(object->spec.domains[domain]);
	const struct domain_facts *facts =
		&store_get_secret(run->store, process->reading.id)->domains[number];

	check_probe(run, p, s, number);
	seat_fold(run, p, s, &(struct fold_args){.fold = FOLD_PROBING, .a = domain});
	seat_take_slots(run, seat, 1);
	seat->probe = (struct probe_call){
		.rest = facts->rest,
		.account = facts->account,
		.domain = number,
		.host = host_number(object->spec.host),
	};
	seat->queued = 1;
}

/* probe_end_round() */
void seat_end_round(struct run *run, size_t p, size_t s)
{
	seat_fold(run, p, s, &(struct fold_args){.fold = FOLD_ROUND});
	seat_settle(run, p, s);
	run->w.processes[p].seats[s].queued = 1;
}

/* finish() */
void seat_end_probe(struct run *run, size_t p, size_t s, enum probed how)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	const struct probe_call call = seat->probe;
	uint32_t before = store_memory_facts(run->store, seat->memory)->found;

	if (how == PROBED_REJECTED)
		run->w.rejected |= UINT32_C(1) << call.account;
	seat->probe = (struct probe_call){0};
	seat_fold(run, p, s, &(struct fold_args){.fold = FOLD_PROBED, .a = how});
	if (store_memory_facts(run->store, seat->memory)->found != before)
		check_probed(run, p, s, &call);
	seat_settle(run, p, s);
	seat->queued = 1;
}
