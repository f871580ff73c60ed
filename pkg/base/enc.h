/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ENC_H
#define BASE_ENC_H

/* Text encodings: base64 (RFC 4648 section 4, padded, as Kubernetes' byte format) and
 * percent-encoding of URL path segments and query values (RFC 3986). */

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/* The encoded text; the caller frees it (wipes it, if data was secret). */
char *enc_base64(const void *data, size_t len);

/* Decoded bytes with a NUL behind them; the caller frees. ERR_INVALID for anything but clean
 * base64 (line breaks are skipped, as Go's decoder does). */
char *enc_unbase64(const char *text, size_t len, size_t *ret_len, struct err *err) MUST_CHECK;

/* Appends text with all but unreserved characters escaped. */
int enc_percent(struct buf *out, const char *text);

#endif
