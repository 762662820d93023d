/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/crypto.h"
#include "crypto/ossl.h"
#include "util/secret.h"

/* In bytes. The big array, the p blocks beside it, and the bytes written in all, which are the
 * time. */
#define ARRAY_MAX (UINT64_C(1) << 30)
#define BLOCKS_MAX (UINT64_C(32) << 20)
#define WORK_MAX (UINT64_C(4) << 30)

/* OSSL_PARAM's constructors take pointers to non-const data, which is only read here. */
#define UNCONST(p) ((void *)(uintptr_t)(p))

static bool parameters_ok(uint64_t n, uint64_t r, uint64_t p)
{
	if (n < 2 || (n & (n - 1)) != 0 || r == 0 || p == 0)
		return false;
	/* RFC 7914 section 2: n < 2^(128 * r / 8). Further down the bound on memory is the stricter
	 * one. */
	if (r == 1 && n >= 65536)
		return false;
	if (n > ARRAY_MAX / 128 / r || p > BLOCKS_MAX / 128 / r)
		return false;
	return 128 * n * r <= WORK_MAX / p;
}

int scrypt_derive(const void *password, size_t password_len, const uint8_t *salt, size_t salt_len,
	uint64_t n, uint32_t r, uint32_t p, uint8_t out[KEY_LEN])
{
	uint64_t memory = ARRAY_MAX + 2 * BLOCKS_MAX;
	EVP_KDF *kdf = ossl_algorithms()->scrypt;
	/* An empty password or salt is legal in RFC 7914, but OpenSSL wants a pointer for it. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
			UNCONST(password_len ? password : ""), password_len),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SALT, UNCONST(salt_len ? (const void *)salt : ""), salt_len),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_construct_end(),
	};
	_cleanup_kdf_ctx_ EVP_KDF_CTX *ctx = NULL;

	if (!parameters_ok(n, r, p))
		return -EINVAL;
	if (!kdf)
		return -EIO;
	ctx = EVP_KDF_CTX_new(kdf);
	if (!ctx)
		return -ENOMEM;
	if (EVP_KDF_derive(ctx, out, KEY_LEN, params) != 1) {
		wipe(out, KEY_LEN);
		return ossl_error();
	}
	return 0;
}
