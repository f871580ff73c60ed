/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube.h"

#include <string.h>

static bool is_comparable(const char *rv)
{
	size_t len = strlen(rv);

	return len > 0 && strspn(rv, "0123456789") == len && (rv[0] != '0' || len == 1);
}

int kube_rv_compare(const char *a, const char *b, bool *ret_ok)
{
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	*ret_ok = is_comparable(a) && is_comparable(b);
	if (!*ret_ok)
		return 0;
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}
