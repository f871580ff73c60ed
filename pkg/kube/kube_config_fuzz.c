/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A configuration that is accepted has a server and a token that is fit for a header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(KUBE_MAX_KUBECONFIG);
	CLEANUP(kube_config_freep) struct kube_config *config = NULL;
	struct err err = {0};

	if (buf_add(&text, data, size) < 0)
		return 0;
	config = kube_config_parse(&text, NULL, "/nowhere", &err);
	assert(config ? !config->token || kube_is_word(config->token) : err.kind == ERR_INVALID);
	assert(!config || kube_is_word(kube_config_server(config)));
	return 0;
}
