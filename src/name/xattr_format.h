/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NAME_XATTR_FORMAT_H
#define COFFER_NAME_XATTR_FORMAT_H

/*
 * The stored form of a user attribute: pure functions, see xattr.h for the format. Names here are
 * without "user." where they are plaintext, and whole where they are stored.
 */
#include "crypto/keyring.h"
#include "util/b64.h"

#define XATTR_PLAIN_MAX 250 /* XATTR_NAME_MAX without "user." */
/* Length of the text of the longest name. */
#define XATTR_TEXT_MAX B64_LEN(XATTR_PLAIN_MAX + SIV_LEN)
/* What a value grows by: generation 4, salt 16, SIV 16, prefix 1. */
#define XATTR_VALUE_OVERHEAD (4 + 16 + SIV_LEN + 1)

/* A stored name, and what stands before the value because the name itself did not fit. */
struct xattr_name {
	char name[256];
	size_t head_len;                      /* 0 for names that fit */
	uint8_t head[2 + XATTR_TEXT_MAX + 1]; /* length of the text (2, LE), text */
};

/* -EINVAL: empty; -ERANGE: longer than XATTR_PLAIN_MAX; -ENOKEY. */
int xattr_name_seal(
	const struct keyring *k, uint32_t generation, const char *plain, struct xattr_name *ret);
/* True for a stored name whose text stands before the value. */
bool xattr_name_is_long(const char *stored);
/*
 * The plaintext of a stored name, under whichever generation it is authentic, in
 * out[XATTR_PLAIN_MAX + 1]. value: the stored value of a long name. -EBADMSG: none of ours.
 */
int xattr_name_open(const struct keyring *k, const char *stored, const uint8_t *value,
	size_t value_len, char *out);

/* Seals a value under the current generation. out: stored->head_len + XATTR_VALUE_OVERHEAD + len
 * bytes. */
int xattr_value_seal(const struct keyring *k, const struct xattr_name *stored,
	const char *plain_name, const void *value, size_t len, uint8_t *out);
/*
 * Opens a stored value of any content. Returns the length; -ERANGE if size is less; -EBADMSG,
 * -ENOKEY.
 */
ssize_t xattr_value_open(const struct keyring *k, const struct xattr_name *stored,
	const char *plain_name, const uint8_t *in, size_t in_len, void *value, size_t size);

#endif
