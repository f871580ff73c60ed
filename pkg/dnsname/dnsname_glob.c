/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dnsname/dnsname.h"

/* With a letter for each '*' it has to be a domain. */
static int parse_with_letters(const char *text, char ret_domain[DNSNAME_LEN])
{
	char letters[DNSNAME_LEN + 1];
	const size_t len = strlen(text);
	struct err ignored;
	size_t i;

	if (len >= sizeof(letters))
		return -1;
	for (i = 0; i <= len; i++)
		letters[i] = (char)(text[i] == '*' ? 'x' : text[i]);
	return dnsname_domain(letters, ret_domain, &ignored);
}

int dnsname_glob_parse(const char *text, struct dnsname_glob *ret_glob, struct err *err)
{
	struct dnsname_glob glob = {0};
	size_t i;

	if (parse_with_letters(text, glob.text))
		return err_set(err, ERR_INVALID, 0,
			       "write a domain, like example.com or *.example.com, without "
			       "_acme-challenge. and blanks");
	for (i = 0; glob.text[i]; i++)
		if (text[i] == '*')
			glob.text[i] = '*';
	*ret_glob = glob;
	return 0;
}

/* The last '*' takes one character more whenever what follows does not fit. */
bool dnsname_glob_matches(const char *glob, const char *name)
{
	const char *star = NULL;
	const char *taken = NULL; /* up to here by the star */

	while (*name) {
		if (*glob == '*') {
			star = glob++;
			taken = name;
		} else if (*glob == *name) {
			glob++;
			name++;
		} else if (star && *taken != '.') {
			glob = star + 1;
			name = ++taken;
		} else {
			return false;
		}
	}
	return glob[strspn(glob, "*")] == '\0';
}
