/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "blob/blob_impl.h"
#include "util/bytes.h"
#include "util/secret.h"

/* ---- small questions ---- */

uint64_t bl_records(const struct blob *b)
{
	return b->first.there ? records_for(b->size) : 0;
}

uint32_t bl_tail(const struct blob *b)
{
	return (uint32_t)(b->size - record_start(records_for(b->size) - 1));
}

int32_t bl_disk_len(const struct blob *b, uint64_t k)
{
	if (k == bl_records(b) - 1)
		return (int32_t)b->last_disk;
	return gaps_len(&b->gaps, k, (int32_t)record_capacity(k));
}

bool bl_may_be_hole(const struct blob *b, uint64_t k)
{
	return b->sparse && k != 0 && k != bl_records(b) - 1;
}

int bl_damage(struct blob *b, uint64_t k, const char *reason)
{
	bool fresh = true;
	void *cookie;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < b->reported_count && fresh; i++)
		fresh = b->reported[i] != k;
	/* A file with that many bad records is told of often enough. */
	if (b->reported_count == REPORTED_MAX)
		fresh = false;
	if (fresh)
		b->reported[b->reported_count++] = k;
	cookie = b->cookie;
	pthread_mutex_unlock(&b->lock);
	if (fresh && b->env->damage)
		b->env->damage(cookie, k, reason);
	return -EBADMSG;
}

void bl_recovered(struct blob *b, const char *what)
{
	void *cookie;

	pthread_mutex_lock(&b->lock);
	cookie = b->cookie;
	pthread_mutex_unlock(&b->lock);
	if (b->env->recovered)
		b->env->recovered(cookie, what);
}

uint64_t bl_enter(struct blob *b)
{
	uint64_t epoch = epochs_enter(b->env->epochs);

	pthread_mutex_lock(&b->lock);
	bl_clean_epoch(b, epoch);
	pthread_mutex_unlock(&b->lock);
	return epoch;
}

void bl_leave(struct blob *b, uint64_t epoch)
{
	epochs_leave(b->env->epochs, epoch);
}

/* ---- life ---- */

static struct blob *blob_new(const struct blob_env *env, bool writable, void *cookie)
{
	struct blob *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->env = env;
	b->fd = -1;
	b->writable = writable;
	b->cookie = cookie;
	b->writes_limit = WRITES_MAX;
	b->clean.epoch = epochs_current(env->epochs);
	range_init(&b->ranges);
	pthread_mutex_init(&b->syncing, NULL);
	pthread_mutex_init(&b->grow, NULL);
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

void blob_close(struct blob *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	aead_free(b->key);
	gaps_free(&b->gaps);
	dirty_clear(&b->clean.dirty);
	dirty_clear(&b->clean.syncing);
	bl_cache_drop(b, 0, UINT64_MAX);
	range_destroy(&b->ranges);
	pthread_mutex_destroy(&b->syncing);
	pthread_mutex_destroy(&b->grow);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int blob_create(const struct blob_env *env, int fd, void *cookie, struct blob **ret)
{
	struct blob *b = blob_new(env, true, cookie);

	if (!b)
		return -ENOMEM;
	b->fd = fd;
	*ret = b;
	return 0;
}

/* ---- opening ---- */

static const char *key_trouble(int r)
{
	if (r == -ENOKEY)
		return "the header names a generation of the data key that this repository does "
		       "not have";
	return r == -EPROTONOSUPPORT ? "the header is of a newer version of the format"
				     : "the header is damaged";
}

/* The file key from the clear header of record 0. -EBADMSG was reported. */
static int open_key(struct blob *b, const uint8_t *rec)
{
	struct clear_header h = {.generation = 0};
	uint8_t file_key[KEY_LEN];
	int r;

	r = clear_header_decode(rec, &h);
	/* Re-encryption in place is not known to this version. */
	if (r == 0 && h.second_generation != 0)
		r = -EPROTONOSUPPORT;
	if (r == 0)
		r = keyring_unwrap_file_key(b->env->keys, h.generation, h.wrapped, file_key);
	if (r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENOKEY)
		return bl_damage(b, 0, key_trouble(r));
	if (r < 0)
		return r;
	r = aead_new(file_key, &b->key);
	wipe(file_key, sizeof(file_key));
	memcpy(b->clear, rec, CLEAR_HEADER_LEN);
	return r;
}

/* Reads record 0. *ret_len: bytes of the file in it. -EBADMSG was reported. */
static int open_first(struct blob *b, const uint8_t *rec, uint32_t *ret_len)
{
	uint8_t plain[CAP_RECORD0];
	struct inner_header inner;
	uint32_t len = record_length(0, rec);
	int r;

	r = open_key(b, rec);
	if (r < 0)
		return r;
	r = record_open(b->key, 0, rec, len, plain, &inner);
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		return bl_damage(b, 0,
			r == -EBADMSG ? "not authentic"
				      : "it has flags of a newer version of the format");
	if (r < 0)
		return r;
	b->first = (struct first_record){.there = true,
		.size = inner.size,
		.epoch = inner.epoch,
		.writes = inner.writes + WRITES_AHEAD,
		.flags = inner.flags,
		.largest = inner.size,
		.oldest = inner.epoch};
	b->sparse = inner.flags & INNER_SPARSE;
	b->writes = inner.writes;
	*ret_len = len;
	return 0;
}

/*
 * True if the length has room for a file of this size. One that tells of no bytes in the last
 * record is the first step of shrinking: the record itself tells.
 */
static bool has_room(uint64_t length, uint64_t size)
{
	uint64_t needed = length_for(size);

	return length >= needed || length == needed / RECORD_SIZE * RECORD_SIZE;
}

/* What the size is. -EBADMSG was reported. */
static int open_size(struct blob *b, uint32_t first_len)
{
	const struct epochs *ep = b->env->epochs;
	uint64_t said = b->first.size, told;

	if (epochs_broken(ep, b->first.epoch)) {
		b->writes += WRITES_LOST;
		return bl_settle(b, 0, first_len);
	}
	if (epochs_broken_after(ep, b->first.epoch)) {
		b->writes += WRITES_LOST;
		if (!has_room(b->length, said))
			return bl_damage(
				b, UINT64_MAX, "cut: it is shorter than its last complete size");
		return bl_settle(b, records_for(said) - 1,
			(uint32_t)(said - record_start(records_for(said) - 1)));
	}
	if (!size_from_length(b->length, &told) || told != said)
		return bl_damage(b, UINT64_MAX,
			b->length < length_for(said) ? "cut: it is shorter than its size"
						     : "extended: it is longer than its size");
	b->size = said;
	b->last_disk = bl_tail(b);
	return 0;
}

static int open_content(struct blob *b, const struct stat *sb)
{
	uint8_t *buf = scratch_get();
	uint32_t first_len = 0;
	ssize_t n;
	int r;

	if (b->length == 0)
		return 0;
	if (!buf)
		return -ENOMEM;
	n = st_pread(b->env->store, b->fd, buf, RECORD_SIZE, 0);
	if (n < 0)
		return (int)n;
	if (n < (ssize_t)RECORD_SIZE)
		return bl_damage(b, UINT64_MAX, "cut: it is shorter than one record");
	if (bytes_are_zero(buf, RECORD_SIZE)) {
		if (!epochs_suspect(b->env->epochs, &sb->st_ctim))
			return bl_damage(b, 0, "missing");
		/* Its first write did not reach the disk. The next one starts anew. */
		b->must_cut = true;
		bl_recovered(
			b, "nothing of it had reached the disk at an unclean end: it is empty");
		return 0;
	}
	r = open_first(b, buf, &first_len);
	return r < 0 ? r : open_size(b, first_len);
}

int blob_open(const struct blob_env *env, int fd, bool writable, bool unsynced, void *cookie,
	struct blob **ret)
{
	_cleanup_(blob_closep) struct blob *b = blob_new(env, writable, cookie);
	struct stat sb;
	int r;

	if (!b)
		return -ENOMEM;
	r = st_fstat(env->store, fd, &sb);
	if (r < 0)
		return r;
	if (!S_ISREG(sb.st_mode) || sb.st_size < 0)
		return -EINVAL;
	b->fd = fd;
	b->length = (uint64_t)sb.st_size;
	r = open_content(b, &sb);
	if (r == -EBADMSG) {
		b->damaged = true;
		b->size = size_floor_from_length(b->length);
	} else if (r < 0) {
		b->fd = -1;
		return r;
	}
	b->clean.acked = bl_records(b);
	b->clean.unknown = unsynced;
	/* The disk may still have an earlier record 0, and records that were dropped. */
	if (unsynced) {
		b->dropped = UINT64_MAX;
		b->first.largest = UINT64_MAX;
		b->first.oldest = 0;
	}
	*ret = TAKE_PTR(b);
	return 0;
}

int blob_upgrade(struct blob *b, int fd)
{
	struct stat old, new;
	struct range all;
	int r, given = b->fd;

	r = st_fstat(b->env->store, given, &old);
	if (r == 0)
		r = st_fstat(b->env->store, fd, &new);
	if (r < 0)
		return r;
	if (old.st_dev != new.st_dev || old.st_ino != new.st_ino)
		return -ESTALE;
	/* Nobody uses the old descriptor: not an fsync, not a request. */
	pthread_mutex_lock(&b->syncing);
	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, true);
	given = b->fd;
	b->fd = fd;
	b->writable = true;
	range_unlock(&b->ranges, &all);
	pthread_mutex_unlock(&b->syncing);
	close(given);
	return 0;
}

/* ---- accessors ---- */

bool blob_writable(const struct blob *b)
{
	return b->writable;
}

bool blob_damaged(const struct blob *b)
{
	return b->damaged;
}

int blob_fd(const struct blob *b)
{
	return b->fd;
}

void blob_set_cookie(struct blob *b, void *cookie)
{
	pthread_mutex_lock(&b->lock);
	b->cookie = cookie;
	pthread_mutex_unlock(&b->lock);
}

uint64_t blob_size(const struct blob *b)
{
	pthread_mutex_t *lock = &((struct blob *)b)->lock;
	uint64_t size;

	pthread_mutex_lock(lock);
	size = b->size;
	pthread_mutex_unlock(lock);
	return size;
}

uint64_t blob_size_from_stat(uint64_t st_size)
{
	return size_floor_from_length(st_size);
}
