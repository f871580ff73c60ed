/* SPDX-License-Identifier: Apache-2.0 */
#include "cidr/cidr.h"

#include <arpa/inet.h>
#include <string.h>

/* The prefix length of ::ffff:0:0/96, under which IPv4 addresses are kept. */
#define MAPPED_BITS 96

#define IP6(...)                                                                                   \
	{                                                                                          \
		.ip = {.s6_addr = {__VA_ARGS__} }                                                  \
	}
#define IP4(...) IP6(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, __VA_ARGS__)

struct cidr_addr cidr_addr_v4(const void *bytes)
{
	const unsigned char *v4 = bytes;

	return (struct cidr_addr){.ip.s6_addr = {[10] = 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]}};
}

static bool is_v4(const struct cidr_addr *addr)
{
	return IN6_IS_ADDR_V4MAPPED(&addr->ip);
}

int cidr_parse_addr(const char *text, struct cidr_addr *ret_addr, struct err *err)
{
	unsigned char v4[4];

	if (inet_pton(AF_INET6, text, &ret_addr->ip) == 1)
		return 0;
	if (inet_pton(AF_INET, text, v4) != 1)
		return err_set(err, ERR_INVALID, 0, "not an IP address");
	*ret_addr = cidr_addr_v4(v4);
	return 0;
}

/* Decimal digits only, leading zeros allowed; -1 for anything else or more than max. */
static int parse_bits(const char *text, int max)
{
	int bits = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
		if (bits > max)
			return -1;
	}
	return bits;
}

int cidr_parse(const char *text, struct cidr *ret_cidr, struct err *err)
{
	const char *slash = strchr(text, '/');
	char addr_text[CIDR_TEXT_LEN];
	struct cidr cidr;
	bool quad;
	int bits;
	size_t len;

	if (!slash)
		return err_set(err, ERR_INVALID, 0, "no prefix length");
	len = (size_t)(slash - text);
	if (len >= sizeof(addr_text))
		return err_set(err, ERR_INVALID, 0, "not an IP address");
	memcpy(addr_text, text, len);
	addr_text[len] = '\0';
	if (cidr_parse_addr(addr_text, &cidr.addr, err))
		return -1;
	quad = !strchr(addr_text, ':');
	bits = parse_bits(slash + 1, quad ? 32 : 128);
	if (bits < 0)
		return err_set(err, ERR_INVALID, 0, "not a prefix length");
	cidr.bits = (unsigned int)bits + (quad ? MAPPED_BITS : 0);
	*ret_cidr = cidr;
	return 0;
}

void cidr_addr_text(const struct cidr_addr *addr, char ret_text[CIDR_TEXT_LEN])
{
	if (is_v4(addr))
		(void)inet_ntop(AF_INET, &addr->ip.s6_addr[12], ret_text, CIDR_TEXT_LEN);
	else
		(void)inet_ntop(AF_INET6, &addr->ip, ret_text, CIDR_TEXT_LEN);
}

bool cidr_contains(const struct cidr *prefix, const struct cidr_addr *addr)
{
	const unsigned char *a = prefix->addr.ip.s6_addr;
	const unsigned char *b = addr->ip.s6_addr;
	unsigned int bytes = prefix->bits / 8;
	unsigned int rest = prefix->bits % 8;

	if (is_v4(addr) && prefix->bits < MAPPED_BITS)
		return false;
	if (memcmp(a, b, bytes) != 0)
		return false;
	return !rest || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

/*
 * Addresses that a translator or tunnel turns into IPv4: where the four bytes are (RFC 6052 section
 * 2.2, RFC 3056), and from where on the rest must be zero for that layout. The local-use prefix
 * (RFC 8215) leaves the layout to the site: its first line that fits is right for every IPv4
 * address that does not end in zero.
 */
static const struct carrier {
	struct cidr prefix;
	unsigned char at[4];
	unsigned char zero_from;
} carriers[] = {
	{{IP6(0x00, 0x64, 0xff, 0x9b), 96}, {12, 13, 14, 15}, 16},
	{{IP6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48}, {6, 7, 9, 10}, 11},
	{{IP6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48}, {7, 9, 10, 11}, 12},
	{{IP6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48}, {9, 10, 11, 12}, 13},
	{{IP6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48}, {12, 13, 14, 15}, 16},
	{{IP6(0x20, 0x02), 16}, {2, 3, 4, 5}, 16},
};

static bool carries(const struct carrier *carrier, const struct cidr_addr *addr)
{
	size_t i;

	for (i = carrier->zero_from; i < sizeof(addr->ip); i++) {
		if (addr->ip.s6_addr[i])
			return false;
	}
	return cidr_contains(&carrier->prefix, addr);
}

/* Where a connection to the address really goes. */
static struct cidr_addr destination(const struct cidr_addr *addr)
{
	struct cidr_addr inner = *addr;
	unsigned char v4[4];
	size_t i;
	size_t k;

	for (i = 0; i < ARRAY_LEN(carriers); i++) {
		if (!carries(&carriers[i], addr))
			continue;
		for (k = 0; k < sizeof(v4); k++)
			v4[k] = addr->ip.s6_addr[carriers[i].at[k]];
		inner = cidr_addr_v4(v4);
		break;
	}
	return inner;
}

static const char *special_use(const struct cidr_addr *addr)
{
	static const struct {
		struct cidr prefix;
		const char *what;
	} specials[] = {
		{{IP4(0), 104}, "an unspecified address"},
		{{IP4(127), 104}, "a loopback address"},
		{{IP4(169, 254), 112}, "a link-local address"},
		{{IP4(224), 100}, "a multicast address"},
		{{IP4(255, 255, 255, 255), 128}, "a broadcast address"},
		{{IP6(0), 128}, "an unspecified address"},
		{{IP6([15] = 1), 128}, "a loopback address"},
		{{IP6(0xfe, 0x80), 10}, "a link-local address"},
		{{IP6(0xff), 8}, "a multicast address"},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(specials); i++) {
		if (cidr_contains(&specials[i].prefix, addr))
			return specials[i].what;
	}
	return NULL;
}

const char *cidr_refusal(const struct cidr_policy *policy, const struct cidr_addr *addr)
{
	struct cidr_addr to = destination(addr);
	size_t i;

	for (i = 0; i < policy->allowed_len; i++) {
		if (cidr_contains(&policy->allowed[i], &to))
			return NULL;
	}
	for (i = 0; i < policy->refused_len; i++) {
		struct cidr_addr refused = destination(&policy->refused[i]);

		if (IN6_ARE_ADDR_EQUAL(&refused.ip, &to.ip))
			return "the Kubernetes API server's address";
	}
	return special_use(&to);
}
