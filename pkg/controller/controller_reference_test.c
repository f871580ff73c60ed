/* SPDX-License-Identifier: Apache-2.0 */

/* What the spec refers to: read before a claim and only then, sent to its host and to no other. */

#include "api/api.h"
#include "controller/controller_test_world.h"

#define DOMAINS	   "[\"a.example.org\"]"
#define GET_LOGIN  GET_SECRET "login"
#define GET_ROOTS  "GET /api/v1/namespaces/default/configmaps/roots"
#define SENT_LOGIN "Authorization: Basic bWU6czNjcmV0\n"
#define BASIC	   "{\"basic\":{\"secretRef\":{\"name\":\"login\"}}}"
#define HEADERS                                                                                    \
	"{\"headers\":[{\"name\":\"X-Token\",\"secretKeyRef\":{\"name\":\"login\",\"key\":"        \
	"\"password\"}},{\"name\":\"X-User\",\"secretKeyRef\":{\"name\":\"login\",\"key\":"        \
	"\"username\"}}]}"
#define CA_REF "{\"name\":\"roots\",\"key\":\"ca.crt\"}"

/* Certificate of an authority that nobody has the key of. */
static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
			     "MIIBeTCCAR+gAwIBAgIUcmrjIQMBGyxRpUwamHl1txiuQ0swCgYIKoZIzj0EAwIw\n"
			     "ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNDE4NDYyMFoYDzIxMjYxMDMxMTg0\n"
			     "NjIwWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
			     "AAS9n3fBYh5QuHQ4mNEngu6q2GpI91v7GR8Q+rK0ifaox/f8djs2DtumVzRmWoP+\n"
			     "HseO8VQKhWvrj10M5ON8RfXQo1MwUTAdBgNVHQ4EFgQUPb0CymLILeLCfTtDDKUN\n"
			     "VE3MEbAwHwYDVR0jBBgwFoAUPb0CymLILeLCfTtDDKUNVE3MEbAwDwYDVR0TAQH/\n"
			     "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAzlntnRhtjIXqxaNjPtir75Pahc4z\n"
			     "5tukh0hdoVrtaC0CICHx1c+8WNG+hBnAbcf0pWUTxY3A10Xh1rXj+vgynx32\n"
			     "-----END CERTIFICATE-----\n";

/* ---- given ---- */

static json_t *parse(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(json);
	return json;
}

static char *own_url(struct world *w)
{
	return mem_printf("http://127.0.0.2:%d", w->peer.acme_port);
}

/* Before the controller sees it. */
static void given_with(struct world *w, const char *name, const char *field, const char *value)
{
	given(w, name, name, DOMAINS);
	given_spec(w, name, field, parse(value));
}

static void given_login(struct world *w, const char *url, const char *password)
{
	json_t *secret =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}}", "kind", "Secret", "type",
			  "kubernetes.io/basic-auth", "metadata", "namespace", "default", "name",
			  "login", "annotations", API_ANNOTATION_CREDENTIALS_FOR, url);
	CLEANUP(mem_freep) char *base64 = enc_base64(password, strlen(password));

	jv_set_str(jv_ensure_object(secret, "data"), "username", "bWU=");
	jv_set_str(jv_ensure_object(secret, "data"), "password", base64);
	peer_put_secret(&w->peer, "login", secret);
}

static void given_own_login(struct world *w)
{
	CLEANUP(mem_freep) char *url = own_url(w);

	given_login(w, url, "s3cret\n");
}

static void given_roots(struct world *w, const char *pem)
{
	json_t *roots =
		json_pack("{s:{s:s}, s:{s:s}}", "metadata", "name", "roots", "data", "ca.crt", pem);

	peer_stamp(&w->peer, roots);
	jv_set(w->peer.config_maps, "roots", roots);
}

/* ---- expected ---- */

static bool was_sent(struct world *w, const char *header)
{
	return strstr(buf_str(&w->peer.headers), header);
}

static const char *told(struct world *w, const char *name)
{
	return jv_str(condition(w, name, "Registered"), "message");
}

static void until_invalid(struct world *w, const char *name)
{
	UNTIL(w, has_reason(w, name, "Registered", "InvalidReference"));
	UNTIL(w, has_reason(w, name, "Ready", "InvalidReference"));
	assert_null(peer_secret(&w->peer, name)); /* no claim */
	assert_int_equal(w->peer.posts, 0);
	assert_null(strstr(told(w, name), "s3cret"));
}

/* ---- tests ---- */

static void test_basic(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", BASIC);
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_true(was_sent(w, SENT_LOGIN));
	assert_int_equal(peer_count(&w->peer, GET_LOGIN), 1);
}

static void test_headers(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", HEADERS);
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	assert_true(was_sent(w, "X-Token: s3cret\n"));
	assert_true(was_sent(w, "X-User: me\n"));
	assert_false(was_sent(w, "Authorization"));
	assert_int_equal(peer_count(&w->peer, GET_LOGIN), 1);
}

/* Sixteen of them, beside what is sent anyway. */
static void test_most_headers(void **state)
{
	struct world *w = *state;
	json_t *list = json_array();
	int i;

	for (i = 0; i < API_MAX_HEADERS; i++)
		jv_append(list, json_pack("{s:o, s:{s:s, s:s}}", "name", json_sprintf("X-%d", i),
					  "secretKeyRef", "name", "login", "key", "username"));
	given_own_login(w);
	given(w, "a", "a", DOMAINS);
	given_spec(w, "a", "registrationAuth", json_pack("{s:o}", "headers", list));
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	assert_true(was_sent(w, "X-0: me\n"));
	assert_true(was_sent(w, "X-15: me\n"));
	assert_true(was_sent(w, "Content-Type: application/json\n"));
}

/* Another object of the host has none of it, and of another host neither. */
static void test_nobody_else_has_it(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", BASIC);
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	buf_clear(&w->peer.headers);
	given(w, "b", "b", DOMAINS);
	UNTIL(w, is_ready(w, "b"));
	assert_int_equal(w->peer.posts, 2);
	assert_false(was_sent(w, "Authorization"));
}

static const struct {
	const char *url; /* that the Secret is bound to; NULL: there is no Secret */
	const char *password;
	const char *says;
} bad_logins[] = {
	{NULL, NULL, "credentials-for"},
	{"http://127.0.0.2:1", "s3cret", "credentials-for"},
	{"http://127.0.0.3", "s3cret", "credentials-for"},
	{"", "s3cret", "credentials-for"},
	{"own", "s3cret\n\n", "password holds a control character"},
};

static void test_bad_logins(void **state)
{
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < ARRAY_LEN(bad_logins); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);
		CLEANUP(mem_freep) char *own = own_url(w);
		const char *url = bad_logins[i].url;

		if (url)
			given_login(w, strcmp(url, "own") == 0 ? own : url, bad_logins[i].password);
		given_with(w, name, "registrationAuth", BASIC);
		until_invalid(w, name);
		assert_non_null(strstr(told(w, name), "spec.registrationAuth.basic.secretRef: "));
		assert_non_null(strstr(told(w, name), bad_logins[i].says));
		assert_non_null(condition(w, name, "Reconciling"));
		assert_null(condition(w, name, "Stalled"));
	}
	assert_int_equal(buf_str(&w->peer.headers)[0], '\0');
}

/* The watch does not cover Secrets: it is looked at again by itself. */
static void test_healed_by_the_secret(void **state)
{
	struct world *w = *state;

	given_login(w, "http://127.0.0.3", "s3cret");
	given_with(w, "a", "registrationAuth", BASIC);
	world_start(w);
	until_invalid(w, "a");
	given_own_login(w);
	UNTIL(w, is_ready(w, "a"));
	assert_true(was_sent(w, SENT_LOGIN));
}

static void test_ca_ref(void **state)
{
	struct world *w = *state;

	given_roots(w, "s3cret");
	given_with(w, "a", "caBundleRef", CA_REF);
	world_start(w);
	until_invalid(w, "a");
	assert_non_null(strstr(told(w, "a"), "spec.caBundleRef: "));
	given_roots(w, ca_pem);
	UNTIL(w, is_ready(w, "a"));
	assert_true(peer_count(&w->peer, GET_ROOTS) >= 2);
}

/* What the spec itself holds is healed by another spec only, and at once. */
static void test_ca_bundle(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *base64 = enc_base64(ca_pem, strlen(ca_pem));

	given_with(w, "a", "caBundle", "\"czNjcmV0\"");
	world_start(w);
	until_invalid(w, "a");
	UNTIL(w, has_reason(w, "a", "Stalled", "InvalidReference"));
	given_spec(w, "a", "caBundle", json_string(base64));
	UNTIL(w, is_ready(w, "a"));
	assert_null(condition(w, "a", "Stalled"));
}

static void test_denied(void **state)
{
	struct world *w = *state;

	given_roots(w, ca_pem);
	given_fault(w, GET_ROOTS, 403, 1);
	given_with(w, "a", "caBundleRef", CA_REF);
	world_start(w);
	until_invalid(w, "a");
	assert_non_null(strstr(told(w, "a"), "RBAC"));
	UNTIL(w, is_ready(w, "a"));
}

/* An API server that does not answer is no news about the reference. */
static void test_no_answer(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_fault(w, GET_LOGIN, 500, 1);
	given_fault(w, GET_LOGIN, 401, 1);
	peer_fail(&w->peer, &(struct peer_fault){
				    .what = GET_LOGIN, .status = 404, .times = 1, .body = NO_PAGE});
	given_with(w, "a", "registrationAuth", BASIC);
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(peer_count(&w->peer, GET_LOGIN), 4);
	assert_false(has_event(w, "InvalidReference"));
}

/* An object that is Ready reads nothing, whatever becomes of what its spec refers to. */
static void test_ready_reads_nothing(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", BASIC);
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	(void)json_object_del(w->peer.secrets, "login");
	given_spec(w, "a", "caBundleRef", parse(CA_REF));
	UNTIL(w, is_ready(w, "a") &&
			 jv_int(json_object_get(w->peer.registrations, "a"),
				"status.observedGeneration", 0) == 3 &&
			 !condition(w, "a", "Reconciling"));
	assert_int_equal(peer_count(&w->peer, GET_LOGIN), 1);
	assert_int_equal(peer_count(&w->peer, GET_ROOTS), 0);
	assert_int_equal(w->peer.posts, 1);
	/* The next registration does mind. */
	given_spec(w, "a", "domains", parse("[\"a.example.org\", \"b.example.org\"]"));
	UNTIL(w, has_reason(w, "a", "Ready", "InvalidReference"));
	assert_int_equal(w->peer.posts, 1);
}

/* The spec changes, or the object goes, while what it refers to is being read. */
static void change_spec(struct peer *peer, const char *request)
{
	struct world *w = peer->ctx;

	if (!strstr(request, GET_LOGIN))
		return;
	peer->before = NULL;
	given_spec(w, "a", "registrationAuth", json_null());
}

static void test_another_spec_meanwhile(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", BASIC);
	w->peer.before = change_spec;
	w->peer.ctx = w;
	world_start(w);
	UNTIL(w, is_ready(w, "a"));
	assert_false(was_sent(w, "Authorization"));
}

static void delete_object(struct peer *peer, const char *request)
{
	if (!strstr(request, GET_LOGIN))
		return;
	peer->before = NULL;
	peer_delete_registration(peer, "a");
}

static void test_gone_meanwhile(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_with(w, "a", "registrationAuth", BASIC);
	w->peer.before = delete_object;
	w->peer.ctx = w;
	world_start(w);
	UNTIL(w, !json_object_get(w->peer.registrations, "a"));
	given(w, "b", "b", DOMAINS);
	UNTIL(w, is_ready(w, "b"));
	assert_int_equal(w->peer.posts, 1);
	assert_null(peer_secret(&w->peer, "a"));
}

/* It is read once for all that are registered one after the other. */
static void test_many_domains(void **state)
{
	struct world *w = *state;
	int i;

	given_own_login(w);
	given(w, "a", "a", "[\"a.org\", \"b.org\", \"c.org\", \"d.org\", \"e.org\", \"f.org\"]");
	given_spec(w, "a", "registrationAuth", parse(BASIC));
	w->peer.hold = true;
	world_start(w);
	for (i = 0; i < 6; i++) {
		UNTIL(w, w->peer.held_len);
		peer_release(&w->peer);
	}
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 6);
	assert_int_equal(peer_count(&w->peer, GET_LOGIN), 1);
}

static void test_ended_meanwhile(void **state)
{
	struct world *w = *state;

	given_own_login(w);
	given_roots(w, ca_pem);
	given_with(w, "a", "registrationAuth", BASIC);
	given_spec(w, "a", "caBundleRef", parse(CA_REF));
	w->peer.hold = true;
	world_start(w);
	UNTIL(w, w->peer.held_len == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_basic),
		CASE(test_headers),
		CASE(test_most_headers),
		CASE(test_nobody_else_has_it),
		CASE(test_bad_logins),
		CASE(test_healed_by_the_secret),
		CASE(test_ca_ref),
		CASE(test_ca_bundle),
		CASE(test_denied),
		CASE(test_no_answer),
		CASE(test_ready_reads_nothing),
		CASE(test_another_spec_meanwhile),
		CASE(test_gone_meanwhile),
		CASE(test_many_domains),
		CASE(test_ended_meanwhile),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
