/* SPDX-License-Identifier: Apache-2.0 */

/* Registrations, and probes of accounts, at one acme-dns server at a time. Who waits for a slot
 * stands in the line of his namespace, and the namespaces take turns: one with hundreds of objects
 * does not hold up another's one. */

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "controller/controller_impl.h"

unsigned int host_held(const struct record *record)
{
	unsigned int works = record->memory ? (unsigned int)plan_slots_held(record->memory) : 0;

	return works + (record->probe ? 1 : 0);
}

unsigned int host_free_slots(const struct host *host)
{
	unsigned int most = host_most_slots(host);

	return most > host->taken ? most - host->taken : 0;
}

static void set_slots(struct record *record, unsigned int slots)
{
	record->host->taken += slots - record->slots;
	record->slots = slots;
}

/* ---- the lines ---- */

static struct host_line *find_line(const struct host *host, const char *namespace)
{
	struct host_line *line;

	HASH_FIND_STR(host->lines, namespace, line);
	return line;
}

/* The last to have a turn. */
static void add_line(struct host *host, struct host_line *line)
{
	HASH_ADD_KEYPTR(hh, host->lines, line->namespace, strlen(line->namespace), line);
}

static void join_line(struct record *record)
{
	struct host_line *line = find_line(record->host, record->namespace);

	if (!line) {
		line = mem_zalloc(sizeof(*line));
		line->namespace = mem_strdup(record->namespace);
		add_line(record->host, line);
	}
	DL_APPEND2(line->records, record, slot_prev, slot_next);
	record->waits_slot = true;
}

void host_leave_line(struct record *record)
{
	struct host_line *line;

	if (!record->waits_slot)
		return;
	record->waits_slot = false;
	line = find_line(record->host, record->namespace);
	DL_DELETE2(line->records, record, slot_prev, slot_next);
	if (line->records)
		return;
	HASH_DEL(record->host->lines, line);
	free(line->namespace);
	free(line);
}

/* Its namespace goes behind the others. */
static struct record *take_turn(struct host *host)
{
	struct host_line *line = host->lines;
	struct record *record = line->records;

	HASH_DEL(host->lines, line);
	add_line(host, line);
	host_leave_line(record);
	return record;
}

void host_wake_lines(struct host *host)
{
	struct host_line *line;
	struct host_line *next;
	struct record *record;

	HASH_ITER(hh, host->lines, line, next) {
		DL_FOREACH2(line->records, record, slot_next)
		workq_add(host->controller->queue, record->uid, WORKQ_HIGH);
	}
}

/* ---- slots ---- */

void host_offer_slots(struct host *host)
{
	while (host->lines && host_free_slots(host) > 0) {
		struct record *record = take_turn(host);

		set_slots(record, record->slots + 1);
		workq_add(host->controller->queue, record->uid, WORKQ_HIGH);
	}
}

void host_take_slots(struct record *record, unsigned int more)
{
	unsigned int want = host_held(record) + more;

	if (want > record->slots)
		set_slots(record, want);
}

void host_wait_slot(struct record *record)
{
	if (!record->host || record->waits_slot)
		return;
	/* One that was offered before the breaker opened is not of use: it would be missed later.
	 */
	host_settle(record);
	join_line(record);
	host_offer_slots(record->host);
	host_ask_later(record->host);
}

void host_settle(struct record *record)
{
	unsigned int keep = host_held(record);

	/* An edit may be turning them into claims. */
	if (record->stage == RECORD_EDITING || record->stage == RECORD_WRITING ||
	    record->slots <= keep)
		return;
	set_slots(record, keep);
	host_offer_slots(record->host);
}

void host_want_no_slot(struct record *record)
{
	host_leave_line(record);
	host_settle(record);
}
