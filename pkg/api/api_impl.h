/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_IMPL_H
#define API_IMPL_H

#include "api/api.h"

/* Fills a zeroed spec from the object that has it. */
void api_spec_decode(const json_t *object, struct api_spec *ret_spec);
void api_spec_done(struct api_spec *spec);

#endif
