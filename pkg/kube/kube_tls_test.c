/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jv/jv.h"

#define DATA "pkg/kube/testdata/"

/* ---- a server for "kube.test", in a process of its own: it answers with the client's name ---- */

static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

#define OBJECT_BEGIN "{\"metadata\":{\"resourceVersion\":\"1\"},\"client\":\""

static void answer(SSL *ssl)
{
	char request[4096], name[64] = "", text[256];
	X509 *peer = SSL_get1_peer_certificate(ssl);
	int len;

	if (SSL_read(ssl, request, sizeof(request)) <= 0)
		return;
	if (peer)
		(void)X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name,
						sizeof(name));
	X509_free(peer);
	len = snprintf(
		text, sizeof(text),
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n" OBJECT_BEGIN
		"%s\"}",
		strlen(OBJECT_BEGIN) + strlen(name) + 2, name);
	(void)SSL_write(ssl, text, len);
	(void)SSL_shutdown(ssl);
}

static NORETURN void serve(int listener)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)SSL_CTX_use_certificate_file(ctx, DATA "tls/server.crt", SSL_FILETYPE_PEM);
	(void)SSL_CTX_use_PrivateKey_file(ctx, DATA "tls/server.key", SSL_FILETYPE_PEM);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(ctx);

		(void)SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			answer(ssl);
		SSL_free(ssl);
		(void)close(fd);
	}
}

struct server {
	pid_t pid;
	int port;
};

static int start_server(void **state)
{
	struct server *server = mem_zalloc(sizeof(*server));
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -1;
	server->port = ntohs(address.sin_port);
	server->pid = fork();
	if (server->pid == 0)
		serve(fd);
	(void)close(fd);
	*state = server;
	return server->pid > 0 ? 0 : -1;
}

static int stop_server(void **state)
{
	struct server *server = *state;

	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	free(server);
	return 0;
}

/* ---- the client ---- */

struct outcome {
	bool done;
	struct err err;
	char client[64];
};

static void note(void *ctx, json_t *object, const struct err *err)
{
	struct outcome *outcome = ctx;

	outcome->done = true;
	outcome->err = err ? *err : (struct err){0};
	(void)snprintf(outcome->client, sizeof(outcome->client), "%s", jv_str(object, "client"));
}

/* One request as a client with these keys of a cluster and a user makes it. */
static struct outcome get(const struct server *server, const char *cluster, const char *user)
{
	static const struct kube_resource secrets = {"", "v1", "secrets"};
	static const struct kube_options options = {.user_agent = "tls-test/1"};
	CLEANUP(buf_donep) struct buf text = BUF_INIT(4096);
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct event_base *base = event_base_new();
	struct outcome outcome = {0};
	const struct kube_request req = {
		.verb = "get", .resource = &secrets, .on_done = note, .ctx = &outcome};
	struct kube *kube;

	(void)alarm(30);
	(void)setenv("no_proxy", "127.0.0.1", 1);
	assert_int_equal(buf_addf(&text,
				  "current-context: x\ncontexts: [{name: x, context: {cluster: c, "
				  "user: u}}]\n"
				  "clusters: [{name: c, cluster: {server: '127.0.0.1:%d', %s}}]\n"
				  "users: [{name: u, user: {%s}}]\n",
				  server->port, cluster, user),
			 0);
	config = kube_config_parse(&text, NULL, DATA, &outcome.err);
	assert_non_null(config);
	kube = kube_new(base, config, &options);
	(void)kube_start(kube, &req);
	while (!outcome.done)
		(void)event_base_loop(base, EVLOOP_ONCE);
	kube_free(kube);
	event_base_free(base);
	return outcome;
}

#define PAIR "client-certificate: kubeconfig/client.crt, client-key: kubeconfig/client.key"

static void test_trusted(void **state)
{
	struct outcome outcome = get(
		*state, "certificate-authority: tls/server.crt, tls-server-name: kube.test", PAIR);

	assert_int_equal(outcome.err.kind, ERR_NONE);
	assert_string_equal(outcome.client, "test-client");
}

static void test_without_a_pair(void **state)
{
	struct outcome outcome =
		get(*state, "certificate-authority: tls/server.crt, tls-server-name: kube.test",
		    "token: t");

	assert_int_equal(outcome.err.kind, ERR_NONE);
	assert_string_equal(outcome.client, "");
}

static void test_untrusted(void **state)
{
	static const char *const clusters[] = {
		"certificate-authority: kubeconfig/ca.crt, tls-server-name: kube.test",
		"certificate-authority: tls/server.crt", /* not for 127.0.0.1 */
		"tls-server-name: kube.test",		 /* the system's roots */
	};

	for (size_t i = 0; i < ARRAY_LEN(clusters); i++) {
		struct outcome outcome = get(*state, clusters[i], PAIR);

		assert_int_equal(outcome.err.kind, ERR_TRANSIENT);
		assert_non_null(strstr(outcome.err.msg, http_fault_text(HTTP_FAULT_TLS_UNTRUSTED)));
	}
}

static void test_insecure(void **state)
{
	struct outcome outcome = get(*state, "insecure-skip-tls-verify: true", PAIR);

	assert_int_equal(outcome.err.kind, ERR_NONE);
	assert_string_equal(outcome.client, "test-client");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trusted),
		cmocka_unit_test(test_without_a_pair),
		cmocka_unit_test(test_untrusted),
		cmocka_unit_test(test_insecure),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
