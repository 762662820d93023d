/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_BLOB_H
#define COFFER_BLOB_BLOB_H

/*
 * One open encrypted file. Thread-safe: reads of a range run beside writes of other ranges.
 * Everything here works without FUSE and without names; offsets and sizes are of the plaintext.
 * Errors: -EBADMSG = damage (not authentic, missing, cut: reported once per record through the damage callback),
 * -EIO and others = the store failed; after -ENOSPC, -EDQUOT or -EIO of a write the old record is intact.
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
	 * Called for damage found: the blob's cookie, record number (UINT64_MAX: the blob as a whole), and a short
	 * reason. May be NULL. Called without locks held... but inside a read or write: must not call back into blobs.
	 */
	void (*damage)(void *cookie, uint64_t record, const char *reason);
	/* Called when crash rules cut or reset a file (recovery), once per blob, with a short text. May be NULL. */
	void (*recovered)(void *cookie, const char *what);
};

struct blob;

/* Makes a new, empty blob object on an empty backing file (fd ownership passes on success). Writes nothing yet. */
int blob_create(const struct blob_env *env, int fd, void *cookie, struct blob **ret);
/*
 * Opens an existing one: reads record 0, unwraps the file key, settles the true size (crash rules if its epoch is
 * broken). fd ownership passes on success. writable: fd is open for reading and writing. unsynced: an earlier object
 * for this file in this session was closed with blob_unsynced(): be as careful as if all records were dirty.
 * -EBADMSG: damaged so that nothing of it can be read (reported).
 */
int blob_open(const struct blob_env *env, int fd, bool writable, bool unsynced, void *cookie, struct blob **ret);
/* Gives a read-only opened blob a writable descriptor (ownership passes on success). */
int blob_upgrade(struct blob *b, int fd);
bool blob_writable(const struct blob *b);
void blob_set_cookie(struct blob *b, void *cookie);

/* Reads exactly min(len, size - offset) bytes; 0 at or past the end. Never short otherwise: -EBADMSG / -EIO. */
ssize_t blob_read(struct blob *b, void *buf, size_t len, uint64_t offset);
/*
 * Writes all of len bytes. Beyond the end a gap may arise (requests of one writer arrive in any order): it reads as
 * zeros, and becomes a hole under the sparse flag if it still is there at the next sync, finish or checkpoint.
 */
int blob_write(struct blob *b, const void *buf, size_t len, uint64_t offset);
int blob_truncate(struct blob *b, uint64_t size);
/* Deallocates whole records inside and zeroes the edges (FALLOC_FL_PUNCH_HOLE | KEEP_SIZE; also ZERO_RANGE,
 * with keep_size telling whether the file may grow). */
int blob_punch(struct blob *b, uint64_t offset, uint64_t len);
int blob_zero_range(struct blob *b, uint64_t offset, uint64_t len, bool keep_size);
/* Reserves space (fallocate mode 0, or KEEP_SIZE). */
int blob_allocate(struct blob *b, uint64_t offset, uint64_t len, bool keep_size);
/* SEEK_DATA / SEEK_HOLE. -ENXIO as lseek(2). */
int64_t blob_seek(struct blob *b, uint64_t offset, int whence);
uint64_t blob_size(const struct blob *b);

/* fsync / fdatasync: all that was written before is durable, and gaps are recorded as holes. */
int blob_sync(struct blob *b, bool data_only);
/* Writes record 0 if what it says of size and flags is out of date (last close, checkpoint, before eviction). */
int blob_finish(struct blob *b);
/* The checkpoint's syncfs made durable everything written before `epochs_turn`: called after it for each open
 * blob that had nothing written since blob_finish... conservative: forgets nothing if unsure. */
void blob_checkpointed(struct blob *b);
/* True while bytes were written that no sync has made durable. */
bool blob_unsynced(const struct blob *b);
/* True while blob_finish would write. */
bool blob_unfinished(const struct blob *b);
/* Frees the object and closes its descriptor; call blob_finish before. NULL allowed. */
void blob_close(struct blob *b);
DEFINE_CLEANUP(struct blob *, blob_close)
int blob_fd(const struct blob *b); /* borrowed, for fstat, futimens, fchmod, xattrs */

/* The plaintext size as stat alone tells it, for a regular file's st_size. Odd lengths give the floor. */
uint64_t blob_size_from_stat(uint64_t st_size);

#endif
