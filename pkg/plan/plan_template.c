/* SPDX-License-Identifier: Apache-2.0 */

/*
 * spec.secretTemplate: labels and annotations for a Secret that the operator made. They are no
 * reason to make one, and hold up nothing: accounts come first.
 *
 * The first object that wants a key has it, until it wants it no more or is gone; what somebody
 * else put there is never overwritten or removed.
 */

#include <stdio.h>
#include <string.h>

#include "plan/plan_impl.h"

static const struct api_tag *tag_at(const struct plan_view *view, size_t i)
{
	return &view->object->spec.template->tags[i];
}

static size_t count_tags(const struct plan_view *view)
{
	const struct api_template *template = view->object->spec.template;

	return template ? template->len : 0;
}

bool plan_wants_tag(const struct api_registration *object, bool annotation, const char *key)
{
	const struct api_template *template = object->spec.template;
	size_t i;

	for (i = 0; template && i < template->len; i++)
		if (template->tags[i].annotation == annotation &&
		    strcmp(template->tags[i].key, key) == 0)
			return true;
	return false;
}

/* ---- what is to be put ---- */

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Another object is named as its owner: is it one, and does it want the same? Then it puts it there
 * by itself. */
static enum plan_tag_need judge_taken(const struct plan_view *view,
				      const struct plan_memory *memory,
				      const struct ledger_tag *tag, size_t i)
{
	switch ((int)plan_judge_owner(view, memory, tag->owner, tag->owner_name,
				      API_MAX_DOMAINS + i)) {
	case NEED_OWNER:
		return TAG_ASK;
	case NEED_CONFLICT:
		return is_same(tag->put, tag_at(view, i)->value) ? TAG_FINE : TAG_HELD;
	default:
		return TAG_PUT;
	}
}

static enum plan_tag_need judge(const struct plan_view *view, const struct plan_memory *memory,
				const struct ledger *ledger, size_t i)
{
	const struct api_tag *want = tag_at(view, i);
	const struct ledger_owner owner = plan_self(view);
	enum plan_tag_need need = TAG_PUT;
	struct ledger_tag tag;
	bool ours;

	ledger_look_tag(ledger, want->annotation, want->key, &tag);
	ours = strcmp(tag.owner, owner.uid) == 0;
	if (is_same(tag.value, want->value) && (!ours || is_same(tag.put, want->value)))
		return TAG_FINE;
	if (tag.value && !is_same(tag.value, tag.put) && !is_same(tag.value, want->value))
		return TAG_FOREIGN;
	if (*tag.owner && !ours)
		need = judge_taken(view, memory, &tag, i);
	if (need == TAG_PUT &&
	    !ledger_tag_fits(ledger, want->annotation, want->key, want->value, &owner))
		return TAG_NO_ROOM;
	return need;
}

/* ---- what is to be taken away ---- */

static bool is_wanted(const void *ctx, bool annotation, const char *key)
{
	const struct api_registration *object = ctx;

	return !object->deleting && plan_wants_tag(object, annotation, key);
}

size_t plan_unwanted_tags(const struct plan_view *view, const struct ledger *ledger)
{
	return ledger_count_tags(ledger, view->object->uid, is_wanted, view->object);
}

bool plan_drop_tags(const struct plan_view *view, struct ledger *ledger)
{
	return ledger_drop_tags(ledger, view->object->uid, is_wanted, view->object) > 0;
}

/* ---- the whole ---- */

/* One that is taken from another wakes nobody: two that take it by turns, while the watch is late,
 * would not end. */
bool plan_put_tags(const struct plan_view *view, const struct plan_memory *memory,
		   struct ledger *ledger)
{
	const bool absent = view->secret.state == PLAN_SECRET_ABSENT;
	const struct ledger_owner owner = plan_self(view);
	bool replaced = false;
	size_t i;

	if (absent ? !ledger_changed(ledger) : !ledger_is_created(ledger))
		return false;
	for (i = 0; i < count_tags(view); i++) {
		const struct api_tag *tag = tag_at(view, i);
		struct ledger_tag before;

		if (judge(view, memory, ledger, i) != TAG_PUT)
			continue;
		ledger_look_tag(ledger, tag->annotation, tag->key, &before);
		replaced |= strcmp(before.owner, owner.uid) == 0 &&
			    !is_same(before.value, tag->value) && !is_same(before.put, tag->value);
		ledger_put_tag(ledger, tag->annotation, tag->key, tag->value, &owner);
	}
	return replaced;
}

void plan_assess_tags(const struct plan_view *view, const struct plan_memory *memory,
		      const struct ledger *ledger, struct plan_tags *ret)
{
	size_t i;

	*ret = (struct plan_tags){.edits = plan_unwanted_tags(view, ledger)};
	if (view->secret.state != PLAN_SECRET_PRESENT || count_tags(view) == 0)
		return;
	if (!ledger_is_created(ledger)) {
		ret->conflict = TAG_ADOPTED;
		return;
	}
	for (i = 0; i < count_tags(view); i++) {
		enum plan_tag_need need = judge(view, memory, ledger, i);

		ret->edits += need == TAG_PUT;
		ret->held |= need == TAG_HELD;
		if (need == TAG_ASK && !ret->asks) {
			ret->asks = true;
			ret->ask_at = i;
		}
		if (need >= TAG_HELD && !ret->conflict) {
			ret->conflict = need;
			ret->conflict_at = i;
		}
	}
}

void plan_look_tag(const struct plan_view *view, size_t i, struct ledger_tag *ret_tag)
{
	const struct api_tag *want = tag_at(view, i);

	ledger_look_tag(view->secret.ledger, want->annotation, want->key, ret_tag);
}

void plan_tag_message(const struct plan_view *view, const struct plan_tags *tags, char *ret,
		      size_t len)
{
	static const char *const why[] = {
		[TAG_HELD] = "is set otherwise by another object that uses this Secret: by the "
			     "AcmeDnsRegistration ",
		[TAG_FOREIGN] = "was set otherwise by somebody else, and stays so; remove it from "
				"the Secret or from spec.secretTemplate",
		[TAG_NO_ROOM] = "does not fit into the Secret any more",
	};
	const char *holder = "";
	const struct api_tag *want;
	struct ledger_tag tag;

	if (tags->conflict == TAG_ADOPTED) {
		(void)snprintf(ret, len,
			       "the Secret was not made by this operator, so "
			       "spec.secretTemplate is not put onto it");
		return;
	}
	want = tag_at(view, tags->conflict_at);
	plan_look_tag(view, tags->conflict_at, &tag);
	if (tags->conflict == TAG_HELD)
		holder = dnsname_is_hostname(tag.owner_name) ? tag.owner_name : "of another name";
	(void)snprintf(ret, len, "the %s %s %s%s", want->annotation ? "annotation" : "label",
		       want->key, why[tags->conflict], holder);
}
