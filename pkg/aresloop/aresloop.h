/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARESLOOP_H
#define ARESLOOP_H

/*
 * A channel of c-ares on the loop: its sockets are watched, its timeouts kept.
 *
 * c-ares calls back from anywhere: from inside the call that asks, and from aresloop_free(). What
 * is called back only notes what came; the channel must not be freed there.
 */

#include <ares.h>
#include <event2/event.h>

#include "base/attr.h"

struct aresloop;

/* As ares_init_options(); the sock_state_cb in the options is set here. NULL on failure, with
 * c-ares' status. */
struct aresloop *aresloop_new(struct event_base *base, struct ares_options *options, int mask,
			      int *ret_status) MUST_CHECK;
/* Gives every question back with ARES_EDESTRUCTION and closes the sockets; NULL is fine. */
void aresloop_free(struct aresloop *loop);

ares_channel aresloop_channel(struct aresloop *loop); /* lent, for what asks */
void aresloop_arm(struct aresloop *loop);	      /* after each call that asked */

#endif
