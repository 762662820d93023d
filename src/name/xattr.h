/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NAME_XATTR_H
#define COFFER_NAME_XATTR_H

/*
 * user.* attributes are encrypted. N stands for the name after "user.", the stored name is
 *   "user.c." + text, text = base64url(SIV(xattr-name key, AAD = "xattr-name", N))   of at most 255
 * bytes, else "user.l." + base64url(SHA-256(text)) and the stored value (after the length of text,
 * 2 bytes LE, and text itself for a "user.l." name) generation 4 LE, salt 16, SIV(xattr-value key,
 * AAD = "xattr", salt, N; a zero byte + value) (the zero byte because SIV cannot take an empty
 * message). A stored name does not tell its generation: names are made under the newest, and looked
 * for under older ones too. POSIX ACLs, security.*, trusted.* pass through as they are.
 */
#include "crypto/keyring.h"
#include "store/store.h"

/* How an attribute name is treated. */
enum xattr_class { XATTR_ENCRYPTED, XATTR_PLAIN, XATTR_REFUSED };
/* user.* encrypted; system.posix_acl_*, security.*, trusted.* plain; others refused (-EOPNOTSUPP).
 */
enum xattr_class xattr_classify(const char *name);

/* What an operation acts on: a descriptor (fd >= 0), or an entry of a directory (fd < 0). */
struct xattr_at {
	struct store *st;
	int fd;
	int dirfd;
	const char *entry;
};

/*
 * As getxattr(2) etc., for plaintext names and values; size 0 asks for the length (which the later
 * reading proves). -ENODATA: none; -ERANGE: the buffer is too small, or the name longer than
 * XATTR_NAME_MAX; -EINVAL: "user." alone; -EOPNOTSUPP: a class that is refused; -EBADMSG: not
 * authentic; -ENOKEY: generation unknown.
 */
ssize_t xattr_get(const struct xattr_at *at, const struct keyring *k, const char *name, void *value,
	size_t size);
/*
 * flags: 0, XATTR_CREATE (-EEXIST) or XATTR_REPLACE (-ENODATA). A stored value is longer by 37
 * bytes (long names: some 300 more), so that a value near the backing file system's limit gets its
 * -ENOSPC or -E2BIG.
 */
int xattr_set(const struct xattr_at *at, const struct keyring *k, const char *name,
	const void *value, size_t size, int flags);
/*
 * Lists plaintext names, each with a zero; entries under "user." that are not ours or not authentic
 * are left out, as are classes that are refused. size 0 asks for the length. -ERANGE.
 */
ssize_t xattr_list(const struct xattr_at *at, const struct keyring *k, char *list, size_t size);
int xattr_remove(const struct xattr_at *at, const struct keyring *k, const char *name);

#endif
