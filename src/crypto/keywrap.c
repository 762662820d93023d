/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>

#include "crypto/crypto.h"
#include "crypto/ossl.h"
#include "util/secret.h"

#define WRAP_MIN 16
#define WRAP_MAX 128

/* A context for one use: what wraps keys should not stay in a thread's cache. */
static int wrap_ctx(const uint8_t kek[KEY_LEN], bool wrapping, EVP_CIPHER_CTX **ret)
{
	const EVP_CIPHER *cipher = ossl_algorithms()->wrap;
	_cleanup_cipher_ctx_ EVP_CIPHER_CTX *ctx = NULL;

	if (!cipher)
		return -EIO;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	/* No IV given: the default one of RFC 3394 section 2.2.3.1, which the unwrapping checks. */
	if (EVP_CipherInit_ex2(ctx, cipher, kek, NULL, wrapping, NULL) != 1)
		return ossl_error();
	*ret = TAKE_PTR(ctx);
	return 0;
}

int keywrap(const uint8_t kek[KEY_LEN], const uint8_t *in, size_t in_len, uint8_t *out)
{
	_cleanup_cipher_ctx_ EVP_CIPHER_CTX *ctx = NULL;
	int n, r;

	if (in_len % 8 != 0 || in_len < WRAP_MIN || in_len > WRAP_MAX)
		return -EINVAL;
	r = wrap_ctx(kek, true, &ctx);
	if (r < 0)
		return r;
	if (EVP_CipherUpdate(ctx, out, &n, in, (int)in_len) != 1)
		return ossl_error();
	return n == (int)in_len + KEYWRAP_EXTRA ? 0 : -EIO;
}

int keyunwrap(const uint8_t kek[KEY_LEN], const uint8_t *in, size_t in_len, uint8_t *out)
{
	_cleanup_cipher_ctx_ EVP_CIPHER_CTX *ctx = NULL;
	size_t out_len = in_len - KEYWRAP_EXTRA;
	int n, r;

	if (in_len % 8 != 0 || in_len < WRAP_MIN + KEYWRAP_EXTRA ||
		in_len > WRAP_MAX + KEYWRAP_EXTRA)
		return -EINVAL;
	r = wrap_ctx(kek, false, &ctx);
	if (r < 0)
		return r;
	if (EVP_CipherUpdate(ctx, out, &n, in, (int)in_len) != 1) {
		wipe(out, out_len);
		return ossl_error() == -ENOMEM ? -ENOMEM : -EBADMSG;
	}
	if (n != (int)out_len) {
		wipe(out, out_len);
		return -EIO;
	}
	return 0;
}
