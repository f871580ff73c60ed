/* SPDX-License-Identifier: Apache-2.0 */

/* What people do to objects. */

#include <string.h>

#include "explore.h"
#include "jv/jv.h"

static bool is_there(const struct run *run, int name)
{
	return run->w.live[name].id;
}

static const struct object_thing *live(const struct run *run, int name)
{
	return store_get_object(run->store, run->w.live[name].id);
}

static json_t *metadata_of(json_t *object)
{
	return jv_object(object, "metadata");
}

/* ---- made and restored ---- */

/* CNAMEs are looked up where the scenario says so. */
static json_t *parse_spec(const struct run *run, const char *text)
{
	json_t *spec = user_parse(text);

	jv_set_bool(jv_ensure_object(spec, "cname"), "verify", run->scenario->verifies);
	return spec;
}

static json_t *new_object(const struct run *run, int name, const char *spec)
{
	json_t *json = user_parse("{'metadata':{'namespace':'default','generation':1},"
				  "'status':{'observedGeneration':-1}}");
	json_t *metadata = jv_object(json, "metadata");
	CLEANUP(mem_freep) char *name_text = mem_printf("object-%d", name);
	CLEANUP(mem_freep) char *uid = mem_printf("uid-%u", run->w.next_uid);

	jv_set_str(metadata, "name", name_text);
	jv_set_str(metadata, "uid", uid);
	jv_set(json, "spec", parse_spec(run, spec));
	return json;
}

/* Specs 0 and 1 are of object 0, the others of object 1. */
void user_make(struct run *run, int spec)
{
	json_t *json;

	run->w.next_uid++;
	json = new_object(run, spec / 2, run->scenario->specs[spec]);
	world_set_object(run, (size_t)spec / 2, json);
}

static bool is_kept(const struct run *run, int name)
{
	return api_has_finalizer(live(run, name)->object, API_FINALIZER);
}

static bool can_recreate(const struct run *run, int spec)
{
	(void)spec;
	return run->w.next_uid < 6 && (!is_there(run, 0) || !is_kept(run, 0));
}

static bool can_make_other(const struct run *run, int spec)
{
	(void)spec;
	return run->w.next_uid < 6 && !is_there(run, 1);
}

/* From a backup: as it was, but for status, and with a uid of its own. */
static void restore_object(struct run *run, int name)
{
	json_t *before;
	json_t *json;

	if (!is_there(run, name))
		return;
	before = live(run, name)->json;
	run->w.next_uid++;
	json = new_object(run, name, "{}");
	jv_set(json, "spec", json_deep_copy(jv_object(before, "spec")));
	jv_set(metadata_of(json), "annotations",
	       json_deep_copy(jv_ensure_object(metadata_of(before), "annotations")));
	world_set_object(run, (size_t)name, json);
}

void user_restore_objects(struct run *run)
{
	int name;

	for (name = 0; name < NAMES; name++)
		restore_object(run, name);
}

/* ---- deleted ---- */

/* One with a finalizer stays until that goes. */
static void delete_object(struct run *run, int name)
{
	json_t *json;

	if (!is_kept(run, name)) {
		world_set_object(run, (size_t)name, NULL);
		return;
	}
	json = json_deep_copy(live(run, name)->json);
	jv_set_str(metadata_of(json), "deletionTimestamp", "2027-01-15T08:00:00Z");
	jv_set_int(metadata_of(json), "generation", live(run, name)->object->generation + 1);
	world_set_object(run, (size_t)name, json);
}

static bool can_delete(const struct run *run, int name)
{
	return is_there(run, name) && !live(run, name)->object->deleting;
}

/* ---- edited ---- */

/* One more account of each domain, or of the set. */
static void excuse_rotation(struct run *run)
{
	uint32_t i;

	for (i = 0; i < (run->scenario->shared ? 1 : DOMAINS); i++)
		run->w.excused[i]++;
}

static void put_spec(struct run *run, int name, json_t *spec)
{
	const struct object_thing *thing = live(run, name);
	json_t *json = json_deep_copy(thing->json);

	jv_set(json, "spec", spec);
	jv_set_int(metadata_of(json), "generation", thing->object->generation + 1);
	world_set_object(run, (size_t)name, json);
}

/* Another host asks a rotation that is under way for accounts there. */
static void respec(struct run *run, int spec)
{
	const struct api_registration *object = live(run, spec / 2)->object;
	json_t *json = parse_spec(run, run->scenario->specs[spec]);

	if (*object->rotate && strcmp(jv_str(json, "host"), object->spec.host) != 0)
		excuse_rotation(run);
	put_spec(run, spec / 2, json);
}

static bool can_respec(const struct run *run, int spec)
{
	CLEANUP(jv_freep) json_t *json = parse_spec(run, run->scenario->specs[spec]);

	return is_there(run, spec / 2) &&
	       !json_equal(json, jv_object(live(run, spec / 2)->json, "spec"));
}

static void suspend(struct run *run, int on)
{
	json_t *spec = json_deep_copy(jv_object(live(run, 0)->json, "spec"));

	jv_set_bool(spec, "suspend", on);
	put_spec(run, 0, spec);
}

static bool can_suspend(const struct run *run, int on)
{
	return is_there(run, 0) && live(run, 0)->object->spec.suspend != on;
}

static void annotate(struct run *run, const char *name, const char *value)
{
	json_t *json = json_deep_copy(live(run, 0)->json);
	json_t *annotations = jv_ensure_object(metadata_of(json), "annotations");

	if (value)
		jv_set_str(annotations, name, value);
	else
		(void)json_object_del(annotations, name);
	world_set_object(run, 0, json);
}

static void rotate(struct run *run, int ignored)
{
	CLEANUP(mem_freep) char *value = mem_printf("r%u", ++run->w.rotations);

	(void)ignored;
	excuse_rotation(run);
	annotate(run, API_ANNOTATION_ROTATE, value);
}

static bool can_annotate(const struct run *run, int ignored)
{
	(void)ignored;
	return is_there(run, 0);
}

static void call_off(struct run *run, int ignored)
{
	(void)ignored;
	annotate(run, API_ANNOTATION_ROTATE, NULL);
}

static void probe(struct run *run, int ignored)
{
	CLEANUP(mem_freep) char *value = mem_printf("p%u", ++run->w.probes);

	(void)ignored;
	annotate(run, API_ANNOTATION_PROBE, value);
}

static bool can_call_off(const struct run *run, int ignored)
{
	(void)ignored;
	return is_there(run, 0) && *live(run, 0)->object->rotate;
}

const struct user_row object_acts[ACTS] = {
	[ACT_FIRST_SPEC] = {"sets the spec of object-0 back", can_respec, respec, 0},
	[ACT_OTHER_SPEC] = {"edits the spec of object-0", can_respec, respec, 1},
	[ACT_SECOND_SPEC] = {"edits the spec of object-1", can_respec, respec, 3},
	[ACT_SUSPEND] = {"suspends object-0", can_suspend, suspend, 1},
	[ACT_RESUME] = {"lets object-0 go on", can_suspend, suspend, 0},
	[ACT_DELETE_OBJECT] = {"deletes object-0", can_delete, delete_object, 0},
	[ACT_DELETE_OTHER] = {"deletes object-1", can_delete, delete_object, 1},
	[ACT_RECREATE_OBJECT] = {"deletes object-0 and makes it anew", can_recreate, user_make, 0},
	[ACT_MAKE_OTHER] = {"makes object-1", can_make_other, user_make, 2},
	[ACT_ROTATE] = {"asks for a rotation of object-0", can_annotate, rotate, 0},
	[ACT_CALL_OFF] = {"takes the rotation of object-0 back", can_call_off, call_off, 0},
	[ACT_LEAD] = {"has a CNAME of object-0 made as status says", user_can_lead, user_lead, 0},
	[ACT_LEAD_BACK] = {"has a CNAME of object-0 lead back", user_can_lead, user_lead, 1},
	[ACT_PROBE] = {"asks whether the accounts of object-0 live", can_annotate, probe, 0},
};
