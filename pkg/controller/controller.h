/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_H
#define CONTROLLER_H

/*
 * The glue around plan: watches AcmeDnsRegistrations, builds a view of each (observe), asks plan()
 * what to do, starts it (act), and folds what came of it into the object's memory.
 *
 * One key of the queue is one object's uid. At most one status patch, Secret edit or question of
 * an object is under way at a time; POSTs to acme-dns run beside that.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "cidr/cidr.h"
#include "dnsname/dnsname.h"
#include "events/events.h"
#include "kube/kube.h"
#include "metrics/metrics.h"
#include "url/url.h"

struct controller;

/* All lent, and outlive the controller. */
struct controller_options {
	struct event_base *base;
	struct kube *kube;
	struct events *events;
	struct metrics *metrics;
	const char *user_agent;
	const char *const *namespaces; /* NULL-terminated; NULL: all */
	const char *dns_servers;       /* as resolve_options'; NULL: the system's (all but tests) */
	const char *dns_resolvers;     /* --dns-resolvers, as dns_options'; NULL: resolv.conf's */
	bool dns_authoritative;	       /* --dns-mode: ask the zones' own servers */
	uint16_t dns_port;	       /* of those; 0: 53 (tests) */
	const char *api_server;	       /* URL: its addresses are refused to tenants */
	const struct cidr *allowed;    /* --allow-address */
	size_t allowed_len;
	const struct url_glob *allowed_hosts; /* --allowed-hosts; none: any */
	size_t allowed_hosts_len;
	bool require_https;
	const struct dnsname_glob *endpoint_domains; /* --dns-endpoint-domains; none: none */
	size_t endpoint_domains_len;
	int64_t register_timeout_ms;
	int64_t lost_account_grace_ms; /* before accounts that vanished are made again */
	int64_t secret_resync_ms;
	int64_t probe_interval_ms; /* between rounds over an object's accounts; 0: on request */
	int64_t drain_ms;	   /* 0: 20000 (tests) */
	int64_t breaker_pause_ms;  /* 0: breaker.h's (tests) */
	/* Read anew before each act: may this process act? */
	bool (*is_leader)(void *ctx);
	void *ctx;
};

struct controller *controller_new(const struct controller_options *options,
				  struct err *err) MUST_CHECK;
void controller_free(struct controller *controller); /* NULL is fine */

void controller_start(struct controller *controller); /* fills the cache */
void controller_lead(struct controller *controller);  /* begins to act */

/* Begins nothing new: no claim, no POST. POSTs that were sent and their stores are finished, then
 * drained is called, after drain_ms at the latest. */
void controller_drain(struct controller *controller, void (*drained)(void *ctx), void *ctx);

bool controller_synced(const struct controller *controller);
int64_t controller_silence_ms(const struct controller *controller);

#endif
