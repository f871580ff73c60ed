/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mono.h"
#include "controller/controller_impl.h"

#define OVERDUE_MS 1000 /* more than any turn of the loop takes */

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct alarm *alarm = ctx;

	(void)fd;
	(void)what;
	alarm->at_ms = 0;
	alarm->on_alarm(alarm->ctx);
}

void alarm_start(struct alarm *alarm, struct event_base *base, void (*on_alarm)(void *ctx),
		 void *ctx)
{
	alarm->event = evtimer_new(base, on_timer, alarm);
	alarm->on_alarm = on_alarm;
	alarm->ctx = ctx;
}

void alarm_stop(struct alarm *alarm)
{
	if (alarm->event)
		event_free(alarm->event);
}

void alarm_at(struct alarm *alarm, int64_t ms)
{
	int64_t now_ms = mono_ms();
	struct timeval in;

	if (ms < now_ms + alarm->least_ms)
		ms = now_ms + alarm->least_ms;
	/* The machine has slept, and the loop's timers with it. */
	if (alarm->at_ms && alarm->at_ms <= now_ms - OVERDUE_MS)
		ms = now_ms;
	else if (alarm->at_ms && alarm->at_ms <= ms)
		return;
	alarm->at_ms = ms;
	in = mono_timeval(ms - now_ms);
	(void)evtimer_add(alarm->event, &in);
}
