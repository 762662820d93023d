/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/ctxcache.h"
#include "util/secret.h"

struct aead {
	uint64_t id; /* of the contexts that hold this key */
	uint8_t key[KEY_LEN];
};

int aead_new(const uint8_t key[KEY_LEN], struct aead **ret)
{
	struct aead *a = secret_alloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->id = ctxcache_new_id();
	memcpy(a->key, key, KEY_LEN);
	*ret = a;
	return 0;
}

void aead_free(struct aead *a)
{
	if (!a)
		return;
	ctxcache_forget(a->id);
	secret_free(a);
}

/* The calling thread's context with key and nonce set, and with what else params say. */
static int start(const struct aead *a, bool sealing, const uint8_t nonce[NONCE_LEN],
	const OSSL_PARAM params[], struct ctx_slot **ret)
{
	const EVP_CIPHER *cipher = ossl_algorithms()->gcm;
	struct ctx_slot *s;
	bool ready;

	if (!cipher)
		return -EIO;
	s = ctxcache_get(sealing ? CTX_GCM_SEAL : CTX_GCM_OPEN, a->id);
	if (!s)
		return -ENOMEM;
	ready = s->id == a->id;
	s->id = 0;
	if (EVP_CipherInit_ex2(s->ctx, ready ? NULL : cipher, ready ? NULL : a->key, nonce, sealing,
		    params) != 1)
		return ossl_error();
	s->id = a->id;
	*ret = s;
	return 0;
}

static bool feed(
	EVP_CIPHER_CTX *ctx, const void *aad, size_t aad_len, const void *in, size_t len, void *out)
{
	int n;

	if (aad_len > 0 && EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1)
		return false;
	if (len > 0 && (EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1 || n != (int)len))
		return false;
	return true;
}

int aead_seal(const struct aead *a, const uint8_t nonce[NONCE_LEN], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, uint8_t tag[TAG_LEN])
{
	OSSL_PARAM get_tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, TAG_LEN),
		OSSL_PARAM_construct_end(),
	};
	uint8_t none[TAG_LEN];
	struct ctx_slot *s;
	int n, r;

	if (len > INT_MAX || aad_len > INT_MAX)
		return -EINVAL;
	r = start(a, true, nonce, NULL, &s);
	if (r < 0)
		return r;
	if (!feed(s->ctx, aad, aad_len, in, len, out) ||
		EVP_CipherFinal_ex(s->ctx, none, &n) != 1 ||
		EVP_CIPHER_CTX_get_params(s->ctx, get_tag) != 1) {
		s->id = 0;
		/* In place, what is left of the plaintext must not pass for ciphertext. */
		wipe(out, len);
		return ossl_error();
	}
	return 0;
}

int aead_open(const struct aead *a, const uint8_t nonce[NONCE_LEN], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, const uint8_t tag[TAG_LEN])
{
	/* OpenSSL only reads the tag here, but has one type for both directions. */
	OSSL_PARAM set_tag[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_CIPHER_PARAM_AEAD_TAG, (void *)(uintptr_t)tag, TAG_LEN),
		OSSL_PARAM_construct_end(),
	};
	uint8_t none[TAG_LEN];
	struct ctx_slot *s;
	int n, r;

	if (len > INT_MAX || aad_len > INT_MAX)
		return -EINVAL;
	r = start(a, false, nonce, set_tag, &s);
	if (r < 0) {
		wipe(out, len);
		return r;
	}
	if (!feed(s->ctx, aad, aad_len, in, len, out)) {
		s->id = 0;
		wipe(out, len);
		return ossl_error();
	}
	if (EVP_CipherFinal_ex(s->ctx, none, &n) != 1) {
		s->id = 0;
		wipe(out, len);
		return ossl_error() == -ENOMEM ? -ENOMEM : -EBADMSG;
	}
	return 0;
}
