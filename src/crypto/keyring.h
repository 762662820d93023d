/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CRYPTO_KEYRING_H
#define COFFER_CRYPTO_KEYRING_H

/*
 * All keys derived from the DEKs of a repository, by HKDF-SHA256 with one label per purpose (the
 * list stands in keyring.c and coffer-format(5)). Immutable after it was filled; shared by all
 * threads. A repository may have several generations of its DEK; new things are made under the
 * newest, old ones name theirs.
 */
#include "crypto/crypto.h"

struct keyring;

/* An empty ring. */
int keyring_new(struct keyring **ret);
/* Wipes everything; NULL allowed. */
void keyring_free(struct keyring *k);
DEFINE_CLEANUP(struct keyring *, keyring_free)

/*
 * Derives and adds the keys of one generation (>= 1, larger than those already there). dek is
 * copied, the caller wipes its own. The newest one is the current generation.
 */
int keyring_add(struct keyring *k, uint32_t generation, const uint8_t dek[KEY_LEN]);

/* The current generation; 0 while the ring is empty. */
uint32_t keyring_current(const struct keyring *k);

/* Keys of one generation; NULL (or -ENOKEY) if the ring does not have it. */
const struct siv *keyring_names(const struct keyring *k, uint32_t generation); /* entry names */
const struct siv *keyring_targets(
	const struct keyring *k, uint32_t generation); /* symlink targets */
const struct siv *keyring_xattr_names(const struct keyring *k, uint32_t generation);
const struct siv *keyring_xattr_values(const struct keyring *k, uint32_t generation);

/* Wraps / unwraps a blob's file key (AES key wrap, RFC 3394). -ENOKEY: generation unknown;
 * -EBADMSG: not wrapped by us. file_key is secret memory of the caller. */
int keyring_wrap_file_key(const struct keyring *k, uint32_t generation,
	const uint8_t file_key[KEY_LEN], uint8_t out[KEY_LEN + KEYWRAP_EXTRA]);
int keyring_unwrap_file_key(const struct keyring *k, uint32_t generation,
	const uint8_t in[KEY_LEN + KEYWRAP_EXTRA], uint8_t file_key[KEY_LEN]);

/* HMAC-SHA256 under a generation's key for state/ files. -ENOKEY: generation unknown. */
int keyring_mac_state(const struct keyring *k, uint32_t generation, const void *in, size_t len,
	uint8_t out[HASH_LEN]);

#endif
