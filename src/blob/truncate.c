/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/blob_impl.h"

/*
 * Order on the disk when a file shrinks:
 *   1. record 0 with the smaller size, durable: else a complete epoch could claim what is gone.
 * Only if every version of record 0 that may be on the disk is of the epoch of this bracket, the
 * sync is left out: that epoch becomes complete only together with the changes that follow.
 *   2. the record that is to be the last one, if it is missing, a hole, or too short; of a sparse
 * file durable, since that ends after its last authentic record
 *   3. the length, to whole records: from here on the file is shorter. Until then nothing was lost,
 * so a daemon that is killed leaves the old file.
 *   4. the last record with fewer bytes, and the length with them (bl_cut). If that fails, it is
 * done before the next write, sync or finish; until then the size is known here, and after a crash
 * the file has up to a record more. All locks: WHOLE.
 */
static int lower_claim(struct blob *b, uint64_t epoch, uint64_t size)
{
	uint8_t plain[CAP_RECORD0];
	bool durable;
	int r = 0;

	pthread_mutex_lock(&b->lock);
	durable = b->first.largest > size && b->first.oldest != epoch;
	pthread_mutex_unlock(&b->lock);

	if (b->first.size > size || b->first.unsure) {
		r = bl_load(b, 0, plain, NULL);
		if (r == 0)
			r = bl_store_first(b, epoch, plain, (uint32_t)bl_disk_len(b, 0), size,
				b->sparse ? INNER_SPARSE : 0);
	}
	return r == 0 && durable ? bl_flush_whole(b) : r;
}

/* Record k, which is to be the last with len bytes, is there and has them. */
static int anchor(struct blob *b, uint64_t epoch, uint64_t k, uint32_t len, uint64_t size)
{
	int32_t had = bl_disk_len(b, k);
	uint8_t plain[CAP_RECORD];
	bool hole = false;
	int r;

	r = bl_load(b, k, plain, &hole);
	if (r < 0)
		return r;
	if (hole)
		r = bl_store(b, epoch, k, plain, record_capacity(k));
	else if (had < (int32_t)len && k == 0)
		r = bl_store_first(b, epoch, plain, len, size, b->sparse ? INNER_SPARSE : 0);
	else if (had < (int32_t)len)
		r = bl_store(b, epoch, k, plain, len);
	return r == 0 && b->sparse && !bl_is_durable(b, k) ? bl_flush_whole(b) : r;
}

static int shrink(struct blob *b, uint64_t epoch, uint64_t size)
{
	uint64_t last = records_for(size) - 1, before = b->length / RECORD_SIZE;
	int r;

	r = lower_claim(b, epoch, size);
	if (r == 0)
		r = anchor(b, epoch, last, (uint32_t)(size - record_start(last)), size);
	if (r == 0)
		r = bl_set_length(b, (last + 1) * RECORD_SIZE);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	b->last_disk = (uint32_t)bl_disk_len(b, last);
	gaps_cut(&b->gaps, last);
	b->size = size;
	b->must_cut = true;
	b->changes++;
	bl_cache_drop(b, last + 1, UINT64_MAX);
	bl_clean_shrunk(b, before);
	pthread_mutex_unlock(&b->lock);
	(void)bl_cut(b, epoch);
	return 0;
}

/*
 * An empty file needs no record, and its key ends. No fsync before it is written again, unlike
 * after other truncates: file systems write nothing to blocks that a truncate freed before that is
 * durable, so a crash leaves either the old file, or a beginning of the new one, behind which
 * records of the old one, if they came back, would not be authentic.
 */
static int empty(struct blob *b)
{
	int r;

	if (b->length == 0 && !b->damaged)
		return 0;
	r = st_ftruncate(b->env->store, b->fd, 0);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	aead_free(b->key);
	b->key = NULL;
	b->length = 0;
	b->damaged = false;
	b->size = 0;
	b->last_disk = 0;
	b->sparse = false;
	b->must_cut = b->torn = b->unprobed = false;
	b->first = (struct first_record){.there = false};
	b->writes = 0;
	gaps_clear(&b->gaps);
	bl_cache_drop(b, 0, UINT64_MAX);
	bl_clean_shrunk(b, 0);
	b->dropped = 0;
	b->changes++;
	b->reported_count = 0;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* As if a zero were written at the new end: what lies before it is a gap. */
static int extend(struct blob *b, uint64_t size)
{
	static const uint8_t zero[1];
	int r;

	r = bl_prepare(b, size - 1, size);
	return r < 0 ? r : bl_write_step(b, zero, 1, size - 1);
}

int bl_set_size(struct blob *b, uint64_t size)
{
	uint64_t epoch;
	int r;

	if (b->damaged)
		return -EBADMSG;
	r = bl_probe_again(b);
	if (r < 0 || size == b->size)
		return r;
	if (size > b->size) {
		r = extend(b, size);
	} else {
		epoch = bl_enter(b);
		if (b->must_cut)
			r = bl_cut(b, epoch);
		if (r == 0)
			r = shrink(b, epoch, size);
		bl_leave(b, epoch);
	}
	/* What a failed write left behind the end; if it does not go now, the next write tries
	 * again. */
	if (r < 0 && b->must_cut) {
		epoch = bl_enter(b);
		(void)bl_cut(b, epoch);
		bl_leave(b, epoch);
	}
	return r;
}

int blob_truncate(struct blob *b, uint64_t size)
{
	struct range all;
	uint64_t epoch;
	int r;

	if (!b->writable)
		return -EBADF;
	if (size > SIZE_MAX_PLAIN)
		return -EFBIG;
	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, true);
	if (size == 0) {
		epoch = bl_enter(b);
		r = empty(b);
		bl_leave(b, epoch);
	} else {
		r = bl_set_size(b, size);
	}
	range_unlock(&b->ranges, &all);
	return r;
}
