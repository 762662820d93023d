/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NAME_XATTR_H
#define COFFER_NAME_XATTR_H

/*
 * user.* attributes are encrypted: name -> "user.c." + base64url(SIV(xattr-name key, AAD = "xattr-name", name after
 * "user.")), value -> generation 4 LE, salt 16, SIV(xattr-value key, AAD = "xattr", salt, name; 1-byte prefix + value)
 * (SIV needs a non-empty message). Names whose text would pass 255 bytes are "user.l." + base64url(SHA-256(text)) and carry the
 * full text at the head of the value. POSIX ACLs, security.*, trusted.* pass through as they are.
 */
#include "crypto/keyring.h"
#include "store/store.h"

/* How an attribute name is treated. */
enum xattr_class { XATTR_ENCRYPTED, XATTR_PLAIN, XATTR_REFUSED };
/* user.* encrypted; system.posix_acl_*, security.*, trusted.* plain; others refused (-EOPNOTSUPP). */
enum xattr_class xattr_classify(const char *name);

/* What an operation acts on: a descriptor (fd >= 0), or an entry of a directory (fd < 0). */
struct xattr_at {
	struct store *st;
	int fd;
	int dirfd;
	const char *entry;
};

/* As getxattr(2) etc., for plaintext names and values; size 0 asks for the length. -errno.
 * -ENODATA none; -EIO (as -EBADMSG) not authentic. */
ssize_t xattr_get(const struct xattr_at *at, const struct keyring *k, const char *name, void *value, size_t size);
int xattr_set(const struct xattr_at *at, const struct keyring *k, const char *name, const void *value, size_t size,
	int flags);
/* Lists plaintext names; entries under "user." that are not ours or not authentic are left out. */
ssize_t xattr_list(const struct xattr_at *at, const struct keyring *k, char *list, size_t size);
int xattr_remove(const struct xattr_at *at, const struct keyring *k, const char *name);

#endif
