/* SPDX-License-Identifier: Apache-2.0 */
#include "dnsname/dnsname.h"

#include <string.h>

#define MAX_LABEL 63

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t len)
{
	size_t i;

	if (len == 0 || len > MAX_LABEL || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
		return false;
	for (i = 0; i < len; i++)
		if (!is_alnum(text[i]) && text[i] != '-')
			return false;
	return true;
}

bool dnsname_is_hostname(const char *text)
{
	if (strlen(text) >= DNSNAME_LEN)
		return false;
	for (;;) {
		size_t len = strcspn(text, ".");

		if (!is_label(text, len))
			return false;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

bool dnsname_begins_as_uuid(const char *text)
{
	static const char shape[DNSNAME_UUID_LEN + 1] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	for (i = 0; shape[i]; i++)
		if (!text[i] || !strchr(shape[i] == '-' ? "-" : "0123456789abcdefABCDEF", text[i]))
			return false;
	return true;
}

/* The last label all digits: an IPv4 address or something that some resolver takes for one. */
static bool looks_like_address(const char *text)
{
	const char *dot = strrchr(text, '.');
	const char *last = dot ? dot + 1 : text;

	return strspn(last, "0123456789") == strlen(last);
}

static bool has_non_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return true;
	return false;
}

void dnsname_copy_lower(char *to, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + ('a' - 'A') : from[i]);
	to[len] = '\0';
}

int dnsname_domain(const char *text, char ret_domain[DNSNAME_LEN], struct err *err)
{
	const char *rest = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	size_t len = strlen(rest);

	if (has_non_ascii(text))
		return err_set(err, ERR_INVALID, 0,
			       "write an internationalised name as A-labels (xn--...)");
	if (len > 1 && rest[len - 1] == '.')
		len--;
	if (len + strlen(DNSNAME_CHALLENGE) >= DNSNAME_LEN)
		return err_set(err, ERR_INVALID, 0, "too long: there is no room for %s before it",
			       DNSNAME_CHALLENGE);
	dnsname_copy_lower(ret_domain, rest, len);
	if (!dnsname_is_hostname(ret_domain))
		return err_set(err, ERR_INVALID, 0, "not a DNS host name");
	if (looks_like_address(ret_domain))
		return err_set(err, ERR_INVALID, 0, "an IP address is not a domain");
	return 0;
}
