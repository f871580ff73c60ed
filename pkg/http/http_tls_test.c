/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include "http/http_test_peer.h"

/* ---- certificates ---- */

struct identity {
	X509 *cert;
	EVP_PKEY *key;
	char cert_pem[2048];
	char key_pem[1024];
};

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void to_pem(struct identity *id, const char *password)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len;

	assert_int_equal(PEM_write_bio_X509(bio, id->cert), 1);
	len = BIO_read(bio, id->cert_pem, sizeof(id->cert_pem) - 1);
	assert_in_range(len, 1, sizeof(id->cert_pem) - 1);
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
				 bio, id->key, password ? EVP_aes_128_cbc() : NULL, password,
				 password ? (int)strlen(password) : 0, NULL, NULL),
			 1);
	len = BIO_read(bio, id->key_pem, sizeof(id->key_pem) - 1);
	assert_in_range(len, 1, sizeof(id->key_pem) - 1);
	BIO_free(bio);
}

struct identity_options {
	const char *name;	       /* common name */
	const char *alternatives;      /* subjectAltName; NULL: an authority */
	const struct identity *issuer; /* NULL: self-signed */
	long valid_s;
	const char *password; /* of the key's PEM */
};

static void identity_make(struct identity *id, const struct identity_options *options)
{
	static long serial;
	X509_NAME *name;

	*id = (struct identity){.cert = X509_new(), .key = EVP_EC_gen("P-256")};
	assert_int_equal(X509_set_version(id->cert, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(id->cert), ++serial), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(id->cert), -86400));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(id->cert), options->valid_s));
	assert_int_equal(X509_set_pubkey(id->cert, id->key), 1);
	name = X509_get_subject_name(id->cert);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)options->name, -1, -1,
						    0),
			 1);
	if (options->alternatives)
		add_extension(id->cert, NID_subject_alt_name, options->alternatives);
	else
		add_extension(id->cert, NID_basic_constraints, "critical,CA:TRUE");
	if (options->issuer)
		name = X509_get_subject_name(options->issuer->cert);
	assert_int_equal(X509_set_issuer_name(id->cert, name), 1);
	assert_true(X509_sign(id->cert, options->issuer ? options->issuer->key : id->key,
			      EVP_sha256()) > 0);
	to_pem(id, options->password);
}

static void identity_done(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

/* ---- the world of a test ---- */

struct world {
	struct event_base *base;
	struct http *http;
	struct peer peer;
	peer_serve_fn *behind; /* a tunnel */
	struct outcome out;
	SSL_CTX *server;
	struct identity ca;
	struct identity other_ca;
	struct identity leaf;
	char seen_name[128]; /* the SNI */
	char url[64];
	struct http_tls tls;
	struct http_request req;
};

static int note_name(SSL *ssl, int *alert, void *ctx)
{
	struct world *w = ctx;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)snprintf(w->seen_name, sizeof(w->seen_name), "%s", name ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

static void serve_as(struct world *w, const struct identity *id)
{
	assert_int_equal(SSL_CTX_use_certificate(w->server, id->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(w->server, id->key), 1);
}

static struct identity leaf_for(struct world *w, const char *alternatives, long valid_s)
{
	struct identity leaf;

	identity_make(&leaf, &(struct identity_options){.name = "leaf",
							.alternatives = alternatives,
							.issuer = &w->ca,
							.valid_s = valid_s});
	return leaf;
}

static int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));

	w->base = event_base_new();
	w->http = http_new(w->base, &(struct http_options){.user_agent = "test/1"});
	identity_make(&w->ca, &(struct identity_options){.name = "ca", .valid_s = 3600});
	identity_make(&w->other_ca, &(struct identity_options){.name = "other", .valid_s = 3600});
	w->leaf = leaf_for(w, "IP:127.0.0.1", 3600);
	w->server = SSL_CTX_new(TLS_server_method());
	serve_as(w, &w->leaf);
	assert_true(peer_listen(&w->peer, w->base, "127.0.0.1", 0));
	w->peer.tls = w->server;
	(void)SSL_CTX_set_tlsext_servername_callback(w->server, note_name);
	(void)SSL_CTX_set_tlsext_servername_arg(w->server, w);
	(void)snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%d/", w->peer.port);
	w->tls = (struct http_tls){.ca_pem = w->ca.cert_pem, .ca_pem_len = strlen(w->ca.cert_pem)};
	w->req = (struct http_request){.method = "GET",
				       .url = w->url,
				       .tls = &w->tls,
				       .timeout_ms = 5000,
				       .on_done = outcome_note,
				       .ctx = &w->out};
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	peer_done(&w->peer);
	event_base_free(w->base);
	SSL_CTX_free(w->server);
	identity_done(&w->ca);
	identity_done(&w->other_ca);
	identity_done(&w->leaf);
	free(w);
	return 0;
}

static void assert_outcome(struct world *w, enum http_fault fault, bool sent)
{
	w->out = (struct outcome){0};
	(void)http_start(w->http, &w->req);
	run_until(w->base, &w->out.done, 1);
	if (w->out.resp.fault != fault)
		fail_msg("%s: %s", http_fault_text(w->out.resp.fault), w->out.resp.detail);
	assert_int_equal(w->out.resp.sent, sent);
}

/* ---- tests ---- */

static void test_trusted(void **state)
{
	struct world *w = *state;

	assert_outcome(w, HTTP_OK, true);
	assert_int_equal(w->out.resp.status, 200);
}

static void test_untrusted(void **state)
{
	struct world *w = *state;

	w->tls.ca_pem = w->other_ca.cert_pem;
	w->tls.ca_pem_len = strlen(w->tls.ca_pem);
	assert_outcome(w, HTTP_FAULT_TLS_UNTRUSTED, false);
	w->req.tls = NULL; /* the system's roots */
	assert_outcome(w, HTTP_FAULT_TLS_UNTRUSTED, false);
	assert_int_equal(w->peer.requests, 0);
}

static void test_bad_leaf(void **state)
{
	struct world *w = *state;
	struct identity leaves[] = {leaf_for(w, "DNS:name.test", 3600),
				    leaf_for(w, "IP:127.0.0.1", -3600)};
	static const enum http_fault faults[] = {HTTP_FAULT_TLS_NAME, HTTP_FAULT_TLS_EXPIRED};

	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		serve_as(w, &leaves[i]);
		assert_outcome(w, faults[i], false);
		identity_done(&leaves[i]);
	}
	w->tls.insecure = true;
	assert_outcome(w, HTTP_OK, true);
}

static void test_server_name(void **state)
{
	struct world *w = *state;
	struct identity leaf = leaf_for(w, "DNS:name.test", 3600);
	char host[64];

	(void)snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%d\r\n", w->peer.port);
	serve_as(w, &leaf);
	w->tls.server_name = "name.test";
	assert_outcome(w, HTTP_OK, true);
	assert_string_equal(w->seen_name, "name.test");
	assert_non_null(strstr(w->peer.head, host));
	w->tls.server_name = "another.test";
	assert_outcome(w, HTTP_FAULT_TLS_NAME, false);
	w->tls.server_name = "not a name";
	assert_outcome(w, HTTP_FAULT_OTHER, false);
	identity_done(&leaf);
}

static void test_pin_and_name(void **state)
{
	struct world *w = *state;
	struct identity leaf = leaf_for(w, "DNS:name.test", 3600);
	char pin[64];

	(void)snprintf(w->url, sizeof(w->url), "https://name.test:%d/", w->peer.port);
	(void)snprintf(pin, sizeof(pin), "name.test:%d:127.0.0.1", w->peer.port);
	serve_as(w, &leaf);
	w->req.pin = pin;
	assert_outcome(w, HTTP_OK, true);
	assert_string_equal(w->seen_name, "name.test");

	(void)snprintf(w->url, sizeof(w->url), "https://host.test:%d/", w->peer.port);
	(void)snprintf(pin, sizeof(pin), "host.test:%d:127.0.0.1", w->peer.port);
	w->tls.server_name = "name.test";
	assert_outcome(w, HTTP_OK, true);
	assert_non_null(strstr(w->peer.head, "\r\nHost: host.test:"));
	identity_done(&leaf);
}

static void require_client(struct world *w)
{
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(w->server), w->ca.cert), 1);
	SSL_CTX_set_verify(w->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	/* In TLS 1.3 the client hears of it behind its request only. */
	assert_int_equal(SSL_CTX_set_max_proto_version(w->server, TLS1_2_VERSION), 1);
}

static void test_client_certificate(void **state)
{
	struct world *w = *state;

	require_client(w);
	w->tls.cert_pem = w->leaf.cert_pem;
	w->tls.key_pem = w->leaf.key_pem;
	assert_outcome(w, HTTP_OK, true);
	w->tls.cert_pem = NULL;
	w->tls.key_pem = NULL;
	assert_outcome(w, HTTP_FAULT_TLS, false);
}

static void test_unusable_material(void **state)
{
	struct world *w = *state;
	struct identity locked;

	identity_make(&locked, &(struct identity_options){.name = "locked",
							  .alternatives = "DNS:x.test",
							  .issuer = &w->ca,
							  .valid_s = 3600,
							  .password = "secret"});
	w->tls.cert_pem = locked.cert_pem;
	w->tls.key_pem = locked.key_pem;
	assert_outcome(w, HTTP_FAULT_TLS, false);
	w->tls.key_pem = w->leaf.key_pem;
	assert_outcome(w, HTTP_FAULT_TLS, false);
	w->tls.cert_pem = NULL;
	w->tls.ca_pem = "no certificate";
	w->tls.ca_pem_len = strlen(w->tls.ca_pem);
	assert_outcome(w, HTTP_FAULT_TLS, false);
	identity_done(&locked);
}

static void test_new_material_needs_a_new_connection(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *both = mem_printf("%s%s", w->ca.cert_pem, w->other_ca.cert_pem);

	assert_outcome(w, HTTP_OK, true);
	assert_outcome(w, HTTP_OK, true);
	assert_int_equal(w->peer.accepted, 1);
	w->tls.ca_pem = both;
	w->tls.ca_pem_len = strlen(both);
	assert_outcome(w, HTTP_OK, true);
	assert_int_equal(w->peer.accepted, 2);
	w->tls.cert_pem = w->leaf.cert_pem;
	w->tls.key_pem = w->leaf.key_pem;
	assert_outcome(w, HTTP_OK, true);
	assert_int_equal(w->peer.accepted, 3);
	w->tls.ca_pem = w->other_ca.cert_pem;
	w->tls.ca_pem_len = strlen(w->tls.ca_pem);
	assert_outcome(w, HTTP_FAULT_TLS_UNTRUSTED, false);
}

static void serve_plain(struct peer *peer, struct bufferevent *conn)
{
	peer_say_and_close(peer, conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

/* Greets each connection in plain text. */
static void greet(struct bufferevent *conn, void *ctx)
{
	serve_plain(ctx, conn);
}

static void accept_plain(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
			 int len, void *ctx)
{
	struct peer *peer = ctx;

	peer_on_accept(listener, fd, addr, len, peer);
	bufferevent_setcb(peer->conns[0], greet, NULL, peer_on_event, peer);
}

static void test_server_without_tls(void **state)
{
	struct world *w = *state;

	w->peer.tls = NULL;
	evconnlistener_set_cb(w->peer.listener, accept_plain, &w->peer);
	assert_outcome(w, HTTP_FAULT_TLS, false);
}

static void test_silent_handshake(void **state)
{
	struct world *w = *state;

	w->peer.tls = NULL; /* it waits for the end of a request that does not come */
	w->req.timeout_ms = 100;
	assert_outcome(w, HTTP_FAULT_TLS_TIMEOUT, false);
	assert_int_equal(w->peer.accepted, 1);
}

/* ---- through a proxy ---- */

/* A proxy: what is behind it is this peer too, and speaks TLS. */
static void serve_tunnel(struct peer *peer, struct bufferevent *conn)
{
	void *around = (char *)peer - offsetof(struct world, peer);
	struct world *w = around;
	struct bufferevent **slot = peer_slot(peer, conn);

	peer_say(conn, "HTTP/1.1 200 OK\r\n\r\n");
	peer->serve = w->behind;
	*slot = bufferevent_openssl_filter_new(peer->base, conn, SSL_new(w->server),
					       BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(*slot, peer_on_read, NULL, peer_on_event, peer);
	assert_int_equal(bufferevent_enable(*slot, EV_READ | EV_WRITE), 0);
}

static void given_tunnel(struct world *w, peer_serve_fn *behind)
{
	w->behind = behind;
	w->peer.tls = NULL;
	w->peer.serve = serve_tunnel;
}

static void test_through_a_tunnel(void **state)
{
	struct world *w = *state;
	struct identity leaf = leaf_for(w, "DNS:name.test", 3600);
	CLEANUP(mem_freep) char *proxy = mem_printf("http://127.0.0.1:%d", w->peer.port);

	serve_as(w, &leaf);
	w->req.url = "https://name.test/";
	w->req.proxy = proxy;
	w->req.fresh_connection = true;
	given_tunnel(w, NULL);
	assert_outcome(w, HTTP_OK, true);
	assert_string_equal(w->seen_name, "name.test");
	assert_ptr_equal(strstr(w->peer.head, "GET / "), w->peer.head);
	/* It was sent once the tunnel stood, and only then. */
	given_tunnel(w, serve_nothing);
	w->req.timeout_ms = 500;
	assert_outcome(w, HTTP_FAULT_TIMEOUT, true);
	given_tunnel(w, NULL);
	w->req.timeout_ms = 5000;
	w->tls.ca_pem = w->other_ca.cert_pem;
	w->tls.ca_pem_len = strlen(w->tls.ca_pem);
	assert_outcome(w, HTTP_FAULT_TLS_UNTRUSTED, false);
	identity_done(&leaf);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_trusted),
		CASE(test_untrusted),
		CASE(test_bad_leaf),
		CASE(test_server_name),
		CASE(test_pin_and_name),
		CASE(test_client_certificate),
		CASE(test_unusable_material),
		CASE(test_new_material_needs_a_new_connection),
		CASE(test_server_without_tls),
		CASE(test_silent_handshake),
		CASE(test_through_a_tunnel),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
