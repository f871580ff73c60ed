/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"

static char fold(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Go folds by Unicode: the long s (U+017F, bytes c5 bf) is an s too. The other such letter, the
 * Kelvin sign, stands for a k, which none of the names has. */
static bool go_equal(const char *text, const char *name)
{
	for (; *name; name++) {
		if (*name == 's' && strncmp(text, "\xc5\xbf", 2) == 0)
			text += 2;
		else if (fold(*text) == *name)
			text++;
		else
			return false;
	}
	return !*text;
}

json_t *ledger_account_field(json_t *entry, const char *name)
{
	json_t *found = NULL;
	const char *key;
	json_t *value;

	json_object_foreach(entry, key, value)
		if (!json_is_null(value) && go_equal(key, name))
			found = value;
	return found;
}

const char *ledger_account_text(json_t *entry, const char *name)
{
	const char *text = jv_whole_str(ledger_account_field(entry, name));

	return text ? text : "";
}

bool ledger_account_complete(json_t *entry)
{
	static const char *const needed[] = {"username", "password", "subdomain", "fulldomain"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(needed); i++)
		if (!*ledger_account_text(entry, needed[i]))
			return false;
	return true;
}

static int check_entry(const char *domain, json_t *entry, struct err *err)
{
	static const char *const strings[] = {"username", "password", "subdomain", "fulldomain",
					      "server_url"};
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(entry) && !json_is_null(entry))
		return err_set(err, ERR_INVALID, 0, "the entry of %s is not an object",
			       ledger_domain_name(domain));
	json_object_foreach(entry, key, value)
		for (i = 0; i < ARRAY_LEN(strings); i++)
			if (go_equal(key, strings[i]) && !json_is_null(value) &&
			    !json_is_string(value))
				return err_set(err, ERR_INVALID, 0,
					       "the entry of %s has a %s that is no string",
					       ledger_domain_name(domain), strings[i]);
	return 0;
}

int ledger_accounts_check(json_t *accounts, struct err *err)
{
	const char *domain;
	json_t *entry;

	if (!json_is_object(accounts))
		return err_set(err, ERR_INVALID, 0, "it is not a JSON object");
	json_object_foreach(accounts, domain, entry)
		if (check_entry(domain, entry, err))
			return -1;
	return 0;
}

static json_t *allowfrom_json(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, " ");

		jv_append(list, json_stringn(text, len));
		text += len + (text[len] == ' ');
	}
	return list;
}

json_t *ledger_account_json(const struct acmedns_account *account, const char *server_url)
{
	json_t *entry = json_object();

	jv_set_str(entry, "username", account->username);
	jv_set_str(entry, "password", account->password);
	jv_set_str(entry, "fulldomain", account->fulldomain);
	jv_set_str(entry, "subdomain", account->subdomain);
	jv_set(entry, "allowfrom", allowfrom_json(account->allowfrom));
	jv_set_str(entry, "server_url", server_url);
	return entry;
}

void ledger_account_set_url(json_t *entry, const char *server_url)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(entry, next, key, value)
		if (go_equal(key, "server_url"))
			(void)json_object_del(entry, key);
	jv_set_str(entry, "server_url", server_url);
}
