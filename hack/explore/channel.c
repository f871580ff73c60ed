/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's channel.c and channel_write.c do: one Secret, one request at a time. */

#include <string.h>

#include "explore.h"

static void fold(struct run *run, size_t p, size_t s, enum fold what, uint32_t a)
{
	seat_fold(run, p, s, &(struct fold_args){.fold = what, .a = a});
}

static size_t in_stage(const struct process *process, enum record_stage stage,
		       size_t ret_seats[SEATS])
{
	size_t len = 0;
	size_t s;

	for (s = 0; s < SEATS; s++)
		if (process->seats[s].stage == stage)
			ret_seats[len++] = s;
	return len;
}

static bool has_stage(const struct process *process, enum record_stage stage)
{
	size_t seats[SEATS];

	return in_stage(process, stage, seats) > 0;
}

/* ---- the snapshot ---- */

static void drop(struct process *process)
{
	process->known = process->fresh = 0;
	process->reading = (struct version){0};
}

static bool is_wanted(const struct run *run, const struct process *process)
{
	size_t s;

	if (process->request.kind != REQUEST_NONE || has_stage(process, RECORD_READING) ||
	    has_stage(process, RECORD_EDITING))
		return true;
	for (s = 0; s < SEATS; s++)
		if (process->seats[s].request.kind != REQUEST_NONE ||
		    process->seats[s].probe.rest ||
		    !store_memory_facts(run->store, process->seats[s].memory)->resting)
			return true;
	return false;
}

void channel_forget(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];

	if (process->known && !is_wanted(run, process))
		drop(process);
}

void channel_rest_seat(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	size_t seats = 0;
	size_t s;

	for (s = 0; s < SEATS; s++)
		seats += process->seats[s].uid != 0;
	if (seats == 1 && process->reading.id && !is_wanted(run, process))
		drop(process);
}

static void take(struct process *process, const struct request *request)
{
	process->known = 1;
	process->reading = request->got;
	process->fresh = request->fresh;
}

static void wake_all(struct process *process)
{
	size_t s;

	for (s = 0; s < SEATS; s++)
		if (process->seats[s].uid)
			process->seats[s].queued = 1;
}

static void take_reading(struct process *process, const struct request *request)
{
	bool changed = process->seen && process->seen_rv != request->got.rv;

	take(process, request);
	process->seen = 1;
	process->seen_rv = request->got.rv;
	if (changed)
		wake_all(process);
}

/* ---- who lost a domain ---- */

void channel_wake_owners(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	for (s = 0; s < SEATS; s++)
		process->seats[s].request.old = process->seats[s].request.kind == REQUEST_OWNER;
	if (!process->has_losers)
		return;
	process->has_losers = 0;
	for (s = 0; s < SEATS; s++) {
		if (!store_memory_facts(run->store, process->seats[s].memory)->asked_owner)
			continue;
		fold(run, p, s, FOLD_OWNER_STALE, 0);
		seat_touch(process, s);
	}
}

/* ---- reading ---- */

static void send_request(struct process *process, const struct request *request)
{
	process->request = *request;
	process->request.fresh = (UINT32_C(1) << SEATS) - 1;
}

static void read_secret(struct process *process)
{
	send_request(process, &(struct request){.kind = REQUEST_READ});
}

static void end_read(struct run *run, size_t p, size_t s, enum answer answer)
{
	struct seat *seat = &run->w.processes[p].seats[s];

	seat->stage = RECORD_NOTHING;
	if (answer == ANSWER_NONE)
		fold(run, p, s, FOLD_READ_FAILED, API_REASON_SECRET_UNAVAILABLE);
	else if (answer == ANSWER_DENIED)
		fold(run, p, s, FOLD_READ_FAILED, API_REASON_SECRET_DENIED);
	else
		fold(run, p, s, FOLD_READ, 0);
	seat->queued = 1;
}

static bool is_failure(enum answer answer)
{
	return answer == ANSWER_NONE || answer == ANSWER_DENIED;
}

static void end_reads(struct run *run, size_t p, uint32_t fresh, enum answer answer)
{
	struct process *process = &run->w.processes[p];
	bool failed = is_failure(answer);
	size_t s;

	for (s = 0; s < SEATS; s++) {
		uint32_t stage = process->seats[s].stage;

		if ((stage == RECORD_READING && (failed || fresh >> s & 1)) ||
		    (stage == RECORD_EDITING && failed))
			end_read(run, p, s, answer);
	}
}

static void answer_read(struct run *run, size_t p, const struct request *request)
{
	struct process *process = &run->w.processes[p];

	if (!is_failure((enum answer)request->answer))
		take_reading(process, request);
	end_reads(run, p, request->fresh, (enum answer)request->answer);
}

void channel_resync(struct run *run, size_t p)
{
	if (run->w.processes[p].request.kind == REQUEST_NONE)
		read_secret(&run->w.processes[p]);
}

/* ---- the edits ---- */

void channel_edit_seat(struct run *run, size_t p, size_t s, uint32_t claims)
{
	struct seat *seat = &run->w.processes[p].seats[s];

	if (claims)
		seat_take_slots(run, seat, claims);
	seat->stage = RECORD_EDITING;
}

static void end_edit(struct run *run, size_t p, size_t s, const struct fold_args *written)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	struct fold_args args = *written;

	args.a = seat->edit;
	if (seat->edit)
		seat_fold(run, p, s, &args);
	seat->edit = 0;
	seat->stage = RECORD_NOTHING;
	seat_settle(run, p, s);
	seat->queued = 1;
}

/* The reading that the write brought is young enough for them. */
static void wake_templates(struct run *run, size_t p)
{
	size_t s;

	for (s = 0; s < SEATS; s++) {
		const struct api_registration *object = seat_object(run, p, s);

		if (object && object->spec.template)
			run->w.processes[p].seats[s].queued = 1;
	}
}

static void end_edits(struct run *run, size_t p, const struct fold_args *written)
{
	size_t seats[SEATS];
	size_t len = in_stage(&run->w.processes[p], RECORD_WRITING, seats);
	bool retagged = false;
	size_t i;

	for (i = 0; i < len; i++) {
		uint32_t edit = run->w.processes[p].seats[seats[i]].edit;

		retagged |= edit && store_edit_facts(run->store, edit)->retagged;
		end_edit(run, p, seats[i], written);
	}
	if (retagged && written->b == PLAN_WRITTEN)
		wake_templates(run, p);
}

static void edit_again(struct run *run, size_t p)
{
	size_t seats[SEATS];
	size_t len = in_stage(&run->w.processes[p], RECORD_WRITING, seats);
	size_t i;

	for (i = 0; i < len; i++) {
		struct seat *seat = &run->w.processes[p].seats[seats[i]];

		if (seat->edit)
			fold(run, p, seats[i], FOLD_CONFLICT, seat->edit);
		seat->edit = 0;
		seat->stage = RECORD_EDITING;
	}
}

static bool can_divide(const struct run *run, const struct process *process)
{
	size_t seats[SEATS];
	size_t len = in_stage(process, RECORD_WRITING, seats);

	return !process->piecewise && (len > 1 || seat_has_account(run, &process->seats[seats[0]]));
}

static void write_failed(struct run *run, size_t p, const struct request *request)
{
	struct process *process = &run->w.processes[p];
	bool refused = request->answer == ANSWER_DENIED;
	const struct fold_args written = {
		.fold = FOLD_WRITTEN,
		.b = refused ? PLAN_WRITE_REFUSED : PLAN_WRITE_UNKNOWN,
		.c = refused ? API_REASON_SECRET_DENIED : API_REASON_SECRET_UNAVAILABLE,
		.d = (uint32_t)request->sent_ms,
	};

	if (!refused)
		drop(process);
	if (request->answer == ANSWER_CONFLICT || request->answer == ANSWER_ABSENT) {
		edit_again(run, p);
	} else if (refused && can_divide(run, process)) {
		process->piecewise = 1;
		edit_again(run, p);
	} else {
		end_edits(run, p, &written);
	}
}

static void answer_write(struct run *run, size_t p, const struct request *request)
{
	struct process *process = &run->w.processes[p];
	const struct fold_args written = {
		.fold = FOLD_WRITTEN,
		.b = PLAN_WRITTEN,
		.d = (uint32_t)request->sent_ms,
	};

	if (request->answer != ANSWER_OK) {
		write_failed(run, p, request);
		return;
	}
	take(process, request);
	process->seen = 1;
	process->seen_rv = request->got.rv;
	end_edits(run, p, &written);
	end_reads(run, p, request->fresh, ANSWER_OK);
}

void channel_answer(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	struct request request = process->request;

	process->request = (struct request){0};
	if (request.kind == REQUEST_READ)
		answer_read(run, p, &request);
	else
		answer_write(run, p, &request);
}

/* ---- writing ---- */

static void begin_edits(struct run *run, size_t p, const size_t *seats, size_t len,
			const uint32_t *edits)
{
	size_t i;

	for (i = 0; i < len; i++) {
		struct seat *seat = &run->w.processes[p].seats[seats[i]];

		seat->stage = RECORD_WRITING;
		seat->edit = edits[i];
		check_claims(run, p, seats[i]);
		if (edits[i] && store_edit_facts(run->store, edits[i])->claims)
			seat_take_slots(run, seat, store_edit_facts(run->store, edits[i])->claims);
	}
}

static void first_with_store(const struct run *run, const struct process *process, size_t *seats,
			     size_t len)
{
	size_t i;

	for (i = len; i-- > 0;)
		if (seat_has_account(run, &process->seats[seats[i]]))
			seats[0] = seats[i];
}

static void write_secret(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	const struct fold_args nothing = {.fold = FOLD_WRITTEN, .b = PLAN_WRITTEN};
	uint32_t edits[SEATS];
	size_t seats[SEATS];
	size_t len = in_stage(process, RECORD_EDITING, seats);
	uint32_t body;

	if (process->piecewise) {
		first_with_store(run, process, seats, len);
		len = 1;
	}
	body = seats_edit(run, p, seats, len, edits);
	begin_edits(run, p, seats, len, edits);
	check_write(run, p, body);
	if (!body) {
		end_edits(run, p, &nothing);
		return;
	}
	send_request(process,
		     &(struct request){.kind = REQUEST_WRITE,
				       .body = body,
				       .rv = process->reading.id ? process->reading.rv : 0});
}

/* work() */
void channel_run(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	bool edits = has_stage(process, RECORD_EDITING);

	if (process->request.kind != REQUEST_NONE)
		return;
	if (!edits && !has_stage(process, RECORD_READING))
		process->piecewise = 0;
	else if (edits && process->known)
		write_secret(run, p);
	else
		read_secret(process);
}
