/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"

enum flag {
	FLAG_KUBECONFIG = 256,
	FLAG_NAMESPACES,
	FLAG_LEADER_ELECT,
	FLAG_LEASE_NAMESPACE,
	FLAG_LEASE_ID,
	FLAG_LEASE_DURATION,
	FLAG_RENEW_DEADLINE,
	FLAG_RETRY_PERIOD,
	FLAG_METRICS,
	FLAG_PROBES,
	FLAG_ALLOW_ADDRESS,
	FLAG_ALLOWED_HOSTS,
	FLAG_REQUIRE_HTTPS,
	FLAG_REGISTER_TIMEOUT,
	FLAG_SECRET_RESYNC,
	FLAG_LOST_GRACE,
	FLAG_PROBE_INTERVAL,
	FLAG_DNS_RESOLVERS,
	FLAG_DNS_MODE,
	FLAG_ENDPOINT_DOMAINS,
	FLAG_HTTP1,
	FLAG_LOG_FORMAT,
	FLAG_VERBOSITY = 'v',
	FLAG_HELP = 'h',
	FLAG_VERSION = 512,
};

struct flag_text {
	enum flag flag;
	const char *name;
	const char *value; /* NULL: takes none, or (boolean) an optional one */
	const char *help;
};

static const struct flag_text texts[] = {
	{FLAG_KUBECONFIG, "kubeconfig", "FILE",
	 "how to reach the API server (default: $KUBECONFIG, in-cluster, ~/.kube/config); one "
	 "file, "
	 "with a token or a client certificate"},
	{FLAG_NAMESPACES, "watch-namespaces", "A,B", "only these namespaces (default: all)"},
	{FLAG_LEADER_ELECT, "leader-elect", NULL, "act only while holding the Lease"},
	{FLAG_LEASE_NAMESPACE, "leader-election-namespace", "NAME",
	 "of the Lease (default: the operator's own; outside a cluster the kubeconfig's)"},
	{FLAG_LEASE_ID, "leader-election-id", "NAME", "of the Lease (default: acme-dns-operator)"},
	{FLAG_LEASE_DURATION, "leader-election-lease-duration", "TIME",
	 "after which others may take a Lease that is not renewed (default: 15s)"},
	{FLAG_RENEW_DEADLINE, "leader-election-renew-deadline", "TIME",
	 "after which the leader gives up renewing, and ends (default: 10s)"},
	{FLAG_RETRY_PERIOD, "leader-election-retry-period", "TIME",
	 "between tries to get or renew the Lease (default: 2s)"},
	{FLAG_METRICS, "metrics-bind-address", "[IP]:PORT", "of /metrics; 0 = off (default: 0)"},
	{FLAG_PROBES, "health-probe-bind-address", "[IP]:PORT",
	 "of /healthz and /readyz; 0 = off (default: :8081)"},
	{FLAG_ALLOW_ADDRESS, "allow-address", "CIDR",
	 "acme-dns servers may have these addresses though they are loopback, link-local and the "
	 "like; may be repeated"},
	{FLAG_ALLOWED_HOSTS, "allowed-hosts", "GLOB,GLOB",
	 "host[:port] of the acme-dns servers that may be used, with * for a part of a label; may "
	 "be repeated (default: any)"},
	{FLAG_REQUIRE_HTTPS, "require-https", NULL,
	 "use no acme-dns server whose URL begins with http://"},
	{FLAG_REGISTER_TIMEOUT, "register-timeout", "TIME",
	 "for one POST /register (default: 10s, 1s to 60s)"},
	{FLAG_SECRET_RESYNC, "secret-resync", "TIME",
	 "between looks at each Secret (default: 10m, 1s or more)"},
	{FLAG_LOST_GRACE, "lost-account-grace", "TIME",
	 "before accounts that vanished from a Secret are registered again (default: 1m)"},
	{FLAG_PROBE_INTERVAL, "probe-interval", "TIME",
	 "between questions to the servers whether they still take the accounts; 0s = ask only on "
	 "request (default: 4h)"},
	{FLAG_DNS_RESOLVERS, "dns-resolvers", "IP[:PORT],IP[:PORT]",
	 "that are asked for CNAMEs; IPv6 as [IP]:PORT (default: those of /etc/resolv.conf)"},
	{FLAG_DNS_MODE, "dns-mode", "recursive|authoritative",
	 "ask the resolvers for a CNAME, or through them the servers of its zone, as rotations do "
	 "in any case (default: recursive)"},
	{FLAG_ENDPOINT_DOMAINS, "dns-endpoint-domains", "GLOB,GLOB",
	 "domains whose CNAMEs external-dns may be asked for, with * for a part of a label; may be "
	 "repeated (default: none)"},
	{FLAG_HTTP1, "http1", NULL, "speak HTTP/1.1 to the API server"},
	{FLAG_LOG_FORMAT, "log-format", "text|json", "(default: text)"},
	{FLAG_VERBOSITY, "v", "LEVEL", "0 to 9: 4 = debug, 6 = trace (default: 0)"},
	{FLAG_VERSION, "version", NULL, "print the version and end"},
	{FLAG_HELP, "help", NULL, "print this text and end"},
};

void flags_print_help(const char *program)
{
	size_t i;

	(void)printf(
		"%s registers domains with acme-dns as AcmeDnsRegistration objects say, and keeps\n"
		"the accounts in the Secret that cert-manager reads.\n\nUsage: %s [flags]\n\n",
		program, program);
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		const struct flag_text *t = &texts[i];
		CLEANUP(mem_freep)
		char *left = mem_printf("%s%s%s%s", t->name[1] ? "--" : "-", t->name,
					t->value ? " " : "", t->value ? t->value : "");

		(void)printf("  %-42s %s\n", left, t->help);
	}
}

/* ---- values ---- */

struct unit {
	const char *name;
	int64_t ms;
};

static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

static const struct unit *find_unit(const char *text)
{
	size_t len = strspn(text, "hms");
	size_t i;

	for (i = 0; i < ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == len && strncmp(units[i].name, text, len) == 0)
			return &units[i];
	return NULL;
}

/* -1 for anything but whole numbers with units. */
static int64_t parse_duration_ms(const char *text)
{
	int64_t ms = 0;

	if (!*text)
		return -1;
	while (*text) {
		char *end;
		long value = strtol(text, &end, 10);
		const struct unit *unit = find_unit(end);

		if (end == text || end - text > 6 || value < 0 || !unit)
			return -1;
		ms += value * unit->ms;
		text = end + strlen(unit->name);
	}
	return ms;
}

static int set_duration(int64_t *ms, const char *flag, int64_t least_ms, struct err *err)
{
	*ms = parse_duration_ms(optarg);
	if (*ms < least_ms)
		return err_set(err, ERR_INVALID, 0,
			       "--%s %s: write a time like 15s or 1m30s, %lld ms or more", flag,
			       optarg, (long long)least_ms);
	return 0;
}

static int set_text(const char **value)
{
	*value = optarg;
	return 0;
}

static int set_bool(bool *value, const char *flag, struct err *err)
{
	if (!optarg || strcmp(optarg, "true") == 0)
		*value = true;
	else if (strcmp(optarg, "false") == 0)
		*value = false;
	else
		return err_set(err, ERR_INVALID, 0, "--%s=%s: true or false", flag, optarg);
	return 0;
}

/* Of an object or a namespace. */
static int set_name(const char **name, const char *flag, struct err *err)
{
	if (!strcspn(optarg, "-.") || strspn(optarg, NAME_CHARS ".") != strlen(optarg))
		return err_set(err, ERR_INVALID, 0,
			       "--%s %s: write a name, of lower-case letters, digits, - and .",
			       flag, optarg);
	*name = optarg;
	return 0;
}

static int set_namespaces(struct flags *flags, struct err *err)
{
	char *rest;
	size_t len = 0;

	free(flags->namespace_list);
	flags->namespace_list = mem_strdup(optarg);
	rest = flags->namespace_list;
	while (rest) {
		char *name = strsep(&rest, ",");

		if (!*name || strspn(name, NAME_CHARS) != strlen(name))
			return err_set(
				err, ERR_INVALID, 0,
				"--watch-namespaces %s: names with commas between, no blanks",
				optarg);
		if (len == FLAGS_MAX_LIST)
			return err_set(err, ERR_INVALID, 0, "--watch-namespaces: at most %d",
				       FLAGS_MAX_LIST);
		flags->namespaces[len++] = name;
	}
	flags->namespaces[len] = NULL;
	return 0;
}

static int add_allowed(struct flags *flags, struct err *err)
{
	if (flags->allowed_len == FLAGS_MAX_LIST)
		return err_set(err, ERR_INVALID, 0, "--allow-address: at most %d", FLAGS_MAX_LIST);
	if (cidr_parse(optarg, &flags->allowed[flags->allowed_len], err))
		return err_wrap(err, "--allow-address %s", optarg);
	flags->allowed_len++;
	return 0;
}

static int add_allowed_hosts(struct flags *flags, struct err *err)
{
	CLEANUP(mem_freep) char *list = mem_strdup(optarg);
	char *rest = list;

	while (rest) {
		const char *glob = strsep(&rest, ",");

		if (flags->allowed_hosts_len == FLAGS_MAX_LIST)
			return err_set(err, ERR_INVALID, 0, "--allowed-hosts: at most %d",
				       FLAGS_MAX_LIST);
		if (url_glob_parse(glob, &flags->allowed_hosts[flags->allowed_hosts_len], err))
			return err_wrap(err, "--allowed-hosts %s", optarg);
		flags->allowed_hosts_len++;
	}
	return 0;
}

static int add_endpoint_domains(struct flags *flags, struct err *err)
{
	CLEANUP(mem_freep) char *list = mem_strdup(optarg);
	char *rest = list;

	while (rest) {
		const char *glob = strsep(&rest, ",");
		struct dnsname_glob *next = &flags->endpoint_domains[flags->endpoint_domains_len];

		if (flags->endpoint_domains_len == FLAGS_MAX_LIST)
			return err_set(err, ERR_INVALID, 0, "--dns-endpoint-domains: at most %d",
				       FLAGS_MAX_LIST);
		if (dnsname_glob_parse(glob, next, err))
			return err_wrap(err, "--dns-endpoint-domains %s", optarg);
		flags->endpoint_domains_len++;
	}
	return 0;
}

static int set_log_format(struct flags *flags, struct err *err)
{
	if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
		return err_set(err, ERR_INVALID, 0, "--log-format %s: text or json", optarg);
	flags->log_format = *optarg == 'j' ? LOG_JSON : LOG_TEXT;
	return 0;
}

/* -v=6, as Kubernetes' own programs have it, comes with the '='. */
static int set_verbosity(struct flags *flags, struct err *err)
{
	const char *level = optarg + (*optarg == '=');

	if (strlen(level) != 1 || *level < '0' || *level > '9')
		return err_set(err, ERR_INVALID, 0, "-v %s: 0 to 9", level);
	flags->verbosity = *level - '0';
	return 0;
}

static int set_dns_mode(struct flags *flags, struct err *err)
{
	flags->dns_authoritative = strcmp(optarg, "authoritative") == 0;
	if (!flags->dns_authoritative && strcmp(optarg, "recursive") != 0)
		return err_set(err, ERR_INVALID, 0, "--dns-mode %s: recursive or authoritative",
			       optarg);
	return 0;
}

static int set_register_timeout(struct flags *flags, struct err *err)
{
	if (set_duration(&flags->register_timeout_ms, "register-timeout", 1000, err))
		return -1;
	/* A claim's timeoutSeconds, which is 10 s more, is clamped to 300. */
	if (flags->register_timeout_ms > 60000)
		return err_set(err, ERR_INVALID, 0, "--register-timeout %s: at most 60s", optarg);
	return 0;
}

/* 1: it is no time. */
static int set_time(struct flags *flags, int flag, struct err *err)
{
	switch (flag) {
	case FLAG_LEASE_DURATION:
		return set_duration(&flags->lease_duration_ms, "leader-election-lease-duration",
				    1000, err);
	case FLAG_RENEW_DEADLINE:
		return set_duration(&flags->renew_deadline_ms, "leader-election-renew-deadline",
				    100, err);
	case FLAG_RETRY_PERIOD:
		return set_duration(&flags->retry_period_ms, "leader-election-retry-period", 100,
				    err);
	case FLAG_REGISTER_TIMEOUT:
		return set_register_timeout(flags, err);
	case FLAG_LOST_GRACE:
		return set_duration(&flags->lost_account_grace_ms, "lost-account-grace", 0, err);
	case FLAG_PROBE_INTERVAL:
		return set_duration(&flags->probe_interval_ms, "probe-interval", 0, err);
	case FLAG_SECRET_RESYNC:
		return set_duration(&flags->secret_resync_ms, "secret-resync", 1000, err);
	default:
		return 1;
	}
}

static int set_flag(struct flags *flags, int flag, struct err *err)
{
	int failed = set_time(flags, flag, err);

	if (failed <= 0)
		return failed;
	switch (flag) {
	case FLAG_KUBECONFIG:
		return set_text(&flags->kubeconfig);
	case FLAG_NAMESPACES:
		return set_namespaces(flags, err);
	case FLAG_LEADER_ELECT:
		return set_bool(&flags->leader_elect, "leader-elect", err);
	case FLAG_LEASE_NAMESPACE:
		return set_name(&flags->lease_namespace, "leader-election-namespace", err);
	case FLAG_LEASE_ID:
		return set_name(&flags->lease_id, "leader-election-id", err);
	case FLAG_METRICS:
		return set_text(&flags->metrics_address);
	case FLAG_PROBES:
		return set_text(&flags->probe_address);
	case FLAG_ALLOW_ADDRESS:
		return add_allowed(flags, err);
	case FLAG_ALLOWED_HOSTS:
		return add_allowed_hosts(flags, err);
	case FLAG_REQUIRE_HTTPS:
		return set_bool(&flags->require_https, "require-https", err);
	case FLAG_DNS_RESOLVERS:
		return set_text(&flags->dns_resolvers);
	case FLAG_DNS_MODE:
		return set_dns_mode(flags, err);
	case FLAG_ENDPOINT_DOMAINS:
		return add_endpoint_domains(flags, err);
	case FLAG_HTTP1:
		return set_bool(&flags->http1, "http1", err);
	case FLAG_LOG_FORMAT:
		return set_log_format(flags, err);
	case FLAG_VERBOSITY:
		return set_verbosity(flags, err);
	case FLAG_VERSION:
		flags->version = true;
		return 0;
	default:
		flags->help = true;
		return 0;
	}
}

static int has_value(const struct flag_text *t)
{
	if (t->value)
		return required_argument;
	return t->flag == FLAG_VERSION || t->flag == FLAG_HELP ? no_argument : optional_argument;
}

static void make_options(struct option options[ARRAY_LEN(texts) + 1])
{
	size_t i;

	memset(options, 0, (ARRAY_LEN(texts) + 1) * sizeof(*options));
	for (i = 0; i < ARRAY_LEN(texts); i++)
		options[i] = (struct option){
			.name = texts[i].name,
			.has_arg = has_value(&texts[i]),
			.val = (int)texts[i].flag,
		};
}

int flags_parse(int argc, char **argv, struct flags *ret_flags, struct err *err)
{
	struct option options[ARRAY_LEN(texts) + 1];
	int flag;

	*ret_flags = (struct flags){
		.lease_id = "acme-dns-operator",
		.lease_duration_ms = 15000,
		.renew_deadline_ms = 10000,
		.retry_period_ms = 2000,
		.metrics_address = "0",
		.probe_address = ":8081",
		.register_timeout_ms = 10000,
		.secret_resync_ms = 600000,
		.lost_account_grace_ms = 60000,
		.probe_interval_ms = 4 * 3600000,
	};
	make_options(options);
	optind = 1;
	opterr = 0;
	while ((flag = getopt_long(argc, argv, ":v:h", options, NULL)) != -1) {
		if (flag == ':')
			return err_set(err, ERR_INVALID, 0, "%s needs a value; see --help",
				       argv[optind - 1]);
		if (flag == '?')
			return err_set(err, ERR_INVALID, 0, "%s is not a flag; see --help",
				       argv[optind - 1]);
		if (set_flag(ret_flags, flag, err))
			return -1;
	}
	if (optind < argc)
		return err_set(err, ERR_INVALID, 0, "%s is one argument too many; see --help",
			       argv[optind]);
	return 0;
}

void flags_done(struct flags *flags)
{
	free(flags->namespace_list);
}
