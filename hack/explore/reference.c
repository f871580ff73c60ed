/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's reference.c does: the login and the CA that a spec names are read one by
 * one, and judged by the shipping auth. */

#include "auth/auth.h"
#include "explore.h"
#include "jv/jv.h"

#define KEEP_MS 30000

static const char login_of[] = "{'type':'kubernetes.io/basic-auth','metadata':{'annotations':{"
			       "'" API_ANNOTATION_CREDENTIALS_FOR "':'https://%s.test'}},"
			       "'data':{'username':'dQ==','password':'cA=='}}";

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
			     "MIIBMDCB46ADAgECAhQoWTODcWeWxJzDHNSBVKAKWUmCFDAFBgMrZXAwDTELMAkG\n"
			     "A1UEAwwCY2EwIBcNMjYxMTI0MjEzMTI0WhgPMjEyNjEwMzEyMTMxMjRaMA0xCzAJ\n"
			     "BgNVBAMMAmNhMCowBQYDK2VwAyEACn/ioNE9YUI20Q+b8Ni2bfMI+3JhC8S21NeE\n"
			     "Mis0GmSjUzBRMB0GA1UdDgQWBBTS9RvX6O6ZXK5t/GXnmTxUm3QEWzAfBgNVHSME\n"
			     "GDAWgBTS9RvX6O6ZXK5t/GXnmTxUm3QEWzAPBgNVHRMBAf8EBTADAQH/MAUGAytl\n"
			     "cANBAAC8zCLq/1aBf5Pnnx85yveVw0mM6z+LSsnJwYO4FFty2faLgWXWl7iVGIGC\n"
			     "j5YEm1DpYhph7sk/EdKX1QFwIgY=\n"
			     "-----END CERTIFICATE-----\n";

static json_t *referred(enum referred what, uint32_t state)
{
	CLEANUP(mem_freep)
	char *login = mem_printf(login_of, state == REFERRED_GOOD ? "one" : "two");
	json_t *map;

	if (state == REFERRED_ABSENT)
		return NULL;
	if (what == REFERRED_LOGIN)
		return user_parse(login);
	map = user_parse("{'data':{'ca.crt':''}}");
	json_object_set_new(json_object_get(map, "data"), "ca.crt", json_string(ca_pem));
	return map;
}

/* All that was read until now. */
static int take(const struct seat *seat, const struct api_spec *spec, struct auth *auth,
		struct err *err)
{
	const uint32_t *read = seat->references.read;
	size_t i;

	if (auth_begin(auth, spec, err))
		return -1;
	for (i = 0; i < REFERRED; i++) {
		CLEANUP(jv_freep) json_t *json = NULL;

		if (!read[i])
			continue;
		json = referred((enum referred)i, read[i] - 1);
		if (auth_take(auth, spec, json, err))
			return -1;
	}
	return 0;
}

static void end(struct run *run, size_t p, size_t s, const struct err *problem)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	json_t *text = problem ? json_string(problem->msg) : NULL;

	if (problem)
		seat->references = (struct references){0};
	else
		seat->references.complete = 1;
	seat_fold(run, p, s,
		  &(struct fold_args){
			  .fold = FOLD_REFERENCES,
			  .a = problem != NULL,
			  .b = problem ? (uint32_t)problem->kind : 0,
			  .c = problem ? store_text(run->store, text) : 0,
		  });
	json_decref(text);
	seat->queued = 1;
}

static void read_next(struct run *run, size_t p, size_t s)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	const struct api_spec *spec = &seat_object(run, p, s)->spec;
	struct auth auth = {0};
	struct auth_source source;
	struct err problem;

	if (take(seat, spec, &auth, &problem))
		end(run, p, s, &problem);
	else if (!auth_next(&auth, spec->auth, &source))
		end(run, p, s, NULL);
	else
		seat->request = (struct request){
			.kind = REQUEST_REFERENCE,
			.name = source.config_map ? REFERRED_CA : REFERRED_LOGIN,
		};
	auth_done(&auth);
}

void seat_read_references(struct run *run, size_t p, size_t s)
{
	struct seat *seat = &run->w.processes[p].seats[s];

	seat->references =
		(struct references){.generation = (uint32_t)seat_object(run, p, s)->generation};
	read_next(run, p, s);
}

void seat_answer_reference(struct run *run, size_t p, size_t s, const struct request *request)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	const struct api_registration *object = seat_object(run, p, s);
	struct auth auth = {0};
	struct err problem;

	if (!object || object->generation != seat->references.generation) {
		seat->references = (struct references){0};
		seat->queued = 1;
	} else if (request->answer == ANSWER_DENIED) {
		(void)take(seat, &object->spec, &auth, &problem);
		(void)auth_denied(&auth, &object->spec, &problem);
		auth_done(&auth);
		end(run, p, s, &problem);
	} else if (request->answer == ANSWER_NONE) {
		seat->references = (struct references){0};
		seat_failed(run, p, s);
	} else {
		seat->references.read[request->name] = 1 + request->got.id;
		read_next(run, p, s);
	}
}

bool seat_has_references(const struct seat *seat, const struct api_registration *object)
{
	return object && seat->references.complete &&
	       seat->references.generation == object->generation &&
	       seat->references.age_ms < KEEP_MS;
}

void seat_pass_reference_time(struct seat *seat, int32_t ms)
{
	struct references *references = &seat->references;

	if (!references->generation)
		return;
	references->age_ms += ms;
	if (references->age_ms < KEEP_MS)
		return;
	references->age_ms = KEEP_MS;
	/* Too old to be of use. */
	if (references->complete)
		*references = (struct references){0};
}
