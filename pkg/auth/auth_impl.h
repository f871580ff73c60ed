/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPL_H
#define AUTH_IMPL_H

#include "auth/auth.h"

/* ---- auth_value.c: one value out of an object ---- */

/* A value of a Secret as a header can carry it, without one newline at its end; the caller wipes
 * it. Of the message only what follows the field's name is set. */
char *auth_header_value(const json_t *secret, const char *key, struct err *err) MUST_CHECK;
/* The certificates in a ConfigMap; the caller frees. */
char *auth_ca_value(const json_t *config_map, const char *key, struct err *err) MUST_CHECK;
/* Whether the HTTP client will be able to use them. */
int auth_check_ca(const char *pem, struct err *err) MUST_CHECK;

#endif
