/* SPDX-License-Identifier: Apache-2.0 */
#include "informer/informer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "jv/jv.h"

#define MAX_KEY 320 /* a label (63) and a DNS name (253), each with a NUL */

struct key {
	char text[MAX_KEY];
	size_t len;
};

static int make_key(const char *namespace, const char *name, struct key *ret_key)
{
	size_t namespace_size = strlen(namespace) + 1;
	size_t name_size = strlen(name) + 1;

	if (namespace_size > MAX_KEY || name_size > MAX_KEY - namespace_size)
		return -1;
	memcpy(ret_key->text, namespace, namespace_size);
	memcpy(ret_key->text + namespace_size, name, name_size);
	ret_key->len = namespace_size + name_size;
	return 0;
}

static int read_key(const json_t *document, struct key *ret_key, struct err *err)
{
	const char *name = jv_str(document, "metadata.name");

	/* A server that misread our Accept sends Tables, which have none. */
	if (!*name)
		return err_set(err, ERR_INVALID, 0, "the server sent an object without a name");
	if (make_key(jv_str(document, "metadata.namespace"), name, ret_key) < 0)
		return err_set(err, ERR_INVALID, 0,
			       "the server sent an object with a name too long");
	return 0;
}

int informer_read_rv(const json_t *document, char ret_rv[KUBE_RV_LEN], struct err *err)
{
	const char *rv = jv_str(document, "metadata.resourceVersion");
	size_t len = strlen(rv);

	if (len == 0 || len >= KUBE_RV_LEN)
		return err_set(err, ERR_INVALID, 0, "the server sent no usable resourceVersion");
	memcpy(ret_rv, rv, len + 1);
	return 0;
}

const char *informer_entry_name(const struct informer_entry *entry)
{
	return entry->key + strlen(entry->key) + 1;
}

static struct informer_entry *find(const struct informer_store *store, const struct key *key)
{
	struct informer_entry *entry;

	HASH_FIND(hh, store->entries, key->text, key->len, entry);
	return entry;
}

static struct informer_entry *add(struct informer_store *store, const struct key *key)
{
	struct informer_entry *entry = mem_zalloc(sizeof(*entry) + key->len);

	memcpy(entry->key, key->text, key->len);
	HASH_ADD_KEYPTR(hh, store->entries, entry->key, key->len, entry);
	return entry;
}

/* Puts object (NULL: none) in the entry, tells the owner, and frees what was there. */
static void replace(struct informer_store *store, struct informer_entry *entry, void *object)
{
	void *old = entry->object;

	entry->object = object;
	if (object && !old)
		store->len++;
	if (!object && old)
		store->len--;
	if (object || old)
		store->kind.changed(store->kind.ctx, entry->key, informer_entry_name(entry), old,
				    object);
	if (old)
		store->kind.free(old);
}

static void remove_entry(struct informer_store *store, struct informer_entry *entry)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it takes the table for the entry. */
	HASH_DEL(store->entries, entry);
	replace(store, entry, NULL);
	free(entry);
}

/* A list is the truth, even where it goes back (a restored backup). */
static bool is_news(const char *cached_rv, const char *rv, enum informer_source source)
{
	bool comparable;
	int order;

	if (source == INFORMER_LIST)
		return strcmp(cached_rv, rv) != 0;
	order = kube_rv_compare(rv, cached_rv, &comparable);
	return order > 0 || !comparable;
}

int informer_store_put(struct informer_store *store, const json_t *document,
		       enum informer_source source, unsigned generation, struct err *err)
{
	char rv[KUBE_RV_LEN];
	struct informer_entry *entry;
	struct key key = {0};
	void *object;

	if (read_key(document, &key, err) < 0 || informer_read_rv(document, rv, err) < 0)
		return -1;
	entry = find(store, &key);
	if (!entry)
		entry = add(store, &key);
	entry->generation = generation;
	if (!is_news(entry->rv, rv, source))
		return 0;
	memcpy(entry->rv, rv, sizeof(rv));
	object = store->kind.decode(document);
	if (!object && !entry->refused)
		log_warn("an object is not understood and left out", "resource",
			 store->kind.resource.plural, "namespace", entry->key, "name",
			 informer_entry_name(entry), NULL);
	entry->refused = !object;
	replace(store, entry, object);
	return 0;
}

int informer_store_remove(struct informer_store *store, const json_t *document, struct err *err)
{
	struct informer_entry *entry;
	struct key key = {0};

	if (read_key(document, &key, err) < 0)
		return -1;
	entry = find(store, &key);
	if (entry)
		remove_entry(store, entry);
	return 0;
}

void informer_store_sweep(struct informer_store *store, const char *namespace, unsigned generation)
{
	struct informer_entry *entry, *next;

	HASH_ITER(hh, store->entries, entry, next) {
		if (namespace && strcmp(entry->key, namespace) != 0)
			continue;
		if (entry->generation != generation)
			remove_entry(store, entry);
	}
}

struct informer_entry *informer_store_find(const struct informer_store *store,
					   const char *namespace, const char *name)
{
	struct key key = {0};

	return make_key(namespace, name, &key) < 0 ? NULL : find(store, &key);
}

void informer_store_done(struct informer_store *store)
{
	struct informer_entry *entry, *next;

	HASH_ITER(hh, store->entries, entry, next) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it takes the table for the entry. */
		HASH_DEL(store->entries, entry);
		if (entry->object)
			store->kind.free(entry->object);
		free(entry);
	}
}
