/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/ossl.h"
#include "util/secret.h"

/* OSSL_PARAM's constructors take pointers to non-const data, which is only read here. */
#define UNCONST(p) ((void *)(uintptr_t)(p))

int sha256(const void *in, size_t len, uint8_t out[HASH_LEN])
{
	const EVP_MD *md = ossl_algorithms()->sha256;

	if (!md)
		return -EIO;
	return EVP_Digest(in, len, out, NULL, md, NULL) == 1 ? 0 : ossl_error();
}

int hmac_sha256(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[HASH_LEN])
{
	EVP_MAC *mac = ossl_algorithms()->hmac;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, UNCONST("SHA256"), 0),
		OSSL_PARAM_construct_end(),
	};
	_cleanup_mac_ctx_ EVP_MAC_CTX *ctx = NULL;
	size_t n;

	if (!mac)
		return -EIO;
	ctx = EVP_MAC_CTX_new(mac);
	if (!ctx)
		return -ENOMEM;
	if (EVP_MAC_init(ctx, key, KEY_LEN, params) != 1 || EVP_MAC_update(ctx, in, len) != 1 ||
		EVP_MAC_final(ctx, out, &n, HASH_LEN) != 1)
		return ossl_error();
	return n == HASH_LEN ? 0 : -EIO;
}

int hkdf_sha256(const uint8_t *key, size_t key_len, const char *label, uint8_t *out, size_t out_len)
{
	EVP_KDF *kdf = ossl_algorithms()->hkdf;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, UNCONST("SHA256"), 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, UNCONST(key), key_len),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_INFO, UNCONST(label), strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	_cleanup_kdf_ctx_ EVP_KDF_CTX *ctx = NULL;

	/* RFC 5869: at most 255 blocks. */
	if (key_len == 0 || out_len == 0 || out_len > (size_t)255 * HASH_LEN)
		return -EINVAL;
	if (!kdf)
		return -EIO;
	ctx = EVP_KDF_CTX_new(kdf);
	if (!ctx)
		return -ENOMEM;
	if (EVP_KDF_derive(ctx, out, out_len, params) != 1) {
		wipe(out, out_len);
		return ossl_error();
	}
	return 0;
}
