/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NAME_TARGET_H
#define COFFER_NAME_TARGET_H

/*
 * Symlink targets. On disk: base64url(generation 4 LE, salt 16, SIV(targets key, AAD = "symlink",
 * salt, target)). A target whose text would exceed TARGET_TEXT_MAX (xfs ends at 1023) is "@" + id
 * (22 characters, base64url of 16 bytes) + length (6 hex digits): 29 characters, a length that no
 * base64url text can have (29 mod 4 = 1), so that st_size alone tells the two apart. Its text is
 * then stored by the caller under that id (data/.targets/ID).
 */
#include "crypto/keyring.h"

#define TARGET_MAX 4095 /* PATH_MAX - 1 */
#define TARGET_TEXT_MAX 1000
#define TARGET_ID_LEN 22
#define TARGET_REF_LEN 29
/* Bytes of the sealed form of a target of n bytes: generation, salt, SIV, ciphertext. */
#define TARGET_SEALED_LEN(n) (4 + 16 + 16 + (size_t)(n))

struct target_ref {
	char id[TARGET_ID_LEN + 1];
	uint32_t length; /* of the plaintext target */
};

/* True if a target of len bytes goes inline (714 at most). */
bool target_is_inline(size_t len);
/*
 * Encrypts a target to text in out[TARGET_TEXT_MAX + 1] (inline ones only). -EINVAL: empty, too
 * long, or with a zero in it; -ENOKEY: the ring is empty.
 */
int target_encrypt(const struct keyring *k, const char *target, size_t len, char *out);
/*
 * Decrypts inline text of any content. out[TARGET_MAX + 1], terminated. Returns the length, or
 * -EBADMSG, -ENOKEY (generation unknown); out's content is undefined then.
 */
ssize_t target_decrypt(const struct keyring *k, const char *text, size_t len, char *out);
/*
 * The binary form, for targets kept in a file of their own: out has TARGET_SEALED_LEN(len) bytes.
 * AAD = "symlink", salt, the ref's id text: two such files cannot be exchanged. -EINVAL: as above,
 * or len is not the ref's.
 */
int target_seal(const struct keyring *k, const struct target_ref *ref, const char *target,
	size_t len, uint8_t *out);
/* Opens it, whatever it holds: as target_decrypt; -EBADMSG also if its length is not the ref's. */
ssize_t target_open(const struct keyring *k, const struct target_ref *ref, const uint8_t *in,
	size_t len, char *out);
/* A fresh random reference, and its text out[TARGET_REF_LEN + 1]. -EINVAL: such a target goes
 * inline, or is too long. */
int target_ref_new(size_t target_len, struct target_ref *ret, char *out);
/* Parses "@..." (any text). -EBADMSG if it is none that target_ref_new makes. */
int target_ref_parse(const char *text, size_t len, struct target_ref *ret);
/*
 * The plaintext length from the on-disk st_size alone: >= 1, or -EAGAIN if it is a reference (read
 * it), or -EBADMSG if no target of ours has that size.
 */
ssize_t target_plain_size(uint64_t st_size);

#endif
