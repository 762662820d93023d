/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_IMPL_H
#define COFFER_BLOB_IMPL_H

/*
 * What the files of blob/ share; nobody else includes this but their unit tests.
 *
 * Locks of one blob, in the order in which they may be taken:
 *   1. syncing    one fsync at a time, and the descriptor's exchange. Held across it.
 *   2. ranges     records: shared to read them, exclusive to write them. All records (WHOLE): for
 *                 everything that changes the key, the descriptor, the backing length downwards,
 *                 or what is a hole. Held across I/O.
 *   3. grow       the backing length upwards. Held across ftruncate.
 *   4. lock       all state below it. Short, never held across I/O.
 * and after them the lock inside struct epochs. A bracket of epochs_enter and epochs_leave is
 * opened with the range locks held and closed before they are released: epochs_turn waits for
 * brackets, and its caller holds no lock of a blob.
 *
 * What always holds for record k of the file while somebody has it locked and nobody writes it: its
 * bytes on the disk are bl_disk_len(k): full, as `gaps` says, or for the last record `last_disk`
 * (but not while `unprobed` is set).
 * last_disk is what the size demands of it, or more when a crash or a failed write left more; then
 * must_cut is set. The backing length is length_for(size), or larger while requests that extend the
 * file are in flight, or must_cut is set.
 */
#include "blob/blob.h"
#include "blob/dirty.h"
#include "blob/gaps.h"
#include "blob/header.h"
#include "blob/range.h"
#include "blob/record.h"
#include "blob/scratch.h"

#define WHOLE_FIRST 0
#define WHOLE_LAST UINT64_MAX
/* A request that would make more gaps first turns those that are there into holes. */
#define GAPS_MAX 64
/* Plaintexts of records that were written in part: record 0 and the ends of what arrived lately. */
#define CACHE_SLOTS 4
#define REPORTED_MAX 64
/* Records that one file key may seal (NIST SP 800-38D, 8.3: random nonces), less what record 0
 * still needs. */
#define WRITES_MAX ((UINT64_C(1) << 32) - (UINT64_C(1) << 20))
/* Record 0 counts this many writes ahead; an object that never rewrites record 0 may leave as many
 * uncounted. */
#define WRITES_AHEAD 4096u
/* What an unclean end may have left uncounted. */
#define WRITES_LOST (UINT64_C(1) << 20)

/* Record 0 as it was last written. */
struct first_record {
	bool there;
	bool unsure; /* a later write of it failed: it is this one or another */
	uint64_t size, epoch, writes;
	uint32_t flags;
	/*
	 * Of all versions that a crash may bring back, those since the last sync and the one
	 * before: the largest size and the oldest epoch.
	 */
	uint64_t largest, oldest;
	unsigned version; /* counts them */
};

struct cached {
	uint8_t *data; /* NULL: free. CAP_RECORD bytes, zeros behind len */
	uint64_t k;
	uint32_t len;
};

/* What may be in write-back, see clean.c. */
struct clean {
	uint64_t acked;       /* records below this hold acknowledged bytes */
	uint64_t pending;     /* likewise of the fsync that is running; 0: none is */
	uint64_t epoch;       /* the latest that a change by this object counts to */
	struct dirty dirty;   /* those below acked or pending written since the last sync began */
	struct dirty syncing; /* those that the running fsync is to clean */
	unsigned unknown;    /* not 0: any record may be dirty; changes whenever it gets so again */
	bool overflow;       /* so because the set is full: sync before writing on */
	int64_t first_since; /* when record 0 of an unsynced file was first written, 0: not */
};

struct blob {
	const struct blob_env *env;
	struct range_lock ranges;
	/* Changed under WHOLE, read under any range. */
	int fd;
	bool writable;
	bool damaged;     /* nothing can be read */
	struct aead *key; /* NULL: none yet */
	uint8_t clear[CLEAR_HEADER_LEN];

	pthread_mutex_t syncing;

	pthread_mutex_t grow;
	uint64_t length; /* of the backing file */

	pthread_mutex_t lock;
	void *cookie;
	uint64_t size;
	uint32_t last_disk; /* bytes of the last record on the disk */
	bool sparse;        /* changed under WHOLE */
	bool must_cut;      /* the backing file does not end where the blob does */
	bool torn;     /* changed under WHOLE: of the missing records, some are on the disk, not
			  authentic */
	bool unprobed; /* of these records it is not known which version a failed write left */
	uint64_t unprobed_first, unprobed_last;
	uint64_t dropped; /* records below this may come back until a sync */
	uint64_t shrinks; /* how often that was raised */
	unsigned writers; /* requests that may add gaps */
	struct gaps gaps;
	struct first_record first;
	struct clean clean;
	struct cached cache[CACHE_SLOTS]; /* slot 0: record 0 */
	unsigned cache_next;
	uint64_t changes;      /* requests that changed something */
	uint64_t synced;       /* of them, those a sync made durable */
	uint64_t writes;       /* records sealed under this key */
	uint64_t writes_limit; /* WRITES_MAX, less in tests */
	bool limit_told;
	uint64_t reported[REPORTED_MAX]; /* damage, once per record */
	unsigned reported_count;
};

/* ---- blob.c ---- */
/* Records of the file on the disk, missing ones inside it counted. lock held. */
uint64_t bl_records(const struct blob *b);
/* Bytes that the last record must have. lock held; there is a record. */
uint32_t bl_tail(const struct blob *b);
/* Bytes of record k on the disk, or GAP_MISSING. lock held; k is below bl_records. */
int32_t bl_disk_len(const struct blob *b, uint64_t k);
/* True if record k may be all zero: a hole. lock held. */
bool bl_may_be_hole(const struct blob *b, uint64_t k);
/* Reports damage, once. No lock of level 4 held. Returns -EBADMSG. */
int bl_damage(struct blob *b, uint64_t k, const char *reason);
void bl_recovered(struct blob *b, const char *what);
/* A bracket, and what a new epoch changes. Needs a range; lock not held. */
uint64_t bl_enter(struct blob *b);
void bl_leave(struct blob *b, uint64_t epoch);

/* ---- cache.c: lock held ---- */
const struct cached *bl_cache_find(const struct blob *b, uint64_t k);
/* Record k now holds this; forgets silently if there is no memory. */
void bl_cache_put(struct blob *b, uint64_t k, const uint8_t *data, uint32_t len);
void bl_cache_drop(struct blob *b, uint64_t first, uint64_t last);

/* ---- clean.c ---- */
/* lock held: the object's first write in an epoch is about to happen. */
void bl_clean_epoch(struct blob *b, uint64_t epoch);
/*
 * Waits until none of the records is in write-back that holds acknowledged bytes and may be. Locked
 * exclusively, at most STEP_RECORDS. Before they are written.
 */
int bl_clean_range(struct blob *b, uint64_t first, uint64_t last);
/* True if record k is on the disk as it is now. */
bool bl_is_durable(struct blob *b, uint64_t k);
/* lock held, size and first are up to date: records were written, or their writing failed. Counts a
 * change. */
void bl_clean_written(struct blob *b, uint64_t epoch, uint64_t first, uint64_t last);
/* lock held: the file has fewer records now; those up to before may come back until a sync. */
void bl_clean_shrunk(struct blob *b, uint64_t before);
/* fsync or fdatasync with this bookkeeping. The caller has no lock. */
int bl_flush(struct blob *b, bool data_only);
/* The caller has WHOLE: everything is durable, and clean. */
int bl_flush_whole(struct blob *b);

/* ---- single.c: one record at a time; it is locked (exclusively to write) ---- */
/*
 * Opens a record that was read: it must hold len bytes, which go to data, or be a hole (*ret_len
 * 0). Damage is reported.
 */
int bl_unseal(struct blob *b, uint64_t k, const uint8_t *rec, int32_t len, bool may_be_hole,
	uint8_t *data, uint32_t *ret_len);
/* plain gets the record's capacity of bytes, zeros behind what it holds. ret_hole may be NULL. */
int bl_load(struct blob *b, uint64_t k, uint8_t *plain, bool *ret_hole);
/* Writes record k >= 1 with len bytes and keeps last_disk, gaps and the cache true. In a bracket.
 */
int bl_store(struct blob *b, uint64_t epoch, uint64_t k, const uint8_t *plain, uint32_t len);
/* Likewise record 0, with what its inner header is to claim. */
int bl_store_first(struct blob *b, uint64_t epoch, const uint8_t *plain, uint32_t len,
	uint64_t size, uint32_t flags);
/* lock held: record 0 was written with this header, or that failed. */
void bl_first_written(struct blob *b, const struct inner_header *h, bool done);
/* lock held: no version of record 0 but the present one can come back. */
void bl_first_durable(struct blob *b);
/* The number that record 0 is to show. lock held. */
uint64_t bl_writes_shown(const struct blob *b);
/* Takes n from what the key may still seal. lock not held. -EIO at the limit. */
int bl_use_key(struct blob *b, uint64_t n);
/*
 * What is on the disk now, of records whose writing failed: keeps last_disk and gaps true. Locked
 * exclusively, with room for a gap. If reading fails too, the blob is `unprobed`.
 */
void bl_probe(struct blob *b, uint64_t first, uint64_t last);
/* WHOLE: tries that again, if it failed. Before anything that relies on bl_disk_len. */
int bl_probe_again(struct blob *b);

/* ---- prepare.c: with WHOLE ---- */
/* True if a write to [offset, end) needs bl_prepare. lock held, some range too. */
bool bl_unprepared(const struct blob *b, uint64_t offset, uint64_t end);
int bl_prepare(struct blob *b, uint64_t offset, uint64_t end);
/* Sets the length of the backing file, and nothing else. */
int bl_set_length(struct blob *b, uint64_t length);
/* Makes the backing file end where the blob does. In a bracket. */
int bl_cut(struct blob *b, uint64_t epoch);
/* Gaps become holes. In a bracket. */
int bl_close_gaps(struct blob *b, uint64_t epoch);

/* ---- truncate.c: with WHOLE ---- */
/* Any size but 0, larger or smaller. Not in a bracket. */
int bl_set_size(struct blob *b, uint64_t size);

/* ---- write.c ---- */
/* [offset, offset + len) touches at most STEP_RECORDS, is prepared, and its records are locked
 * exclusively. */
int bl_write_step(struct blob *b, const uint8_t *buf, size_t len, uint64_t offset);

/* ---- settle.c ---- */
/*
 * Finds the true size by the rules for a crash, from record `from` on, which must be there with at
 * least `least` bytes: else the blob is damaged. Nobody else knows the blob yet. Sets size,
 * last_disk, gaps, must_cut.
 */
int bl_settle(struct blob *b, uint64_t from, uint32_t least);

#endif
