/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void pem_done(struct kube_pem *pem)
{
	free(pem->path);
	mem_wipe_str(pem->text);
}

void kube_tls_spec_done(struct kube_tls_spec *spec)
{
	pem_done(&spec->ca);
	pem_done(&spec->cert);
	pem_done(&spec->key);
	free(spec->server_name);
}

/* The text, or NULL when none is configured. */
static int pem_read(const struct kube_pem *pem, char **ret_text, struct err *err)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(KUBE_MAX_PEM);

	if (pem->path && kube_file_read(pem->path, &text, err) < 0)
		return -1;
	if (pem->path)
		*ret_text = buf_take(&text);
	else if (pem->text)
		*ret_text = mem_strdup(pem->text);
	return 0;
}

static BIO *bio_of(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));

	assert(bio);
	return bio;
}

/* An empty passphrase, as http has libcurl try: without any, OpenSSL would ask on the terminal. */
static X509 *first_certificate(const char *pem)
{
	char no_passphrase[] = "";
	BIO *bio = bio_of(pem);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase);

	BIO_free(bio);
	return cert;
}

static EVP_PKEY *private_key(const char *pem)
{
	char no_passphrase[] = "";
	BIO *bio = bio_of(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);

	BIO_free(bio);
	return key;
}

/* A rotation that replaces one file after the other shows a pair that does not match. */
static int check_pair(const char *cert_pem, const char *key_pem, struct err *err)
{
	X509 *cert = first_certificate(cert_pem);
	EVP_PKEY *key = private_key(key_pem);
	int ret = 0;

	if (!cert)
		ret = err_set(err, ERR_INVALID, 0, "client-certificate holds no PEM certificate");
	else if (!key)
		ret = err_set(err, ERR_INVALID, 0,
			      "client-key holds no PEM key without a passphrase");
	else if (X509_check_private_key(cert, key) != 1)
		ret = err_set(err, ERR_INVALID, 0, "client-key does not fit client-certificate");
	X509_free(cert);
	EVP_PKEY_free(key);
	return ret;
}

static int check(const struct kube_tls *tls, struct err *err)
{
	int ret = 0;

	if (tls->ca && !http_is_ca(tls->ca))
		ret = err_set(
			err, ERR_INVALID, 0,
			"certificate-authority holds no PEM certificate, or one that is damaged");
	if (ret == 0 && tls->cert)
		ret = check_pair(tls->cert, tls->key, err);
	/* What a failure leaves in OpenSSL's queue would be blamed on the next TLS call. */
	ERR_clear_error();
	return ret;
}

static void tls_unrefp(struct kube_tls **tls)
{
	kube_tls_unref(*tls);
}

struct kube_tls *kube_tls_load(const struct kube_tls_spec *spec, struct err *err)
{
	CLEANUP(tls_unrefp) struct kube_tls *tls = mem_zalloc(sizeof(*tls));

	tls->refs = 1;
	if (pem_read(&spec->ca, &tls->ca, err) < 0 || pem_read(&spec->cert, &tls->cert, err) < 0 ||
	    pem_read(&spec->key, &tls->key, err) < 0 || check(tls, err) < 0)
		return NULL;
	tls->http = (struct http_tls){
		.ca_pem = tls->ca,
		.ca_pem_len = tls->ca ? strlen(tls->ca) : 0,
		.cert_pem = tls->cert,
		.key_pem = tls->key,
		.server_name = spec->server_name,
		.insecure = spec->insecure,
	};
	return TAKE(tls);
}

struct kube_tls *kube_tls_ref(struct kube_tls *tls)
{
	tls->refs++;
	return tls;
}

void kube_tls_unref(struct kube_tls *tls)
{
	if (!tls || --tls->refs > 0)
		return;
	free(tls->ca);
	free(tls->cert);
	mem_wipe_str(tls->key);
	free(tls);
}
