/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "explore.h"

uint32_t pool_put(struct pool *pool, const void *bytes, size_t len)
{
	struct item *item;

	HASH_FIND(hh, pool->by_bytes, bytes, len, item);
	if (item)
		return item->id;
	if (pool->len == pool->room) {
		pool->room = pool->room ? 2 * pool->room : 64;
		pool->items = mem_resize(pool->items, pool->room, sizeof(struct item *));
	}
	item = mem_zalloc(sizeof(*item));
	item->bytes = mem_dup(bytes, len);
	item->len = len;
	pool->items[pool->len++] = item;
	item->id = pool->len;
	HASH_ADD_KEYPTR(hh, pool->by_bytes, item->bytes, item->len, item);
	return item->id;
}

struct item *pool_item(const struct pool *pool, uint32_t id)
{
	return pool->items[id - 1];
}

void pool_done(struct pool *pool, void (*free_thing)(void *thing))
{
	uint32_t i;

	HASH_CLEAR(hh, pool->by_bytes);
	for (i = 0; i < pool->len; i++) {
		free_thing(pool->items[i]->thing);
		free(pool->items[i]->bytes);
		free(pool->items[i]);
	}
	free(pool->items);
	*pool = (struct pool){0};
}
