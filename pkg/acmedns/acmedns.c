/* SPDX-License-Identifier: Apache-2.0 */
#include "acmedns/acmedns.h"

#include <stdio.h>
#include <string.h>

#include "cidr/cidr.h"
#include "http/http.h"
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
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	if (strlen(text) != sizeof(shape) - 1)
		return false;
	for (i = 0; shape[i]; i++) {
		bool dash = shape[i] == '-';

		if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return true;
}

/* ---- the account in a 201 ---- */

/* NULL for anything but a string, and for one with a NUL inside. */
static const char *whole_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int copy_string(const json_t *doc, const char *key, char *to, size_t size)
{
	const char *text = whole_text(json_object_get(doc, key));

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
		const char *cidr = whole_text(item);
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

static int read_account(const char *text, size_t len, struct acmedns_account *ret_account)
{
	struct acmedns_account account = {0};
	struct err ignored;
	CLEANUP(jv_freep) json_t *doc = jv_parse(text, len, &ignored);
	int bad = !doc || copy_string(doc, "username", account.username, ACMEDNS_UUID_LEN) ||
		  copy_string(doc, "password", account.password, ACMEDNS_PASSWORD_LEN) ||
		  copy_string(doc, "subdomain", account.subdomain, ACMEDNS_UUID_LEN) ||
		  copy_string(doc, "fulldomain", account.fulldomain, DNSNAME_LEN) ||
		  copy_allowfrom(doc, &account) || !acmedns_is_uuid(account.username) ||
		  !acmedns_is_uuid(account.subdomain) || !account.password[0] ||
		  !is_printable(account.password) || !is_fulldomain(&account);

	if (!bad)
		*ret_account = account;
	explicit_bzero(&account, sizeof(account));
	return bad ? -1 : 0;
}

/* ---- what an answer means: one row an answer, no text of the server's ---- */

struct meaning {
	enum acmedns_verdict verdict;
	bool maybe_made;
	const char *message;
};

/* Nothing usable came back. If bytes went out, the server may have acted on them. */
static struct meaning fault_meaning(const struct http_response *resp)
{
	const char *message = http_fault_text(resp->fault);

	if (!resp->sent)
		return (struct meaning){ACMEDNS_UNREACHABLE, false, message};
	if (resp->fault == HTTP_FAULT_TOO_LARGE)
		return (struct meaning){ACMEDNS_BAD_ANSWER, true, message};
	return (struct meaning){ACMEDNS_NO_ANSWER, true, message};
}

static bool says(const struct http_response *resp, const char *word)
{
	return memmem(resp->body, resp->body_len, word, strlen(word)) != NULL;
}

static struct meaning client_error_meaning(const struct http_response *resp)
{
	switch (resp->status) {
	case 400:
		if (says(resp, "invalid_allowfrom_cidr"))
			return (struct meaning){ACMEDNS_BAD_ALLOWFROM, false,
						"the server refuses a CIDR of spec.allowFrom"};
		break;
	case 401:
	case 403:
		return (struct meaning){
			ACMEDNS_DENIED, false,
			"the server asks for authentication, or does not take ours"};
	case 404:
	case 405:
		return (struct meaning){ACMEDNS_UNAVAILABLE, false,
					"there is no /register at this URL: registration is "
					"disabled, or this is not an acme-dns API"};
	case 429:
		return (struct meaning){ACMEDNS_THROTTLED, false,
					"the server asks to come back later"};
	default:
		break;
	}
	return (struct meaning){ACMEDNS_REJECTED, false, "the server refused the request"};
}

static struct meaning status_meaning(const struct http_response *resp)
{
	if (resp->status >= 500)
		return (struct meaning){ACMEDNS_SERVER_ERROR, true, "the server reports an error"};
	if (resp->status >= 400)
		return client_error_meaning(resp);
	if (resp->status >= 300)
		return (struct meaning){ACMEDNS_UNAVAILABLE, false,
					"the server redirects /register: spec.host must name the "
					"API itself"};
	if (resp->status == 200)
		return (struct meaning){
			ACMEDNS_UNAVAILABLE, false,
			"the answer is not one of acme-dns: spec.host must name its "
			"API"};
	return (struct meaning){ACMEDNS_BAD_ANSWER, true, "the answer holds no account"};
}

static bool has_account(const struct http_response *resp, struct acmedns_account *ret_account)
{
	return resp->fault == HTTP_OK && resp->status / 100 == 2 &&
	       !read_account(resp->body, resp->body_len, ret_account);
}

static struct meaning meaning_of(const struct http_response *resp,
				 struct acmedns_account *ret_account)
{
	if (has_account(resp, ret_account))
		return (struct meaning){ACMEDNS_REGISTERED, false, "registered"};
	/* A status that says no is clear, even if the text behind it did not all come: a web
	 * server's error page may well pass the cap. */
	if (resp->fault == HTTP_OK || resp->status >= 300)
		return status_meaning(resp);
	return fault_meaning(resp);
}

struct acmedns_result acmedns_register_result(const struct http_response *resp,
					      struct acmedns_account *ret_account)
{
	struct meaning m = meaning_of(resp, ret_account);

	return (struct acmedns_result){.verdict = m.verdict,
				       .maybe_made = m.maybe_made,
				       .retry_after_s = resp->retry_after_s,
				       .message = m.message};
}
