/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_BLOB_H
#define COFFER_BLOB_BLOB_H

/*
 * One open encrypted file. Thread-safe: reads of a range run beside writes of other ranges.
 * Everything here works without FUSE and without names; offsets and sizes are of the plaintext.
 * Errors: -EBADMSG = damage (not authentic, missing, cut: reported once per record through the
 * damage callback), -EIO and others = the store failed, -EBADF = not opened for writing, -EFBIG =
 * beyond SIZE_MAX_PLAIN; after -ENOSPC, -EDQUOT or -EIO of a write each record is the old or the
 * new one, and the size is the old one.
 * One file must not be open as two blobs at a time if one of them writes.
 */
#include "blob/epoch.h"
#include "blob/layout.h"
#include "crypto/keyring.h"
#include "store/store.h"

/* What all blobs of a repository share. Members are borrowed and must outlive every blob. */
struct blob_env {
	struct store *store;
	const struct keyring *keys;
	struct epochs *epochs;
	/*
	 * Called for damage found: the blob's cookie, record number (UINT64_MAX: the blob as a
	 * whole), and a short reason. May be NULL. Called inside a read, a write or an open, with a
	 * lock on the records in question: must not call back into blobs.
	 */
	void (*damage)(void *cookie, uint64_t record, const char *reason);
	/*
	 * Called when crash rules cut or reset a file (at its opening), and when a file's key is
	 * used up, with a short text. May be NULL. As above.
	 */
	void (*recovered)(void *cookie, const char *what);
};

struct blob;

/*
 * Makes a new, empty blob object on an empty backing file, open for reading and writing (fd
 * ownership passes on success). Writes nothing yet. -ENOMEM.
 */
int blob_create(const struct blob_env *env, int fd, void *cookie, struct blob **ret);
/*
 * Opens an existing one: reads record 0, unwraps the file key, settles the true size (crash rules
 * if its epoch or a later one is broken; then it reads all that these epochs may have written). fd
 * ownership passes on success. writable: fd is open for reading and writing. unsynced: records of
 * this file may have been written and not synced since the machine started: be as careful as if all
 * were dirty.
 * Damage does not fail the opening: it is reported, then every read and write gives -EBADMSG, the
 * size is what the length tells, and blob_truncate to 0 makes a good, empty file of it.
 */
int blob_open(const struct blob_env *env, int fd, bool writable, bool unsynced, void *cookie,
	struct blob **ret);
/* Gives a read-only opened blob a writable descriptor (ownership passes on success). -ESTALE: of
 * another file. blob_fd changes: the caller must see to it that nobody uses the old one. */
int blob_upgrade(struct blob *b, int fd);
bool blob_writable(const struct blob *b);
/* True if nothing of it can be read. */
bool blob_damaged(const struct blob *b);
void blob_set_cookie(struct blob *b, void *cookie);

/* Reads exactly min(len, size - offset) bytes; 0 at or past the end. Never short otherwise:
 * -EBADMSG / -EIO. On failure buf may have been changed, but holds nothing that was not authentic.
 */
ssize_t blob_read(struct blob *b, void *buf, size_t len, uint64_t offset);
/*
 * Writes all of len bytes. Beyond the end a gap may arise (requests of one writer arrive in any
 * order): it reads as zeros, and becomes a hole under the sparse flag if it still is there at the
 * next sync or finish. -EIO also when the file key has sealed as many records as it may (2^32 less
 * some; told through env->recovered): only a copy of the file, or emptying it, helps.
 */
int blob_write(struct blob *b, const void *buf, size_t len, uint64_t offset);
/* Growing leaves a gap as above. To 0: the file key ends too, and damage is forgotten. */
int blob_truncate(struct blob *b, uint64_t size);
/*
 * Deallocates whole records inside and zeroes the edges (FALLOC_FL_PUNCH_HOLE | KEEP_SIZE; also
 * ZERO_RANGE, with keep_size telling whether the file may grow, which keeps or reserves the space
 * where the backing file system can). -EOPNOTSUPP if that cannot make holes.
 */
int blob_punch(struct blob *b, uint64_t offset, uint64_t len);
int blob_zero_range(struct blob *b, uint64_t offset, uint64_t len, bool keep_size);
/* Reserves space (fallocate mode 0, or KEEP_SIZE). */
int blob_allocate(struct blob *b, uint64_t offset, uint64_t len, bool keep_size);
/* SEEK_DATA / SEEK_HOLE. -ENXIO as lseek(2). Only whole records are holes. */
int64_t blob_seek(struct blob *b, uint64_t offset, int whence);
uint64_t blob_size(const struct blob *b);

/* fsync / fdatasync: all that was written before is durable, and gaps are recorded as holes. */
int blob_sync(struct blob *b, bool data_only);
/*
 * Writes record 0 if what it says of size and flags is out of date (last close, checkpoint, before
 * eviction), and forgets cached plaintext. On failure the current epoch is spoiled (epoch.h): the
 * file stays readable by the rules for a crash.
 */
int blob_finish(struct blob *b);
/*
 * Optional, after epochs_commit: forgets bookkeeping that the checkpoint made superfluous, if
 * nothing was changed since epochs_turn. blob_unsynced sees checkpoints without it.
 */
void blob_checkpointed(struct blob *b);
/* True while changes were made that no sync and no checkpoint has made durable. */
bool blob_unsynced(const struct blob *b);
/* True while blob_finish would write. */
bool blob_unfinished(const struct blob *b);
/* Frees the object and closes its descriptor; call blob_finish before. NULL allowed. */
void blob_close(struct blob *b);
DEFINE_CLEANUP(struct blob *, blob_close)
int blob_fd(const struct blob *b); /* borrowed, for fstat, futimens, fchmod, xattrs */

/* The plaintext size as stat alone tells it, for a regular file's st_size. Odd lengths give the
 * floor. */
uint64_t blob_size_from_stat(uint64_t st_size);

#endif
