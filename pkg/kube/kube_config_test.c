/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/mono.h"

#define DATA		"pkg/kube/testdata/kubeconfig/"
#define MINUTE_MS	(60 * 1000)
#define FIVE_MINUTES_MS (5 * MINUTE_MS)

/* ---- files ---- */

static char pod[64]; /* a directory with what a pod finds mounted */

static char *in_pod(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", pod, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(in_pod(name), "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static char *contents(const char *path)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(1 << 20);
	struct err err;

	assert_int_equal(kube_file_read(path, &text, &err), 0);
	return buf_take(&text);
}

static void put_copy(const char *name, const char *data_file)
{
	CLEANUP(mem_freep) char *from = mem_printf("%s%s", DATA, data_file);
	CLEANUP(mem_freep) char *text = contents(from);

	put(name, text);
}

static const char *const names[] = {"token", "namespace", "ca.crt", "tls.crt", "tls.key", "config"};

static int make_pod(void **state)
{
	(void)state;
	(void)snprintf(pod, sizeof(pod), "/tmp/kube-test-XXXXXX");
	if (!mkdtemp(pod))
		return -1;
	put("token", " first \n");
	put("namespace", "work");
	put_copy("ca.crt", "ca.crt");
	put_copy("tls.crt", "client.crt");
	put_copy("tls.key", "client.key");
	return 0;
}

static int remove_pod(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(in_pod(names[i]));
	return rmdir(pod);
}

/* ---- kubeconfig: input and expected pairs ---- */

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static char *describe(const struct kube_config *config)
{
	const struct http_tls *tls = &config->tls->http;

	return mem_printf("server: %s\nnamespace: %s\ntoken: %s\nca: %s\npair: %s\n"
			  "server-name: %s\ninsecure: %s\n",
			  kube_config_server(config), kube_config_namespace(config),
			  or_dash(config->token), tls->ca_pem ? "yes" : "no",
			  tls->cert_pem && tls->key_pem ? "yes" : "no", or_dash(tls->server_name),
			  tls->insecure ? "true" : "false");
}

static bool pair_agrees(const char *name)
{
	CLEANUP(mem_freep) char *input = mem_printf("%s%s.yaml", DATA, name);
	CLEANUP(mem_freep) char *expected_path = mem_printf("%s%s.expected", DATA, name);
	CLEANUP(mem_freep) char *expected = contents(expected_path);
	CLEANUP(mem_freep) char *got = NULL;
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err;

	config = kube_config_load(input, NULL, &err);
	got = config ? describe(config) : mem_printf("%s: %s\n", err_kind_name(err.kind), err.msg);
	if (strcmp(got, expected) == 0)
		return true;
	print_error("%s: expected\n%sgot\n%s", name, expected, got);
	return false;
}

static void test_kubeconfigs(void **state)
{
	DIR *data = opendir(DATA);
	const struct dirent *entry;
	size_t pairs = 0, failed = 0;

	(void)state;
	assert_non_null(data);
	while ((entry = readdir(data))) {
		const char *dot = strstr(entry->d_name, ".yaml");

		if (!dot)
			continue;
		CLEANUP(mem_freep)
		char *name = mem_dup(entry->d_name, (size_t)(dot - entry->d_name));
		failed += !pair_agrees(name);
		pairs++;
	}
	(void)closedir(data);
	assert_int_equal(failed, 0);
	assert_true(pairs > 60);
}

static void test_named_context(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err;

	(void)state;
	put("config", "current-context: a\n"
		      "contexts: [{name: b, context: {cluster: c}}]\n"
		      "clusters: [{name: c, cluster: {server: b.test}}]\n");
	config = kube_config_load(in_pod("config"), "b", &err);
	assert_non_null(config);
	assert_string_equal(kube_config_server(config), "https://b.test");
	assert_null(kube_config_load(in_pod("config"), NULL, &err));
	assert_int_equal(err.kind, ERR_INVALID);
}

static void test_too_large(void **state)
{
	CLEANUP(mem_freep) char *big = mem_alloc(KUBE_MAX_KUBECONFIG + 2);
	struct err err;

	(void)state;
	memset(big, '#', KUBE_MAX_KUBECONFIG + 1);
	big[KUBE_MAX_KUBECONFIG + 1] = '\0';
	put("config", big);
	assert_null(kube_config_load(in_pod("config"), NULL, &err));
	assert_non_null(strstr(err.msg, "File too large"));
}

/* ---- where it is looked for ---- */

static void clear_environment(void)
{
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	unsetenv("HOME");
}

static void test_kubeconfig_variable(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err;

	(void)state;
	clear_environment();
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	setenv("KUBECONFIG", DATA "token.yaml", 1);
	config = kube_config_load(NULL, NULL, &err);
	assert_non_null(config);
	assert_string_equal(kube_config_server(config), "https://api.test:6443");

	setenv("KUBECONFIG", DATA "token.yaml:" DATA "json.yaml", 1);
	assert_null(kube_config_load(NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "several files"));
}

static void test_in_cluster_variables(void **state)
{
	struct err err;

	(void)state;
	clear_environment();
	setenv("KUBECONFIG", "", 1);
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	assert_null(kube_config_load(NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "KUBERNETES_SERVICE_PORT"));
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_null(kube_config_load(NULL, NULL, &err)); /* nothing is mounted here */
	assert_non_null(strstr(err.msg, "serviceaccount/token"));
}

static void test_home(void **state)
{
	struct err err;

	(void)state;
	clear_environment();
	setenv("HOME", "/nowhere", 1);
	assert_null(kube_config_load(NULL, NULL, &err));
	assert_string_equal(err.msg,
			    "cannot read /nowhere/.kube/config: No such file or directory");
}

/* ---- in-cluster ---- */

static void test_in_cluster(void **state)
{
	static const char *const cases[][3] = {
		{"10.0.0.1", "443", "https://10.0.0.1:443"},
		{"fd00::1", "6443", "https://[fd00::1]:6443"},
		{"[fd00::1]", "6443", "https://[fd00::1]:6443"},
		{"kubernetes.default", "443", "https://kubernetes.default:443"},
		{"", "443", NULL},
		{"10.0.0.1", "", NULL},
		{"10.0.0.1", "44x", NULL},
		{"a@b", "443", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err;
		CLEANUP(kube_config_freep)
		struct kube_config *config =
			kube_config_in_cluster(pod, cases[i][0], cases[i][1], &err);

		assert_int_equal(!config, !cases[i][2]);
		if (!config) {
			assert_int_equal(err.kind, ERR_INVALID);
			continue;
		}
		assert_string_equal(kube_config_server(config), cases[i][2]);
		assert_string_equal(kube_config_namespace(config), "work");
		assert_string_equal(config->token, "first");
		assert_non_null(config->tls->http.ca_pem);
	}
}

static void test_in_cluster_without_files(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err;

	(void)state;
	assert_int_equal(unlink(in_pod("namespace")), 0);
	config = kube_config_in_cluster(pod, "10.0.0.1", "443", &err);
	assert_non_null(config);
	assert_string_equal(kube_config_namespace(config), "default");

	assert_int_equal(unlink(in_pod("ca.crt")), 0);
	assert_null(kube_config_in_cluster(pod, "10.0.0.1", "443", &err));
	assert_int_equal(err.kind, ERR_INVALID);
}

/* ---- rotation ---- */

static struct kube_config *pod_config(void)
{
	struct err err;
	struct kube_config *config = kube_config_in_cluster(pod, "10.0.0.1", "443", &err);

	assert_non_null(config);
	return config;
}

static void test_token_rotates(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = pod_config();
	int64_t now_ms = config->token_due_ms - 1;

	(void)state;
	put("token", "second\n");
	assert_string_equal(kube_config_token(config, now_ms), "first");
	assert_string_equal(kube_config_token(config, now_ms + 1), "second");
	put("token", "third");
	assert_string_equal(kube_config_token(config, now_ms + MINUTE_MS), "second");
	assert_string_equal(kube_config_token(config, now_ms + 1 + MINUTE_MS), "third");
}

static void test_bad_token_keeps_the_old(void **state)
{
	static const char *const bad[] = {"", " \n", "a b", "a\nb", "a\x01", "\xc3\xa4"};
	CLEANUP(kube_config_freep) struct kube_config *config = pod_config();
	int64_t now_ms = config->token_due_ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("token", bad[i]);
		assert_string_equal(kube_config_token(config, now_ms), "first");
		now_ms += MINUTE_MS;
	}
	assert_int_equal(unlink(in_pod("token")), 0);
	assert_string_equal(kube_config_token(config, now_ms), "first");
	put("token", "back");
	assert_string_equal(kube_config_token(config, now_ms + MINUTE_MS), "back");
}

static void test_distrusted_token(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = pod_config();

	(void)state;
	put("token", "second");
	kube_config_distrust_token(config);
	assert_string_equal(kube_config_token(config, 0), "second");
}

static void test_ca_rotates(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = pod_config();
	struct kube_tls *first = kube_tls_ref(config->tls);
	int64_t now_ms = config->tls_due_ms;

	(void)state;
	put_copy("ca.crt", "client.crt");
	assert_ptr_equal(kube_config_tls(config, now_ms - 1), first);
	assert_ptr_not_equal(kube_config_tls(config, now_ms), first);
	assert_string_not_equal(config->tls->http.ca_pem, first->http.ca_pem);
	kube_tls_unref(first);

	first = config->tls;
	now_ms += FIVE_MINUTES_MS;
	assert_ptr_equal(kube_config_tls(config, now_ms), first); /* read, the same */
	put("ca.crt", "");
	assert_ptr_equal(kube_config_tls(config, now_ms + FIVE_MINUTES_MS), first);
}

static void test_pair_rotates_as_a_whole(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct kube_tls *first;
	struct err err;
	int64_t now_ms;

	(void)state;
	put("config", "current-context: x\n"
		      "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
		      "clusters: [{name: c, cluster: {server: 'https://api.test'}}]\n"
		      "users: [{name: u, user: {client-certificate: tls.crt, client-key: "
		      "tls.key}}]\n");
	config = kube_config_load(in_pod("config"), NULL, &err);
	assert_non_null(config);
	first = config->tls;
	now_ms = config->tls_due_ms;

	put_copy("tls.key", "other.key"); /* its certificate comes a moment later */
	assert_ptr_equal(kube_config_tls(config, now_ms), first);
	put_copy("tls.crt", "other.crt");
	assert_ptr_not_equal(kube_config_tls(config, now_ms + FIVE_MINUTES_MS), first);
}

static void test_nothing_to_rotate(void **state)
{
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err;

	(void)state;
	config = kube_config_load(DATA "pair-data.yaml", NULL, &err);
	assert_non_null(config);
	assert_ptr_equal(kube_config_tls(config, INT64_MAX / 2), config->tls);
	assert_null(kube_config_token(config, INT64_MAX / 2));
}

int main(void)
{
#define POD(test) cmocka_unit_test_setup_teardown(test, make_pod, remove_pod)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kubeconfigs),
		POD(test_named_context),
		POD(test_too_large),
		cmocka_unit_test(test_kubeconfig_variable),
		cmocka_unit_test(test_in_cluster_variables),
		cmocka_unit_test(test_home),
		POD(test_in_cluster),
		POD(test_in_cluster_without_files),
		POD(test_token_rotates),
		POD(test_bad_token_keeps_the_old),
		POD(test_distrusted_token),
		POD(test_ca_rotates),
		POD(test_pair_rotates_as_a_whole),
		cmocka_unit_test(test_nothing_to_rotate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
