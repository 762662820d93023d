/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "blob/blob_impl.h"
#include "util/secret.h"

/* ---- the backing file's end ---- */

int bl_set_length(struct blob *b, uint64_t length)
{
	int r = st_ftruncate(b->env->store, b->fd, (off_t)length);

	if (r < 0)
		return r;
	pthread_mutex_lock(&b->grow);
	b->length = length;
	pthread_mutex_unlock(&b->grow);
	return 0;
}

/* Removes what a crash left torn among the missing records, so that they can become holes. */
static int punch_gaps(struct blob *b)
{
	for (size_t i = 0; i < b->gaps.n; i++) {
		const struct gap *g = &b->gaps.v[i];
		uint64_t n = g->end - g->rec - 1;
		int r;

		if (n == 0)
			continue;
		r = st_fallocate(b->env->store, b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)((g->rec + 1) * RECORD_SIZE), (off_t)(n * RECORD_SIZE));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Gives the last record the bytes that the size demands: a crash or a failed write left more. */
static int cut_last(struct blob *b, uint64_t epoch)
{
	uint64_t last = bl_records(b) - 1;
	uint8_t plain[CAP_RECORD];
	uint32_t tail = bl_tail(b);
	int r;

	if (b->last_disk == tail)
		return 0;
	r = bl_load(b, last, plain, NULL);
	if (r < 0)
		return r;
	if (last == 0)
		return bl_store_first(b, epoch, plain, tail, b->size, b->sparse ? INNER_SPARSE : 0);
	return bl_store(b, epoch, last, plain, tail);
}

int bl_cut(struct blob *b, uint64_t epoch)
{
	uint64_t before = b->length / RECORD_SIZE, records = bl_records(b);
	uint64_t length = records == 0 ? 0 : length_for(b->size);
	int r = 0;

	if (b->torn)
		r = punch_gaps(b);
	if (r == 0 && records > 0)
		r = cut_last(b, epoch);
	/* Two steps: in one, old ciphertext could stay in what is now the tail. */
	if (r == 0 && b->length > records * RECORD_SIZE && b->length != length)
		r = bl_set_length(b, records * RECORD_SIZE);
	if (r == 0 && b->length != length)
		r = bl_set_length(b, length);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	if (before > records)
		bl_clean_shrunk(b, before);
	b->must_cut = b->torn = false;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* ---- gaps ---- */

/* The first record inside the file that is short on the disk. lock not needed: WHOLE is held. */
static const struct gap *next_short(const struct blob *b)
{
	for (size_t i = 0; i < b->gaps.n; i++)
		if (b->gaps.v[i].len < record_capacity(b->gaps.v[i].rec))
			return &b->gaps.v[i];
	return NULL;
}

static bool any_missing(const struct blob *b)
{
	for (size_t i = 0; i < b->gaps.n; i++)
		if (b->gaps.v[i].end > b->gaps.v[i].rec + 1)
			return true;
	return false;
}

int bl_close_gaps(struct blob *b, uint64_t epoch)
{
	uint8_t plain[CAP_RECORD];
	const struct gap *g;
	uint32_t flags;
	int r;

	if (any_missing(b)) {
		pthread_mutex_lock(&b->lock);
		b->sparse = true;
		pthread_mutex_unlock(&b->lock);
	}
	flags = b->sparse ? INNER_SPARSE : 0;
	while ((g = next_short(b))) {
		uint64_t k = g->rec;

		r = bl_load(b, k, plain, NULL);
		if (r == 0 && k == 0)
			r = bl_store_first(b, epoch, plain, CAP_RECORD0, b->size, flags);
		else if (r == 0)
			r = bl_store(b, epoch, k, plain, record_capacity(k));
		if (r < 0)
			return r;
	}
	if (b->first.flags != flags || b->first.unsure) {
		r = bl_load(b, 0, plain, NULL);
		if (r == 0)
			r = bl_store_first(
				b, epoch, plain, (uint32_t)bl_disk_len(b, 0), b->size, flags);
		if (r < 0)
			return r;
	}
	pthread_mutex_lock(&b->lock);
	gaps_clear(&b->gaps);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* ---- before a write ---- */

static int new_key(struct blob *b)
{
	struct clear_header h = {.generation = keyring_current(b->env->keys)};
	uint8_t file_key[KEY_LEN];
	int r;

	r = random_bytes(file_key, sizeof(file_key));
	if (r == 0)
		r = keyring_wrap_file_key(b->env->keys, h.generation, file_key, h.wrapped);
	if (r == 0)
		r = aead_new(file_key, &b->key);
	wipe(file_key, sizeof(file_key));
	if (r == 0)
		clear_header_encode(&h, b->clear);
	return r;
}

/* A file that begins behind record 0 gets one that holds nothing yet. */
static int empty_first(struct blob *b, uint64_t epoch)
{
	static const uint8_t nothing[1];
	int r = bl_set_length(b, RECORD_SIZE);

	if (r == 0)
		r = bl_store_first(b, epoch, nothing, 0, 0, 0);
	if (r < 0) {
		pthread_mutex_lock(&b->lock);
		b->must_cut = true;
		pthread_mutex_unlock(&b->lock);
	}
	return r;
}

/* True if a write there may split a gap or make one, and there are many. */
static bool too_many_gaps(const struct blob *b, uint64_t offset)
{
	return b->gaps.n >= GAPS_MAX &&
	       (offset > b->size || gaps_len(&b->gaps, record_of(offset), 0) == GAP_MISSING);
}

/* True if an unsynced truncate dropped records that could come back behind what is appended now. */
static bool has_ghosts(const struct blob *b, uint64_t end)
{
	return end > b->size && b->dropped > bl_records(b);
}

static bool needs_first(const struct blob *b, uint64_t offset)
{
	return !b->first.there && record_of(offset) > 0;
}

bool bl_unprepared(const struct blob *b, uint64_t offset, uint64_t end)
{
	return b->damaged || b->unprobed || b->must_cut || !b->key || needs_first(b, offset) ||
	       b->clean.overflow || too_many_gaps(b, offset) || has_ghosts(b, end);
}

int bl_prepare(struct blob *b, uint64_t offset, uint64_t end)
{
	uint64_t epoch;
	bool flush;
	int r;

	if (b->damaged)
		return -EBADMSG;
	r = bl_probe_again(b);
	if (r < 0)
		return r;
	epoch = bl_enter(b);
	if (b->must_cut)
		r = bl_cut(b, epoch);
	if (r == 0 && !b->key)
		r = new_key(b);
	if (r == 0 && needs_first(b, offset))
		r = empty_first(b, epoch);
	if (r == 0 && too_many_gaps(b, offset))
		r = bl_close_gaps(b, epoch);
	bl_leave(b, epoch);
	if (r < 0)
		return r;
	/* Even with WHOLE: an fsync or a checkpoint may just be ending. */
	pthread_mutex_lock(&b->lock);
	flush = b->clean.overflow || has_ghosts(b, end);
	pthread_mutex_unlock(&b->lock);
	return flush ? bl_flush_whole(b) : 0;
}
