/* SPDX-License-Identifier: Apache-2.0 */

/* What each answer of POST /register means, and each way in which none comes. */

#include <string.h>

#include "acmedns/acmedns_impl.h"

struct row {
	struct acmedns_when when;
	enum acmedns_verdict verdict;
	bool maybe_made;
	const char *message;
};

/* The one table: the first row that fits is what is done and told. docs/server-answers.md is the
 * same table for people, and e2e/test_answers.py holds both to the truth; what follows of a verdict
 * (the condition's reason, the time of the next try) is in plan_fold.c. A message has no word of
 * the server's. */
static const struct row rows[] = {
	/* ---- an account ---- */
	{{.least = 200, .most = 299, .flaw = ACMEDNS_FLAW_NONE},
	 ACMEDNS_REGISTERED,
	 false,
	 "registered"},

	/* ---- 201, or what a proxy made of it: one was made, but it is of no use to us ---- */
	{{.least = 200, .most = 200},
	 ACMEDNS_UNAVAILABLE,
	 false,
	 "the answer is not one of acme-dns: spec.host must name its API"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_JSON},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: it is not a JSON object"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_USERNAME},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: its username is missing, or is not a UUID"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_PASSWORD},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: its password is missing, or is not 1 to 256 "
	 "printable characters"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_SUBDOMAIN},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: its subdomain is missing, or is not a UUID"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_FULLDOMAIN},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: its fulldomain is missing, or is not a host name "
	 "below the subdomain"},
	{{.least = 201, .most = 299, .flaw = ACMEDNS_FLAW_ALLOWFROM},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer holds no account: its allowfrom is not a list of CIDRs"},

	/* ---- a status that says no: clear, and nothing was made ---- */
	{{.least = 300, .most = 399},
	 ACMEDNS_UNAVAILABLE,
	 false,
	 "the server redirects /register: spec.host must name the API itself"},
	{{.least = 400, .most = 400, .says = "invalid_allowfrom_cidr"},
	 ACMEDNS_BAD_ALLOWFROM,
	 false,
	 "the server refuses a CIDR of spec.allowFrom"},
	{{.least = 400, .most = 400, .says = "malformed_json_payload"},
	 ACMEDNS_REJECTED,
	 false,
	 "the server cannot read the request: does a proxy before it change it?"},
	{{.least = 400, .most = 400, .says = "HTTP request to an HTTPS server"},
	 ACMEDNS_UNAVAILABLE,
	 false,
	 "the server wants HTTPS at this port: spec.host must begin with https://"},
	{{.least = 400, .most = 400, .says = "HTTP request was sent to HTTPS port"},
	 ACMEDNS_UNAVAILABLE,
	 false,
	 "the server wants HTTPS at this port: spec.host must begin with https://"},
	{{.least = 401, .most = 401},
	 ACMEDNS_DENIED,
	 false,
	 "the server, or a proxy before it, asks for authentication, or does not take "
	 "ours"},
	{{.least = 403, .most = 403},
	 ACMEDNS_DENIED,
	 false,
	 "the server, or a proxy before it, forbids this operator to register"},
	{{.least = 404, .most = 405},
	 ACMEDNS_UNAVAILABLE,
	 false,
	 "there is no /register at this URL: registration is disabled, or this is not "
	 "an acme-dns API"},
	{{.least = 407, .most = 407},
	 ACMEDNS_DENIED,
	 false,
	 "a proxy before the server asks for authentication"},
	{{.least = 429, .most = 429},
	 ACMEDNS_THROTTLED,
	 false,
	 "the server asks to come back later"},
	{{.least = 400, .most = 499}, ACMEDNS_REJECTED, false, "the server refused the request"},

	/* ---- a status behind which anything may have happened ---- */
	{{.least = 502, .most = 502},
	 ACMEDNS_SERVER_ERROR,
	 true,
	 "a proxy before the server gets no proper answer from it"},
	{{.least = 503, .most = 503},
	 ACMEDNS_SERVER_ERROR,
	 true,
	 "the server, or a proxy before it, is not available"},
	{{.least = 504, .most = 504},
	 ACMEDNS_SERVER_ERROR,
	 true,
	 "a proxy before the server gets no answer from it in time"},
	{{.least = 500, .most = INT32_MAX},
	 ACMEDNS_SERVER_ERROR,
	 true,
	 "the server reports an error of its own: its log says which"},
	{{.least = INT32_MIN, .most = 199},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer is not one of acme-dns: spec.host must name its API"},

	/* ---- no answer, and no byte of the request went out ---- */
	{{.fault = HTTP_FAULT_RESOLVE},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the name of spec.host does not resolve"},
	{{.fault = HTTP_FAULT_CONNECT},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server refuses the connection, or there is no way to it"},
	{{.fault = HTTP_FAULT_CONNECT_TIMEOUT},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server does not take the connection in time: is it up, and do firewalls "
	 "let the operator through?"},
	{{.fault = HTTP_FAULT_TLS},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the TLS handshake with the server fails: does it speak HTTPS at this port?"},
	{{.fault = HTTP_FAULT_TLS_TIMEOUT},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server does not finish the TLS handshake in time: does it speak HTTPS at "
	 "this port?"},
	{{.fault = HTTP_FAULT_TLS_UNTRUSTED},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server's certificate is not trusted: no authority that the operator knows "
	 "has signed it"},
	{{.fault = HTTP_FAULT_TLS_EXPIRED},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server's certificate is not trusted: it has expired, or is not valid yet"},
	{{.fault = HTTP_FAULT_TLS_NAME},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server's certificate is not trusted: it is not for the name of spec.host"},
	{{.fault = HTTP_FAULT_PROXY},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the operator's own proxy does not let the request through"},
	{{.fault = HTTP_FAULT_CLOSED},
	 ACMEDNS_UNREACHABLE,
	 false,
	 "the server closes the connection before the request is sent"},
	{{.sent = false}, ACMEDNS_UNREACHABLE, false, "the request could not be sent"},

	/* ---- no answer, and the server may have acted on what went out ---- */
	{{.fault = HTTP_FAULT_TIMEOUT, .sent = true},
	 ACMEDNS_NO_ANSWER,
	 true,
	 "the server does not answer in time"},
	{{.fault = HTTP_FAULT_CLOSED, .sent = true},
	 ACMEDNS_NO_ANSWER,
	 true,
	 "the server closed the connection before its answer was complete"},
	{{.fault = HTTP_FAULT_TOO_LARGE, .sent = true},
	 ACMEDNS_BAD_ANSWER,
	 true,
	 "the answer is larger than any of acme-dns: spec.host must name its API"},
	{{.fault = HTTP_FAULT_NOT_HTTP, .sent = true},
	 ACMEDNS_NO_ANSWER,
	 true,
	 "what answers does not speak HTTP: spec.host must name the acme-dns API"},
	{{.sent = true}, ACMEDNS_NO_ANSWER, true, "the exchange with the server broke off"},
};

static bool says(const struct http_response *resp, const char *words)
{
	return memmem(resp->body, resp->body_len, words, strlen(words)) != NULL;
}

static bool fits_fault(const struct acmedns_when *when, const struct http_response *resp)
{
	return when->least == 0 && when->most == 0 && when->sent == resp->sent &&
	       (when->fault == HTTP_OK || when->fault == resp->fault);
}

bool acmedns_fits_status(const struct acmedns_when *when, const struct http_response *resp,
			 enum acmedns_flaw flaw)
{
	return (when->least || when->most) && resp->status >= when->least &&
	       resp->status <= when->most &&
	       (when->flaw == ACMEDNS_FLAW_ANY || when->flaw == flaw) &&
	       (!when->says || says(resp, when->says));
}

static const struct row *row_of(const struct http_response *resp, bool clear,
				enum acmedns_flaw flaw)
{
	const struct row *row = rows;

	while (!(clear ? acmedns_fits_status(&row->when, resp, flaw)
		       : fits_fault(&row->when, resp)))
		row++;
	return row;
}

const char *acmedns_fault_message(const struct http_response *resp)
{
	return row_of(resp, false, ACMEDNS_FLAW_ANY)->message;
}

struct acmedns_result acmedns_register_result(const struct http_response *resp,
					      struct acmedns_account *ret_account)
{
	/* A status that says no is clear, even if the text behind it did not all come: a web
	 * server's error page may well pass the cap. */
	bool clear = resp->fault == HTTP_OK || resp->status >= 300;
	enum acmedns_flaw flaw = ACMEDNS_FLAW_JSON;
	const struct row *row;

	if (resp->fault == HTTP_OK && resp->status / 100 == 2)
		flaw = acmedns_read_account(resp->body, resp->body_len, ret_account);
	row = row_of(resp, clear, flaw);
	return (struct acmedns_result){.verdict = row->verdict,
				       .maybe_made = row->maybe_made,
				       .retry_after_s = resp->retry_after_s,
				       .message = row->message};
}

/* ---- GET /health, which tells a disabled registration from another server ---- */

bool acmedns_wants_health(const struct http_response *resp)
{
	return resp->status == 404 || resp->status == 405;
}

const char *acmedns_health_message(const struct http_response *resp)
{
	bool is_page = resp->status == 200 && (resp->fault != HTTP_OK || resp->body_len > 0);

	if (resp->fault == HTTP_OK && resp->status == 200 && resp->body_len == 0)
		return "registration is disabled at this acme-dns server (disable_registration), "
		       "or at a proxy before it";
	if (is_page || resp->status / 100 == 3 || acmedns_wants_health(resp))
		return "spec.host is not the URL of an acme-dns API: there is neither /register "
		       "nor acme-dns' /health";
	return NULL;
}
