/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "http/http.h"

/* Without one, OpenSSL could ask on the terminal; and it would, when libcurl reads the text. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)ctx;
	return -1;
}

/* By the function that libcurl reads them with: it takes all blocks or none. */
bool http_is_ca(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
	STACK_OF(X509_INFO) * infos;
	bool found = false;
	int i;

	assert(bio);
	infos = PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, NULL);
	for (i = 0; i < sk_X509_INFO_num(infos); i++)
		found = found || sk_X509_INFO_value(infos, i)->x509;
	sk_X509_INFO_pop_free(infos, X509_INFO_free);
	BIO_free(bio);
	/* What a failure leaves in OpenSSL's queue would be blamed on the next TLS call. */
	ERR_clear_error();
	return found;
}
