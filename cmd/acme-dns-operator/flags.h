/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLAGS_H
#define FLAGS_H

/* The command line. Durations are written as Go does: "15s", "500ms", "1m30s". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "cidr/cidr.h"
#include "dnsname/dnsname.h"
#include "url/url.h"

#define FLAGS_MAX_LIST 64

struct flags {
	const char *kubeconfig;
	const char *namespaces[FLAGS_MAX_LIST + 1]; /* NULL-terminated; none = all */
	bool leader_elect;
	const char *lease_namespace;
	const char *lease_id;
	int64_t lease_duration_ms, renew_deadline_ms, retry_period_ms;
	const char *metrics_address; /* "0" = off */
	const char *probe_address;   /* "0" = off */
	struct cidr allowed[FLAGS_MAX_LIST];
	size_t allowed_len;
	struct url_glob allowed_hosts[FLAGS_MAX_LIST];
	size_t allowed_hosts_len;
	bool require_https;
	int64_t register_timeout_ms;
	int64_t lost_account_grace_ms;
	int64_t secret_resync_ms;
	int64_t probe_interval_ms; /* 0: on request only */
	const char *dns_resolvers; /* not judged; NULL: resolv.conf's */
	bool dns_authoritative;
	struct dnsname_glob endpoint_domains[FLAGS_MAX_LIST];
	size_t endpoint_domains_len;
	bool http1;
	enum log_format log_format;
	int verbosity;
	bool help, version;
	char *namespace_list; /* owns what namespaces point into */
};

/* ERR_INVALID says which flag, and how to write it. */
int flags_parse(int argc, char **argv, struct flags *ret_flags, struct err *err) MUST_CHECK;
void flags_done(struct flags *flags);
void flags_print_help(const char *program);

#endif
