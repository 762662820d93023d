/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NAME_NAME_H
#define COFFER_NAME_NAME_H

/*
 * Entry names. On disk: base64url(AES-256-SIV(name key, AAD = directory identity, name)). Where
 * that is longer than 255 characters the entry is ".l" + base64url(SHA-256(that text)), and beside
 * it the side link
 * ".n" + the same digest is a symlink whose target is the long text. Names that begin with "." are
 * coffer's own; an encrypted name never does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "crypto/keyring.h"
#include "store/store.h"

#define NAME_MAX_PLAIN 255
#define NAME_TEXT_MAX 362 /* B64_LEN(255 + SIV_LEN) */
#define NAME_ENTRY_MAX 255
#define DIRID_LEN 16

/* A directory's identity: the symlink ".id" in it, target = base64url(generation 4 LE, id 16). */
struct dirid {
	uint32_t generation;
	uint8_t id[DIRID_LEN];
};

/* An encrypted name, as it stands in the directory. */
struct encname {
	char entry[NAME_ENTRY_MAX + 1];
	bool is_long;
	char side[48];                       /* name of the side link, if is_long */
	char side_target[NAME_TEXT_MAX + 1]; /* its target, if is_long */
};

/*
 * Encrypts a plaintext name of len bytes for a directory. -EINVAL: empty, "." or "..", contains '/'
 * or zero; -ENAMETOOLONG: over 255 bytes; -ENOKEY: unknown generation. Pure: no I/O.
 */
int name_encrypt(const struct keyring *k, const struct dirid *dir, const char *name, size_t len,
	struct encname *ret);

/* True for the names that are ours and no entries: they begin with "." but not with ".l". */
bool name_is_ours(const char *entry);
/* True for ".l..." entries, whose full text stands in the side link (a hostile one may have none).
 */
bool name_is_long(const char *entry);

/*
 * Decrypts the text of a name (an entry, or the side link's target). Writes the name and a zero
 * into out[NAME_MAX_PLAIN + 1] and returns its length. -EBADMSG: not a name of this directory
 * (also: an authentic text of what no name can be); -ENOKEY: generation unknown. text may be
 * anything and need not end with a zero. out is untouched on failure. Pure.
 */
ssize_t name_decrypt(
	const struct keyring *k, const struct dirid *dir, const char *text, size_t len, char *out);

/*
 * Decrypts an entry as readdir shows it, reading the side link where needed (checked against the
 * digest). Results as name_decrypt, -EBADMSG also for one of our own or without its side link;
 * others: the store failed.
 */
ssize_t name_decrypt_entry(struct store *st, const struct keyring *k, int dirfd,
	const struct dirid *dir, const char *entry, char *out);

/*
 * Makes the side link of a long name, before the entry. No-op for a short one. An identical link is
 * fine, a different one under this name can only be damage and is replaced.
 */
int name_make_side(struct store *st, int dirfd, const struct encname *n);
/* Removes it, after the entry went. Best effort: an orphan is harmless. */
void name_drop_side(struct store *st, int dirfd, const struct encname *n);

/* ---- identities ---- */

/*
 * Reads ".id". -ENOENT: there is none; -EBADMSG: not of our form, or -ENOKEY: of a generation that
 * the ring does not have.
 */
int dirid_read(struct store *st, const struct keyring *k, int dirfd, struct dirid *ret);
/* Makes a random identity under the current generation and the symlink. -EEXIST if there is one. */
int dirid_create(struct store *st, const struct keyring *k, int dirfd, struct dirid *ret);
/* True if the directory has no entry but ours (".id", side links). Moves the descriptor's position.
 */
int dir_is_empty(struct store *st, int dirfd); /* 1, 0 or -errno */
/*
 * Removes all of our own objects (".id" last) from a directory that dir_is_empty. -ENOTEMPTY: it is
 * not (some of ours may be gone then). Moves the descriptor's position.
 */
int dir_strip(struct store *st, int dirfd);

#endif
