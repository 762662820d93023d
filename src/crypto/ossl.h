/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CRYPTO_OSSL_H
#define COFFER_CRYPTO_OSSL_H

/* Private to crypto/: what its files share of OpenSSL. */
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include "util/cleanup.h"

/*
 * The algorithms, fetched once per process: a fetch by name costs more than encrypting a name. A
 * member is NULL if OpenSSL does not have it (its configuration may restrict it); users answer
 * -EIO.
 */
struct ossl_algorithms {
	EVP_CIPHER *gcm;  /* AES-256-GCM */
	EVP_CIPHER *siv;  /* AES-256-SIV */
	EVP_CIPHER *wrap; /* AES-256-WRAP */
	EVP_MD *sha256;
	EVP_MAC *hmac;
	EVP_KDF *hkdf;
	EVP_KDF *scrypt;
};
const struct ossl_algorithms *ossl_algorithms(void);

/*
 * The errno of an OpenSSL call that just failed on this thread: -ENOMEM or -EIO. Empties the error
 * queue, so that the next user of OpenSSL does not find our errors there.
 */
int ossl_error(void);

static inline void ossl_cipher_ctx_free_(EVP_CIPHER_CTX **p)
{
	EVP_CIPHER_CTX_free(*p);
}
static inline void ossl_mac_ctx_free_(EVP_MAC_CTX **p)
{
	EVP_MAC_CTX_free(*p);
}
static inline void ossl_kdf_ctx_free_(EVP_KDF_CTX **p)
{
	EVP_KDF_CTX_free(*p);
}
static inline void ossl_md_ctx_free_(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}
static inline void ossl_pkey_free_(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
#define _cleanup_cipher_ctx_ _cleanup_(ossl_cipher_ctx_free_)
#define _cleanup_mac_ctx_ _cleanup_(ossl_mac_ctx_free_)
#define _cleanup_kdf_ctx_ _cleanup_(ossl_kdf_ctx_free_)
#define _cleanup_md_ctx_ _cleanup_(ossl_md_ctx_free_)
#define _cleanup_pkey_ _cleanup_(ossl_pkey_free_)

#endif
