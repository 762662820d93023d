/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "blob/blob_impl.h"

/* ---- zeros ---- */

/*
 * Holes are legal from now on: the flag is durable before the first of them is made. Gaps become
 * holes as well, so that each record is either full or a hole.
 */
static int allow_holes(struct blob *b)
{
	uint64_t epoch = bl_enter(b);
	uint8_t plain[CAP_RECORD0];
	bool durable = false;
	int r = 0;

	if (b->must_cut)
		r = bl_cut(b, epoch);
	if (r == 0 && b->gaps.n > 0)
		r = bl_close_gaps(b, epoch);
	if (r == 0 && !(b->first.flags & INNER_SPARSE)) {
		r = bl_load(b, 0, plain, NULL);
		if (r == 0)
			r = bl_store_first(b, epoch, plain, (uint32_t)bl_disk_len(b, 0), b->size,
				INNER_SPARSE);
		durable = true;
	}
	if (r == 0) {
		pthread_mutex_lock(&b->lock);
		b->sparse = true;
		pthread_mutex_unlock(&b->lock);
	}
	bl_leave(b, epoch);
	return r == 0 && durable ? bl_flush_whole(b) : r;
}

/* Writes zeros over the part of [offset, end) that lies in record k. */
static int zero_in(struct blob *b, uint64_t k, uint64_t offset, uint64_t end)
{
	uint64_t start = record_start(k), stop = record_start(k + 1);
	uint64_t from = start > offset ? start : offset, to = stop < end ? stop : end;
	uint8_t zeros[CAP_RECORD];
	int r;

	memset(zeros, 0, sizeof(zeros));
	r = bl_prepare(b, from, to);
	return r < 0 ? r : bl_write_step(b, zeros, to - from, from);
}

/* How the backing file system can make records zero, tried in this order. */
static int zero_records(struct blob *b, uint64_t first, uint64_t count, bool keep_space)
{
	off_t off = (off_t)(first * RECORD_SIZE), len = (off_t)(count * RECORD_SIZE);
	int r = -EOPNOTSUPP;

	if (keep_space)
		r = st_fallocate(
			b->env->store, b->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
	if (r == -EOPNOTSUPP)
		r = st_fallocate(
			b->env->store, b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return r;
}

/* Records first to first + count - 1, neither record 0 nor the last one, become holes. */
static int make_holes(struct blob *b, uint64_t first, uint64_t count, bool keep_space)
{
	uint64_t epoch;
	int r;

	r = allow_holes(b);
	/* A sparse file ends after its last authentic record: there must be one behind the holes.
	 */
	if (r == 0 && !bl_is_durable(b, bl_records(b) - 1))
		r = bl_flush_whole(b);
	if (r < 0)
		return r;
	epoch = bl_enter(b);
	r = zero_records(b, first, count, keep_space);
	pthread_mutex_lock(&b->lock);
	bl_cache_drop(b, first, first + count - 1);
	b->changes++;
	pthread_mutex_unlock(&b->lock);
	bl_leave(b, epoch);
	return r;
}

/* [offset, end), which lies inside the file, reads as zeros. WHOLE. */
static int zero(struct blob *b, uint64_t offset, uint64_t end, bool keep_space)
{
	uint64_t first = record_of(offset), last = record_of(end - 1), holes, beyond;
	int r = 0;

	/* Whole records between the edges; record 0 and the last one always exist. */
	holes = record_start(first) < offset || first == 0 ? first + 1 : first;
	beyond = end < record_start(last + 1) || last == bl_records(b) - 1 ? last : last + 1;
	if (holes < beyond)
		r = make_holes(b, holes, beyond - holes, keep_space);
	if (r == 0 && first < holes)
		r = zero_in(b, first, offset, end);
	if (r == 0 && last >= beyond && last >= holes)
		r = zero_in(b, last, offset, end);
	return r;
}

static int start(struct blob *b, struct range *all, uint64_t offset, uint64_t len)
{
	int r;

	if (!b->writable)
		return -EBADF;
	if (len == 0)
		return -EINVAL;
	if (len > SIZE_MAX_PLAIN || offset > SIZE_MAX_PLAIN - len)
		return -EFBIG;
	range_lock(&b->ranges, all, WHOLE_FIRST, WHOLE_LAST, true);
	r = b->damaged ? -EBADMSG : bl_probe_again(b);
	if (r < 0)
		range_unlock(&b->ranges, all);
	return r;
}

int blob_punch(struct blob *b, uint64_t offset, uint64_t len)
{
	struct range all;
	int r = start(b, &all, offset, len);

	if (r < 0)
		return r;
	if (offset < b->size)
		r = zero(b, offset, offset + len < b->size ? offset + len : b->size, false);
	range_unlock(&b->ranges, &all);
	return r;
}

/* Space for the records of [offset, end), which may lie behind the end. */
static int reserve(struct blob *b, uint64_t offset, uint64_t end)
{
	uint64_t first = record_of(offset), records = record_of(end - 1) - first + 1;

	return st_fallocate(b->env->store, b->fd, FALLOC_FL_KEEP_SIZE, (off_t)(first * RECORD_SIZE),
		(off_t)(records * RECORD_SIZE));
}

int blob_zero_range(struct blob *b, uint64_t offset, uint64_t len, bool keep_size)
{
	uint64_t end = offset + len;
	struct range all;
	int r = start(b, &all, offset, len);

	if (r < 0)
		return r;
	if (offset < b->size)
		r = zero(b, offset, end < b->size ? end : b->size, true);
	if (r == 0 && end > b->size) {
		r = reserve(b, offset > b->size ? offset : b->size, end);
		if (r == 0 && !keep_size)
			r = bl_set_size(b, end);
	}
	range_unlock(&b->ranges, &all);
	return r;
}

int blob_allocate(struct blob *b, uint64_t offset, uint64_t len, bool keep_size)
{
	struct range all;
	int r = start(b, &all, offset, len);

	if (r < 0)
		return r;
	r = reserve(b, offset, offset + len);
	if (r == 0 && !keep_size && offset + len > b->size)
		r = bl_set_size(b, offset + len);
	range_unlock(&b->ranges, &all);
	return r;
}

/* ---- finding them ---- */

/* The first record at or after k that is, or is not, in a hole of the backing file; `records` if
 * none. */
static int64_t next_record(struct blob *b, uint64_t k, uint64_t records, int whence)
{
	off_t pos = st_lseek(b->env->store, b->fd, (off_t)(k * RECORD_SIZE), whence);

	if (pos == -ENXIO)
		return (int64_t)records;
	if (pos < 0)
		return pos;
	/* A record that is data in part is data. */
	k = ((uint64_t)pos + (whence == SEEK_HOLE ? RECORD_SIZE - 1 : 0)) / RECORD_SIZE;
	return (int64_t)(k < records ? k : records);
}

static int64_t seek(struct blob *b, uint64_t offset, int whence)
{
	uint64_t size = b->size, k = record_of(offset), records = bl_records(b);
	int64_t found;

	if (offset >= size)
		return -ENXIO;
	if (!b->sparse && b->gaps.n == 0)
		return whence == SEEK_DATA ? (int64_t)offset : (int64_t)size;
	found = next_record(b, k, records, whence);
	if (found < 0)
		return found;
	if ((uint64_t)found == k)
		return (int64_t)offset;
	if ((uint64_t)found == records)
		return whence == SEEK_DATA ? -ENXIO : (int64_t)size;
	return (int64_t)record_start((uint64_t)found);
}

int64_t blob_seek(struct blob *b, uint64_t offset, int whence)
{
	struct range all;
	int64_t r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, false);
	r = b->damaged ? -EBADMSG : seek(b, offset, whence);
	range_unlock(&b->ranges, &all);
	return r;
}
