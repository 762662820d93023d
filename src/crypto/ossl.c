/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>

#include "crypto/ossl.h"

static struct ossl_algorithms algorithms;
static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	algorithms.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	algorithms.siv = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
	algorithms.wrap = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
	algorithms.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algorithms.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	algorithms.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	algorithms.scrypt = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	ERR_clear_error();
}

const struct ossl_algorithms *ossl_algorithms(void)
{
	/* Fails only for a once-variable that is not one. */
	(void)pthread_once(&algorithms_once, fetch_all);
	return &algorithms;
}

int ossl_error(void)
{
	unsigned long e;
	int r = -EIO;

	while ((e = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			r = -ENOMEM;
	}
	return r;
}
