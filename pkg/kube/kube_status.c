/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <errno.h>
#include <string.h>

#include "jv/jv.h"

bool kube_is_namespace_terminating(const json_t *status)
{
	const json_t *cause;
	size_t i;

	if (jv_int(status, "code", 0) != 403)
		return false;
	json_array_foreach(jv_array(status, "details.causes"), i, cause)
		if (strcmp(jv_str(cause, "reason"), "NamespaceTerminating") == 0)
			return true;
	return false;
}

static enum err_kind kind_of(int status)
{
	switch (status) {
	case 400:
	case 405:
	case 413:
	case 415:
	case 422:
		return ERR_INVALID;
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_CONFLICT;
	case 410:
		return ERR_GONE;
	case 429:
		return ERR_THROTTLED;
	default:
		return ERR_TRANSIENT;
	}
}

/* Seconds to wait: the header's, or the Status'; -1 when not told. */
static int retry_after_s(const struct http_response *resp, const json_t *status)
{
	int64_t told = jv_int(status, "details.retryAfterSeconds", -1);

	if (resp->retry_after_s >= 0)
		return resp->retry_after_s;
	return told > 0 && told <= 3600 ? (int)told : -1;
}

/* What is not printable ASCII would spoil a log or cut a character in two. */
static void copy_printable(char *ret_text, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	for (size_t i = 0; i < len; i++)
		ret_text[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	ret_text[len] = '\0';
}

static int refusal(const struct http_response *resp, const json_t *status, struct err *err)
{
	enum err_kind kind = kind_of(resp->status);
	int wait_s = retry_after_s(resp, status);
	int code = resp->status;
	char reason[64];
	char message[sizeof(err->msg)];

	copy_printable(reason, sizeof(reason), jv_str(status, "reason"));
	copy_printable(message, sizeof(message), jv_str(status, "message"));
	if (resp->status >= 500 && wait_s >= 0)
		kind = ERR_THROTTLED;
	if (kind == ERR_THROTTLED)
		code = wait_s > 0 ? wait_s : 0;
	return err_set(err, kind, code, "HTTP %d%s%s%s%s", resp->status, *reason ? " " : "", reason,
		       *message ? ": " : "", message);
}

bool kube_is_too_large(const struct err *err)
{
	return err->kind == ERR_TRANSIENT && err->code == EMSGSIZE;
}

int kube_status_check(const struct http_response *resp, const char *server, json_t **ret_status,
		      struct err *err)
{
	CLEANUP(jv_freep) json_t *doc = NULL;
	struct err not_json;

	if (resp->fault != HTTP_OK)
		return err_set(err, ERR_TRANSIENT,
			       resp->fault == HTTP_FAULT_TOO_LARGE ? EMSGSIZE : 0, "%s: %s", server,
			       http_fault_text(resp->fault));
	if (resp->status >= 200 && resp->status < 300)
		return 0;
	doc = jv_parse(resp->body, resp->body_len, &not_json);
	if (strcmp(jv_str(doc, "kind"), "Status") == 0)
		*ret_status = json_incref(doc);
	return refusal(resp, *ret_status, err);
}
