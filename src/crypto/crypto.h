/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CRYPTO_CRYPTO_H
#define COFFER_CRYPTO_CRYPTO_H

/*
 * The one seam to OpenSSL: no other folder includes its headers, and no type of it appears here.
 * Few lengths are accepted. All functions return 0 or -errno and check every OpenSSL result:
 *   -EBADMSG  the input is not authentic (wrong key, or changed): an ordinary answer, never a crash
 *   -EINVAL   an argument out of bounds
 *   -ENOMEM   out of memory
 *   -EIO      OpenSSL refused for another reason (never ignored, never asserted)
 * On failure output buffers hold no plaintext. Keys are copied where a handle outlives the call;
 * the caller wipes its own. All functions are thread-safe.
 *
 * What is out of reach: OpenSSL's contexts hold expanded keys in ordinary memory while they are in
 * use (wiped when freed or overwritten). A daemon turns core dumps off, and keeps swap encrypted or
 * locks all its memory where that matters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/cleanup.h"

#define KEY_LEN 32   /* every symmetric key but SIV's */
#define HASH_LEN 32  /* SHA-256 */
#define NONCE_LEN 12 /* AES-GCM, NIST SP 800-38D */
#define TAG_LEN 16
#define SIV_KEY_LEN 64 /* AES-256-SIV, RFC 5297: two 256-bit keys */
#define SIV_LEN 16     /* the synthetic IV, put before the ciphertext */
#define KEYWRAP_EXTRA 8
#define ED25519_LEN 32 /* private seed and public key */
#define ED25519_SIG_LEN 64

/*
 * Fills buf from getrandom(2); waits while the kernel is not seeded yet. A resumed VM snapshot must
 * not repeat nonces: no user-space pool.
 */
int random_bytes(void *buf, size_t len);

/* True if equal; takes the same time whatever differs. */
bool bytes_equal_ct(const void *a, const void *b, size_t len);

int sha256(const void *in, size_t len, uint8_t out[HASH_LEN]);
int hmac_sha256(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[HASH_LEN]);

/*
 * HKDF-SHA256 (RFC 5869) with an empty salt; label is the info string, one per purpose.
 * out_len: 1 to 255 * HASH_LEN.
 */
int hkdf_sha256(
	const uint8_t *key, size_t key_len, const char *label, uint8_t *out, size_t out_len);

/*
 * scrypt (RFC 7914) to a 32-byte key. n must be a power of two; 128*n*r is bounded to 1 GiB,
 * 128*r*p to 32 MiB and 128*n*r*p to 4 GiB (-EINVAL above), so that a hostile coffer.ini can
 * neither take the host's memory nor keep it busy for more than seconds.
 */
int scrypt_derive(const void *password, size_t password_len, const uint8_t *salt, size_t salt_len,
	uint64_t n, uint32_t r, uint32_t p, uint8_t out[KEY_LEN]);

/* AES-256 key wrap (RFC 3394). in_len: multiple of 8, 16 to 128. out has in_len + 8 bytes. */
int keywrap(const uint8_t kek[KEY_LEN], const uint8_t *in, size_t in_len, uint8_t *out);
/* in_len includes the 8 extra bytes; out has in_len - 8. -EBADMSG: wrong key or changed. */
int keyunwrap(const uint8_t kek[KEY_LEN], const uint8_t *in, size_t in_len, uint8_t *out);

/*
 * AES-256-GCM with a key that is used many times. A handle is immutable and may be used by all
 * threads at once; ready cipher contexts are kept per thread inside (bounded, freed at thread exit;
 * what they leave behind: ctxcache.h). aead_free must not run while another thread uses the handle.
 */
struct aead;
int aead_new(const uint8_t key[KEY_LEN], struct aead **ret);
void aead_free(struct aead *a); /* wipes the key; NULL allowed */
DEFINE_CLEANUP(struct aead *, aead_free)

/* in and out may be the same buffer, else they must not overlap. len may be 0. */
int aead_seal(const struct aead *a, const uint8_t nonce[NONCE_LEN], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, uint8_t tag[TAG_LEN]);
/* On -EBADMSG out is zeroed (len bytes). */
int aead_open(const struct aead *a, const uint8_t nonce[NONCE_LEN], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, const uint8_t tag[TAG_LEN]);

/*
 * AES-256-SIV (RFC 5297): deterministic authenticated encryption, for names, targets and xattrs.
 * Same threading rules as struct aead. aad: 0 to 4 strings, each authenticated as its own component
 * (S2V), so that no two lists collide. OpenSSL's SIV cannot take an empty message, and older ones
 * leave out an empty component (CVE-2023-2975): both are -EINVAL.
 */
struct siv;
int siv_new(const uint8_t key[SIV_KEY_LEN], struct siv **ret);
void siv_free(struct siv *s);
DEFINE_CLEANUP(struct siv *, siv_free)
/* out has len + SIV_LEN bytes (SIV first), and does not overlap in. */
int siv_seal(const struct siv *s, const struct iovec *aad, int aad_count, const void *in,
	size_t len, void *out);
/* len includes the SIV (-EINVAL if it is no longer than that); out has len - SIV_LEN bytes, zeroed
 * on -EBADMSG. */
int siv_open(const struct siv *s, const struct iovec *aad, int aad_count, const void *in,
	size_t len, void *out);

/* Ed25519 (RFC 8032). seed is secret. Verifying: -EBADMSG if the signature or the public key is
 * wrong. */
int ed25519_public(const uint8_t seed[ED25519_LEN], uint8_t pub[ED25519_LEN]);
int ed25519_sign(
	const uint8_t seed[ED25519_LEN], const void *msg, size_t len, uint8_t sig[ED25519_SIG_LEN]);
int ed25519_verify(const uint8_t pub[ED25519_LEN], const void *msg, size_t len,
	const uint8_t sig[ED25519_SIG_LEN]);

#endif
