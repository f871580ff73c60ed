/* SPDX-License-Identifier: Apache-2.0 */

/* What is read out of an answer, by libresolv's parser. */

#include <resolv.h>
#include <string.h>

#include "dns/dns_impl.h"

/* ---- names ---- */

void dns_name_copy(char ret_name[DNSNAME_LEN], const char *name)
{
	size_t len = strnlen(name, DNSNAME_LEN - 1);

	if (len > 0 && name[len - 1] == '.')
		len--;
	dnsname_copy_lower(ret_name, name, len);
}

const char *dns_name_parent(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : "";
}

bool dns_name_is_within(const char *name, const char *zone)
{
	for (; *name; name = dns_name_parent(name))
		if (strcmp(name, zone) == 0)
			return true;
	return !*zone;
}

bool dns_name_is_account(const char *name)
{
	return dnsname_begins_as_uuid(name) &&
	       (!name[DNSNAME_UUID_LEN] || name[DNSNAME_UUID_LEN] == '.');
}

/* As libresolv writes it, in which anything may be part of a label. "" is the root. */
static bool keep_name(char ret_name[DNSNAME_LEN], const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

	if (strlen(text) >= DNSNAME_LEN)
		return false;
	dns_name_copy(ret_name, text);
	return !ret_name[strspn(ret_name, plain)];
}

/* ---- records ---- */

/* Goes through those of class IN in one section. */
struct cursor {
	ns_msg msg;
	ns_sect section;
	int next;
	ns_rr rr;
	char owner[DNSNAME_LEN];
};

static struct cursor cursor_at(const ns_msg *msg, ns_sect section)
{
	return (struct cursor){.msg = *msg, .section = section};
}

static bool cursor_next(struct cursor *cursor)
{
	while (cursor->next < ns_msg_count(cursor->msg, cursor->section) &&
	       ns_parserr(&cursor->msg, cursor->section, cursor->next++, &cursor->rr) == 0)
		if (ns_rr_class(cursor->rr) == ns_c_in && keep_name(cursor->owner, cursor->rr.name))
			return true;
	return false;
}

/* The next one of that type at the name. */
static bool cursor_find(struct cursor *cursor, ns_type type, const char *name)
{
	while (cursor_next(cursor))
		if (ns_rr_type(cursor->rr) == type && strcmp(cursor->owner, name) == 0)
			return true;
	return false;
}

/* The data of the record, if it is a name. */
static bool expand(const ns_msg *msg, const ns_rr *rr, char ret_text[NS_MAXDNAME])
{
	return dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(*rr), ret_text,
			 NS_MAXDNAME) == ns_rr_rdlen(*rr);
}

/* As expand(); "" if it is a name that nobody could have meant. */
static bool cursor_name(const struct cursor *cursor, char ret_name[DNSNAME_LEN])
{
	char text[NS_MAXDNAME];

	if (!expand(&cursor->msg, &cursor->rr, text))
		return false;
	if (!keep_name(ret_name, text))
		ret_name[0] = '\0';
	return true;
}

bool dns_message_has(const ns_msg *msg, ns_sect section, ns_type type, const char *name)
{
	struct cursor cursor = cursor_at(msg, section);

	return cursor_find(&cursor, type, name);
}

bool dns_message_cname(const ns_msg *msg, const char *name, char ret_target[DNSNAME_LEN],
		       uint32_t *ret_ttl_s)
{
	struct cursor cursor = cursor_at(msg, ns_s_an);

	if (!cursor_find(&cursor, ns_t_cname, name) || !cursor_name(&cursor, ret_target))
		return false;
	*ret_ttl_s = ns_rr_ttl(cursor.rr);
	return true;
}

/* The last of the five numbers behind the two names of a SOA. */
static bool soa_minimum(const struct cursor *cursor, uint32_t *ret_minimum)
{
	const uint8_t *data = ns_rr_rdata(cursor->rr);
	const uint8_t *end = data + ns_rr_rdlen(cursor->rr);

	for (int i = 0; i < 2; i++) {
		int len = dn_skipname(data, end);

		if (len < 0)
			return false;
		data += len;
	}
	if (end - data != 5 * NS_INT32SZ)
		return false;
	*ret_minimum = (uint32_t)ns_get32(end - NS_INT32SZ);
	return true;
}

bool dns_message_denial(const ns_msg *msg, const char *name, char ret_zone[DNSNAME_LEN],
			uint32_t *ret_ttl_s)
{
	struct cursor cursor = cursor_at(msg, ns_s_ns);
	uint32_t minimum;

	while (cursor_next(&cursor)) {
		if (ns_rr_type(cursor.rr) != ns_t_soa || !soa_minimum(&cursor, &minimum) ||
		    !dns_name_is_within(name, cursor.owner))
			continue;
		dns_name_copy(ret_zone, cursor.owner);
		*ret_ttl_s = ns_rr_ttl(cursor.rr) < minimum ? ns_rr_ttl(cursor.rr) : minimum;
		return true;
	}
	return false;
}

size_t dns_message_servers(const ns_msg *msg, const char *zone, char (*ret_names)[DNSNAME_LEN],
			   size_t max)
{
	struct cursor cursor = cursor_at(msg, ns_s_an);
	size_t len = 0;

	while (len < max && cursor_find(&cursor, ns_t_ns, zone))
		if (cursor_name(&cursor, ret_names[len]) && *ret_names[len])
			len++;
	return len;
}

size_t dns_message_addrs(const ns_msg *msg, struct cidr_addr *ret_addrs, size_t max)
{
	struct cursor cursor = cursor_at(msg, ns_s_an);
	size_t len = 0;

	while (len < max && cursor_next(&cursor)) {
		const uint8_t *data = ns_rr_rdata(cursor.rr);
		size_t size = ns_rr_rdlen(cursor.rr);

		if (ns_rr_type(cursor.rr) == ns_t_a && size == NS_INADDRSZ)
			ret_addrs[len++] = cidr_addr_v4(data);
		else if (ns_rr_type(cursor.rr) == ns_t_aaaa && size == NS_IN6ADDRSZ)
			memcpy(&ret_addrs[len++].ip, data, size);
	}
	return len;
}

/* ---- can it be used? ---- */

static bool is_sound(const ns_msg *msg)
{
	ns_msg cursor = *msg;
	ns_rr rr;
	char target[NS_MAXDNAME];

	for (ns_sect section = ns_s_an; section < ns_s_max; section++)
		for (int i = 0; i < ns_msg_count(*msg, section); i++)
			if (ns_parserr(&cursor, section, i, &rr) ||
			    (ns_rr_type(rr) == ns_t_cname && !expand(msg, &rr, target)))
				return false;
	return ns_msg_getflag(*msg, ns_f_qr) && ns_msg_getflag(*msg, ns_f_opcode) == ns_o_query;
}

static enum cname_reason code_reason(const ns_msg *msg)
{
	switch (ns_msg_getflag(*msg, ns_f_rcode)) {
	case ns_r_noerror:
	case ns_r_nxdomain:
		return CNAME_NO_REASON;
	case ns_r_servfail:
		return CNAME_SERVFAIL;
	case ns_r_refused:
		return CNAME_REFUSED;
	default:
		return CNAME_ERROR;
	}
}

static bool has_any(const ns_msg *msg, ns_sect section, ns_type type)
{
	struct cursor cursor = cursor_at(msg, section);

	while (cursor_next(&cursor))
		if (ns_rr_type(cursor.rr) == type)
			return true;
	return false;
}

static bool is_answered(const ns_msg *msg, const char *name)
{
	struct cursor cursor = cursor_at(msg, ns_s_an);

	while (cursor_next(&cursor))
		if (strcmp(cursor.owner, name) == 0)
			return true;
	return false;
}

/* A denial by another zone, or being sent on to other servers, is no answer; but that the name is
 * a zone of its own is one, whoever says it. */
static bool is_lame(const ns_msg *msg, bool is_authoritative, const char *name)
{
	bool is_stranger = is_authoritative && !ns_msg_getflag(*msg, ns_f_aa);
	char zone[DNSNAME_LEN];
	uint32_t ttl_s;

	if (ns_msg_count(*msg, ns_s_an) > 0)
		return is_stranger || !is_answered(msg, name);
	if (has_any(msg, ns_s_ns, ns_t_soa))
		return is_stranger || !dns_message_denial(msg, name, zone, &ttl_s);
	if (has_any(msg, ns_s_ns, ns_t_ns))
		return !dns_message_has(msg, ns_s_ns, ns_t_ns, name);
	return is_stranger;
}

enum cname_reason dns_message_read(ns_msg *ret_msg, const uint8_t *data, size_t len,
				   bool is_authoritative, const char *name)
{
	enum cname_reason reason;

	if (len > DNS_MAX_ANSWER || ns_initparse(data, (int)len, ret_msg) || !is_sound(ret_msg))
		return CNAME_MALFORMED;
	reason = code_reason(ret_msg);
	if (reason == CNAME_NO_REASON && is_lame(ret_msg, is_authoritative, name))
		return CNAME_LAME;
	return reason;
}
