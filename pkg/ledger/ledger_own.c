/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"

#define VERSION 1

json_t *ledger_own_new(void)
{
	json_t *own = json_object();

	jv_set_int(own, "version", VERSION);
	(void)jv_ensure_object(own, "owners");
	(void)jv_ensure_object(own, "keys");
	return own;
}

/* null is as good as absent, and nobody else has to think of it. */
static void drop_nulls(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
		if (json_is_null(value))
			(void)json_object_del(object, key);
}

/* Absent is fine in the next three. */
static bool is_text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return !value || jv_whole_str(value);
}

static bool is_count(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return !value || (json_is_integer(value) && json_integer_value(value) >= 0);
}

static bool is_claim(json_t *claim)
{
	drop_nulls(claim);
	return !claim ||
	       (json_is_object(claim) && is_text(claim, "nonce") && is_text(claim, "holder") &&
		is_text(claim, "owner") && is_text(claim, "host") &&
		is_count(claim, "timeoutSeconds") && is_count(claim, "attempt"));
}

/* A spare account: of one who waits, or is retired. */
static bool is_spare(json_t *spare)
{
	return !spare || (json_is_object(spare) && ledger_account_complete(spare) &&
			  *ledger_account_text(spare, "server_url"));
}

static bool is_retired(json_t *retired)
{
	const char *host;
	json_t *spare;

	json_object_foreach(retired, host, spare)
		if (!is_spare(spare))
			return false;
	return !retired || json_is_object(retired);
}

static bool is_record(json_t *record)
{
	const char *origin = jv_str(record, "origin");

	drop_nulls(record);
	return json_is_object(record) && is_text(record, "owner") && is_text(record, "host") &&
	       is_text(record, "origin") && is_text(record, "rotate") &&
	       is_count(record, "uncertain") && is_count(record, "lossTime") &&
	       is_claim(json_object_get(record, "claim")) &&
	       is_spare(json_object_get(record, "next")) &&
	       is_retired(json_object_get(record, "retired")) &&
	       (!*origin || strcmp(origin, "registered") == 0 || strcmp(origin, "adopted") == 0);
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, 0, "%s is damaged: %s", LEDGER_OWN_KEY, what);
}

static int check_owners(json_t *owners, struct err *err)
{
	const char *uid;
	json_t *name;

	if (!owners)
		return damaged(err, "it lacks owners");
	json_object_foreach(owners, uid, name)
		if (!json_is_string(name))
			return damaged(err, "an owner has no name");
	return 0;
}

static int check_keys(json_t *keys, struct err *err)
{
	const char *key;
	const char *domain;
	json_t *records;
	json_t *record;

	if (!keys)
		return damaged(err, "it lacks keys");
	json_object_foreach(keys, key, records) {
		if (!json_is_object(records))
			return damaged(err, "a key holds no records");
		json_object_foreach(records, domain, record)
			if (!is_record(record))
				return err_set(err, ERR_INVALID, 0,
					       "%s is damaged: the record of %s", LEDGER_OWN_KEY,
					       ledger_domain_name(domain));
	}
	return 0;
}

static bool are_tags(const json_t *template, const char *name)
{
	json_t *records = json_object_get(template, name);
	const char *key;
	json_t *record;

	json_object_foreach(records, key, record) {
		drop_nulls(record);
		if (!json_is_object(record) || !is_text(record, "owner") ||
		    !is_text(record, "value"))
			return false;
	}
	return !records || json_is_object(records);
}

static int check_template(const json_t *template, struct err *err)
{
	if (!template || (json_is_object(template) && are_tags(template, "labels") &&
			  are_tags(template, "annotations")))
		return 0;
	return damaged(err, "its template");
}

int ledger_own_check(json_t *own, struct err *err)
{
	if (jv_int(own, "version", 0) != VERSION)
		return err_set(err, ERR_INVALID, 0,
			       "%s has a version that this operator does not know", LEDGER_OWN_KEY);
	if (check_owners(jv_object(own, "owners"), err) ||
	    check_template(json_object_get(own, "template"), err))
		return -1;
	return check_keys(jv_object(own, "keys"), err);
}
