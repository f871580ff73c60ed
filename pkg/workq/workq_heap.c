/* SPDX-License-Identifier: Apache-2.0 */
#include "workq/workq_impl.h"

#include <stdlib.h>

/* A binary heap in an array from 1: the children of i are 2i and 2i + 1. */

static void put(struct workq_heap *heap, size_t place, struct workq_key *key)
{
	heap->keys[place] = key;
	key->timer = place;
}

static void sift_up(struct workq_heap *heap, size_t place, struct workq_key *key)
{
	while (place > 1 && heap->keys[place / 2]->due_ms > key->due_ms) {
		put(heap, place, heap->keys[place / 2]);
		place /= 2;
	}
	put(heap, place, key);
}

static void sift_down(struct workq_heap *heap, size_t place, struct workq_key *key)
{
	size_t child;

	while ((child = 2 * place) <= heap->len) {
		if (child < heap->len && heap->keys[child + 1]->due_ms < heap->keys[child]->due_ms)
			child++;
		if (heap->keys[child]->due_ms >= key->due_ms)
			break;
		put(heap, place, heap->keys[child]);
		place = child;
	}
	put(heap, place, key);
}

void workq_heap_set(struct workq_heap *heap, struct workq_key *key, int64_t due_ms)
{
	if (key->timer && key->due_ms <= due_ms)
		return;
	key->due_ms = due_ms;
	if (!key->timer) {
		if (heap->len + 1 >= heap->cap) {
			heap->cap = heap->cap ? 2 * heap->cap : 16;
			heap->keys = mem_resize(heap->keys, heap->cap, sizeof(struct workq_key *));
		}
		key->timer = ++heap->len;
	}
	sift_up(heap, key->timer, key);
}

struct workq_key *workq_heap_first(const struct workq_heap *heap)
{
	return heap->len ? heap->keys[1] : NULL;
}

void workq_heap_remove_first(struct workq_heap *heap)
{
	struct workq_key *last = heap->keys[heap->len--];

	heap->keys[1]->timer = 0;
	if (heap->len)
		sift_down(heap, 1, last);
}
