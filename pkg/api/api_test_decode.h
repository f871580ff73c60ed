/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_TEST_DECODE_H
#define API_TEST_DECODE_H

/* Objects from text, for the tests of this directory. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/mem.h"
#include "jv/jv.h"

#define META "\"metadata\":{\"name\":\"example\",\"uid\":\"u-1\"}"
#define HOST "\"host\":\"https://auth.example.com\""
#define REF  "\"accountSecretRef\":{\"name\":\"acme-dns\"}"
#define DOMS "\"domains\":[\"example.com\"]"

/* A good spec with something behind it, and one in which a field is replaced. */
#define SPEC(rest)	 "{" META ",\"spec\":{" HOST "," REF "," DOMS rest "}}"
#define SPEC_OF(h, r, d) "{" META ",\"spec\":{" h "," r "," d "}}"

static inline json_t *parse(const char *text)
{
	struct err err = {0};
	json_t *doc = jv_parse(text, strlen(text), &err);

	if (!doc)
		fail_msg("%s: %s", text, err.msg);
	return doc;
}

static inline struct api_registration *decode(const char *text)
{
	CLEANUP(jv_freep) json_t *object = parse(text);
	struct api_registration *registration = api_decode(object);

	if (!registration)
		fail_msg("%s: not decoded", text);
	return registration;
}

#endif
