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

#define AAD_MAX 4

struct siv {
	uint64_t id; /* of the contexts that hold this key */
	uint8_t key[SIV_KEY_LEN];
};

int siv_new(const uint8_t key[SIV_KEY_LEN], struct siv **ret)
{
	struct siv *s = secret_alloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->id = ctxcache_new_id();
	memcpy(s->key, key, SIV_KEY_LEN);
	*ret = s;
	return 0;
}

void siv_free(struct siv *s)
{
	if (!s)
		return;
	ctxcache_forget(s->id);
	secret_free(s);
}

/*
 * A context ready for one message. OpenSSL's SIV contexts are good for a single message, and keying
 * one costs several fetches by name; so a keyed one is kept untouched in the cache, and copied.
 */
static int start(const struct siv *s, bool sealing, struct ctx_slot **ret)
{
	const EVP_CIPHER *cipher = ossl_algorithms()->siv;
	struct ctx_slot *slot;

	if (!cipher)
		return -EIO;
	slot = ctxcache_get(sealing ? CTX_SIV_SEAL : CTX_SIV_OPEN, s->id);
	if (!slot || !ctxcache_work(slot))
		return -ENOMEM;
	if (slot->id != s->id) {
		if (EVP_CipherInit_ex2(slot->ctx, cipher, s->key, NULL, sealing, NULL) != 1)
			return ossl_error();
		slot->id = s->id;
	}
	if (EVP_CIPHER_CTX_copy(slot->work, slot->ctx) != 1) {
		slot->id = 0;
		return ossl_error();
	}
	*ret = slot;
	return 0;
}

static bool feed_aad(EVP_CIPHER_CTX *ctx, const struct iovec *aad, int aad_count)
{
	int n;

	for (int i = 0; i < aad_count; i++) {
		if (EVP_CipherUpdate(ctx, NULL, &n, aad[i].iov_base, (int)aad[i].iov_len) != 1)
			return false;
	}
	return true;
}

static bool arguments_ok(const struct iovec *aad, int aad_count, size_t message_len)
{
	if (aad_count < 0 || aad_count > AAD_MAX || message_len == 0 || message_len > INT_MAX)
		return false;
	for (int i = 0; i < aad_count; i++) {
		/* OpenSSL before 3.0.10 leaves an empty one out of the sum (CVE-2023-2975). */
		if (aad[i].iov_len == 0 || aad[i].iov_len > INT_MAX)
			return false;
	}
	return true;
}

int siv_seal(const struct siv *s, const struct iovec *aad, int aad_count, const void *in,
	size_t len, void *out)
{
	OSSL_PARAM get_tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out, SIV_LEN),
		OSSL_PARAM_construct_end(),
	};
	struct ctx_slot *slot;
	int n, r;

	if (!arguments_ok(aad, aad_count, len))
		return -EINVAL;
	r = start(s, true, &slot);
	if (r < 0)
		return r;
	if (!feed_aad(slot->work, aad, aad_count) ||
		EVP_CipherUpdate(slot->work, (uint8_t *)out + SIV_LEN, &n, in, (int)len) != 1 ||
		n != (int)len || EVP_CIPHER_CTX_get_params(slot->work, get_tag) != 1) {
		wipe(out, len + SIV_LEN);
		return ossl_error();
	}
	return 0;
}

int siv_open(const struct siv *s, const struct iovec *aad, int aad_count, const void *in,
	size_t len, void *out)
{
	/* OpenSSL only reads the tag here, but has one type for both directions. */
	OSSL_PARAM set_tag[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_CIPHER_PARAM_AEAD_TAG, (void *)(uintptr_t)in, SIV_LEN),
		OSSL_PARAM_construct_end(),
	};
	struct ctx_slot *slot;
	int n, r;

	if (len <= SIV_LEN || !arguments_ok(aad, aad_count, len - SIV_LEN))
		return -EINVAL;
	len -= SIV_LEN;
	r = start(s, false, &slot);
	if (r < 0)
		return r;
	if (EVP_CIPHER_CTX_set_params(slot->work, set_tag) != 1 ||
		!feed_aad(slot->work, aad, aad_count))
		return ossl_error();
	/*
	 * The comparison with the tag is part of decrypting: nothing is left for a final call.
	 * OpenSSL says nothing of a mismatch, and not always that it had no memory: silence means a
	 * mismatch.
	 */
	if (EVP_CipherUpdate(slot->work, out, &n, (const uint8_t *)in + SIV_LEN, (int)len) != 1) {
		wipe(out, len);
		return ossl_error() == -ENOMEM ? -ENOMEM : -EBADMSG;
	}
	if (n != (int)len) {
		wipe(out, len);
		return -EIO;
	}
	return 0;
}
