/* SPDX-License-Identifier: Apache-2.0 */
#include "acmedns/acmedns_impl.h"

#include <stdio.h>
#include <string.h>

#include "cidr/cidr.h"
#include "jv/jv.h"

char *acmedns_register_body(const char *const *allow_from, size_t len)
{
	CLEANUP(jv_freep) json_t *body = json_object();
	json_t *list = json_array();
	size_t ignored;
	size_t i;

	for (i = 0; i < len; i++)
		jv_append(list, json_string(allow_from[i]));
	jv_set(body, "allowfrom", list);
	return jv_text(body, &ignored);
}

bool acmedns_is_uuid(const char *text)
{
	return dnsname_begins_as_uuid(text) && !text[DNSNAME_UUID_LEN];
}

/* ---- the account in a 201 ---- */

static int copy_string(const json_t *doc, const char *key, char *to, size_t size)
{
	const char *text = jv_whole_str(json_object_get(doc, key));

	if (!text || strlen(text) >= size)
		return -1;
	(void)snprintf(to, size, "%s", text);
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static bool is_fulldomain(const struct acmedns_account *account)
{
	size_t len = strlen(account->subdomain);

	return strncmp(account->fulldomain, account->subdomain, len) == 0 &&
	       account->fulldomain[len] == '.' && dnsname_is_hostname(account->fulldomain);
}

/* The server strips the brackets of IPv6 prefixes, so its list is kept, not ours. */
static int copy_allowfrom(const json_t *doc, struct acmedns_account *account)
{
	const json_t *list = json_object_get(doc, "allowfrom");
	struct cidr ignored_cidr;
	struct err ignored;
	size_t used = 0;
	json_t *item;
	size_t i;

	if (list && !json_is_array(list) && !json_is_null(list))
		return -1;
	json_array_foreach(list, i, item) {
		const char *cidr = jv_whole_str(item);
		size_t room = sizeof(account->allowfrom) - used;
		int len;

		if (!cidr || cidr_parse(cidr, &ignored_cidr, &ignored))
			return -1;
		len = snprintf(account->allowfrom + used, room, "%s%s", i ? " " : "", cidr);
		if (len < 0 || (size_t)len >= room)
			return -1;
		used += (size_t)len;
	}
	return 0;
}

static enum acmedns_flaw fill_account(const json_t *doc, struct acmedns_account *account)
{
	if (!json_is_object(doc))
		return ACMEDNS_FLAW_JSON;
	if (copy_string(doc, "username", account->username, ACMEDNS_UUID_LEN) ||
	    !acmedns_is_uuid(account->username))
		return ACMEDNS_FLAW_USERNAME;
	if (copy_string(doc, "password", account->password, ACMEDNS_PASSWORD_LEN) ||
	    !*account->password || !is_printable(account->password))
		return ACMEDNS_FLAW_PASSWORD;
	if (copy_string(doc, "subdomain", account->subdomain, ACMEDNS_UUID_LEN) ||
	    !acmedns_is_uuid(account->subdomain))
		return ACMEDNS_FLAW_SUBDOMAIN;
	if (copy_string(doc, "fulldomain", account->fulldomain, DNSNAME_LEN) ||
	    !is_fulldomain(account))
		return ACMEDNS_FLAW_FULLDOMAIN;
	return copy_allowfrom(doc, account) ? ACMEDNS_FLAW_ALLOWFROM : ACMEDNS_FLAW_NONE;
}

enum acmedns_flaw acmedns_read_account(const char *text, size_t len,
				       struct acmedns_account *ret_account)
{
	struct acmedns_account account = {0};
	struct err ignored;
	CLEANUP(jv_freep) json_t *doc = jv_parse(text, len, &ignored);
	enum acmedns_flaw flaw = fill_account(doc, &account);

	if (flaw == ACMEDNS_FLAW_NONE)
		*ret_account = account;
	explicit_bzero(&account, sizeof(account));
	return flaw;
}
