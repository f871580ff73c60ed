/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "auth/auth_impl.h"
#include "base/enc.h"
#include "base/mem.h"
#include "http/http.h"
#include "jv/jv.h"

/* Decoded, with a NUL behind it; NULL when there is none. */
static char *unbase64(const json_t *value, size_t *ret_len)
{
	struct err ignored;

	if (!json_is_string(value))
		return NULL;
	return enc_unbase64(json_string_value(value), json_string_length(value), ret_len, &ignored);
}

/* ---- what a header carries ---- */

static bool has_control(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return true;
	return false;
}

static int check_header_value(const char *text, size_t len, const char *key, struct err *err)
{
	if (len > AUTH_MAX_VALUE)
		return err_set(err, ERR_NOT_FOUND, 0, "the value of its %.64s is larger than 8 KiB",
			       key);
	if (has_control(text, len))
		return err_set(err, ERR_NOT_FOUND, 0,
			       "the value of its %.64s holds a control character, which is never "
			       "sent; take it out (one newline at the end does no harm)",
			       key);
	return 0;
}

char *auth_header_value(const json_t *secret, const char *key, struct err *err)
{
	size_t whole = 0;
	CLEANUP(mem_wipe_strp)
	char *text = unbase64(json_object_get(jv_object(secret, "data"), key), &whole);
	size_t len;

	if (!text) {
		(void)err_set(err, ERR_NOT_FOUND, 0,
			      "its %.64s is missing; add it, or refer to what is there", key);
		return NULL;
	}
	len = whole > 0 && text[whole - 1] == '\n' ? whole - 1 : whole;
	if (check_header_value(text, len, key, err)) {
		explicit_bzero(text, whole); /* a NUL inside would end the wiping */
		return NULL;
	}
	text[len] = '\0';
	return TAKE(text);
}

/* ---- certificates ---- */

int auth_check_ca(const char *pem, struct err *err)
{
	if (strlen(pem) > API_MAX_CA)
		return err_set(err, ERR_NOT_FOUND, 0,
			       "there are more than 64 KiB; leave certificates out");
	if (!http_is_ca(pem))
		return err_set(err, ERR_NOT_FOUND, 0,
			       "these are not certificates in PEM form, or one of them is damaged");
	return 0;
}

/* In data as text, in binaryData as base64; a key is in one of them at most. */
static char *config_map_value(const json_t *config_map, const char *key, size_t *ret_len)
{
	const json_t *text = json_object_get(jv_object(config_map, "data"), key);

	if (!json_is_string(text))
		return unbase64(json_object_get(jv_object(config_map, "binaryData"), key), ret_len);
	*ret_len = json_string_length(text);
	return mem_dup(json_string_value(text), *ret_len);
}

char *auth_ca_value(const json_t *config_map, const char *key, struct err *err)
{
	size_t len = 0;
	CLEANUP(mem_freep) char *pem = config_map_value(config_map, key, &len);

	if (!pem) {
		(void)err_set(err, ERR_NOT_FOUND, 0,
			      "the ConfigMap or its key is not there; make it, or refer to "
			      "another");
		return NULL;
	}
	if (auth_check_ca(strlen(pem) == len ? pem : "", err))
		return NULL;
	return TAKE(pem);
}
