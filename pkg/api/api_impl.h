/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_IMPL_H
#define API_IMPL_H

#include "api/api.h"

/* Fills a zeroed spec from the object that has it. */
void api_spec_decode(const json_t *object, struct api_spec *ret_spec);
/* "" when it is absent, or no text. */
const char *api_annotation(const json_t *object, const char *name);
void api_strings_free(char **strings, size_t len);
void api_spec_done(struct api_spec *spec);

#endif
