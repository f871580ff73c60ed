/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cidr/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool be_true)
{
	if (!be_true)
		abort();
}

/* A prefix holds its own address, and what an address prints as is the same address. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_freep) char *text = mem_dup(data, size);
	char addr_text[CIDR_TEXT_LEN];
	struct cidr_policy policy = {0};
	struct cidr_addr again;
	struct err err = {0};
	struct cidr cidr;

	if (cidr_parse(text, &cidr, &err)) {
		must(err.kind == ERR_INVALID);
		return 0;
	}
	must(cidr.bits <= 128);
	cidr_addr_text(&cidr.addr, addr_text);
	must(!cidr_parse_addr(addr_text, &again, &err));
	must(IN6_ARE_ADDR_EQUAL(&cidr.addr.ip, &again.ip));
	must(cidr_contains(&cidr, &again) || (IN6_IS_ADDR_V4MAPPED(&again.ip) && cidr.bits < 96));
	policy.allowed = &cidr;
	policy.allowed_len = 1;
	(void)cidr_refusal(&policy, &again);
	return 0;
}
