/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_impl.h"

/* What is not named here is HTTP_FAULT_OTHER. */
static const enum http_fault faults[CURL_LAST] = {
	[CURLE_COULDNT_RESOLVE_HOST] = HTTP_FAULT_RESOLVE,
	[CURLE_COULDNT_CONNECT] = HTTP_FAULT_CONNECT,
	[CURLE_SSL_CONNECT_ERROR] = HTTP_FAULT_TLS,
	[CURLE_SSL_CERTPROBLEM] = HTTP_FAULT_TLS,
	[CURLE_SSL_CIPHER] = HTTP_FAULT_TLS,
	[CURLE_SSL_CACERT_BADFILE] = HTTP_FAULT_TLS,
	[CURLE_SSL_CLIENTCERT] = HTTP_FAULT_TLS,
	[CURLE_PEER_FAILED_VERIFICATION] = HTTP_FAULT_TLS_UNTRUSTED,
	[CURLE_OPERATION_TIMEDOUT] = HTTP_FAULT_TIMEOUT,
	[CURLE_GOT_NOTHING] = HTTP_FAULT_CLOSED,
	[CURLE_SEND_ERROR] = HTTP_FAULT_CLOSED,
	[CURLE_RECV_ERROR] = HTTP_FAULT_CLOSED,
	[CURLE_PARTIAL_FILE] = HTTP_FAULT_CLOSED,
	[CURLE_WEIRD_SERVER_REPLY] = HTTP_FAULT_NOT_HTTP,
	[CURLE_HTTP2] = HTTP_FAULT_CLOSED,
	[CURLE_HTTP2_STREAM] = HTTP_FAULT_CLOSED,
	[CURLE_COULDNT_RESOLVE_PROXY] = HTTP_FAULT_PROXY,
	[CURLE_PROXY] = HTTP_FAULT_PROXY,
};

static const char *const texts[] = {
	[HTTP_OK] = "no fault",
	[HTTP_FAULT_RESOLVE] = "host name not resolved",
	[HTTP_FAULT_CONNECT] = "connection refused or unreachable",
	[HTTP_FAULT_CONNECT_TIMEOUT] = "no connection in time",
	[HTTP_FAULT_TLS] = "TLS handshake failed",
	[HTTP_FAULT_TLS_TIMEOUT] = "no TLS handshake in time",
	[HTTP_FAULT_TLS_UNTRUSTED] = "certificate not trusted",
	[HTTP_FAULT_TLS_EXPIRED] = "certificate not trusted: expired, or not valid yet",
	[HTTP_FAULT_TLS_NAME] = "certificate not trusted: it is for another name",
	[HTTP_FAULT_TIMEOUT] = "no answer in time",
	[HTTP_FAULT_CLOSED] = "connection closed before the answer was complete",
	[HTTP_FAULT_TOO_LARGE] = "answer too large",
	[HTTP_FAULT_NOT_HTTP] = "answer is not HTTP",
	[HTTP_FAULT_PROXY] = "proxy failed",
	[HTTP_FAULT_OTHER] = "request failed",
};

enum http_fault http_fault_of(CURLcode code)
{
	if (code == CURLE_OK)
		return HTTP_OK;
	if (code < CURL_LAST && faults[code] != HTTP_OK)
		return faults[code];
	return HTTP_FAULT_OTHER;
}

const char *http_fault_text(enum http_fault fault)
{
	return texts[fault];
}
