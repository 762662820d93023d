/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <openssl/err.h>

#include "crypto/crypto.h"
#include "crypto/ossl.h"
#include "util/secret.h"

static EVP_PKEY *key_of_seed(const uint8_t seed[ED25519_LEN])
{
	return EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, ED25519_LEN);
}

int ed25519_public(const uint8_t seed[ED25519_LEN], uint8_t pub[ED25519_LEN])
{
	_cleanup_pkey_ EVP_PKEY *key = key_of_seed(seed);
	size_t n = ED25519_LEN;

	if (!key || EVP_PKEY_get_raw_public_key(key, pub, &n) != 1)
		return ossl_error();
	return n == ED25519_LEN ? 0 : -EIO;
}

int ed25519_sign(
	const uint8_t seed[ED25519_LEN], const void *msg, size_t len, uint8_t sig[ED25519_SIG_LEN])
{
	_cleanup_pkey_ EVP_PKEY *key = key_of_seed(seed);
	_cleanup_md_ctx_ EVP_MD_CTX *ctx = NULL;
	size_t n = ED25519_SIG_LEN;

	if (!key)
		return ossl_error();
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	/* Ed25519 hashes by itself: no digest is named. */
	if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(ctx, sig, &n, msg, len) != 1)
		return ossl_error();
	return n == ED25519_SIG_LEN ? 0 : -EIO;
}

int ed25519_verify(const uint8_t pub[ED25519_LEN], const void *msg, size_t len,
	const uint8_t sig[ED25519_SIG_LEN])
{
	_cleanup_pkey_ EVP_PKEY *key = NULL;
	_cleanup_md_ctx_ EVP_MD_CTX *ctx = NULL;

	key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, pub, ED25519_LEN);
	if (!key)
		return ossl_error();
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	if (EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1)
		return ossl_error();
	/* 0 or negative, depending on what is wrong with the signature or the key. */
	if (EVP_DigestVerify(ctx, sig, ED25519_SIG_LEN, msg, len) != 1)
		return ossl_error() == -ENOMEM ? -ENOMEM : -EBADMSG;
	return 0;
}
