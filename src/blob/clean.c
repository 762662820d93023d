/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * A page that changes while the kernel writes it out can reach the disk torn. So a record that
 * holds acknowledged bytes is made clean before it is rewritten, unless it is clean for certain: a
 * clean page is in nobody's write-back, and cannot be while its lock is ours.
 *
 * Clean for certain is what a sync wrote and nobody rewrote since. `acked` counts the records of
 * the last sync, `dirty` has those of them that were written since it began. While an fsync runs,
 * what it is to acknowledge counts as well (`pending`); it waits for writers that started without
 * knowing of it. A checkpoint makes an fsync of every file: a writer that meets a new epoch takes
 * over all records as acknowledged, and all as dirty until the epoch before is known to be on the
 * disk. What is written is marked after the write: a sync that started meanwhile may have missed
 * it.
 *
 * Record 0 holds the file's key, so it counts as acknowledged from a second after it was first
 * written: before that, the kernel's timers do not start to write it, and a file written in many
 * small pieces need not wait for each.
 */
#include <time.h>

#include "blob/blob_impl.h"

static int64_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec + 1; /* never 0 */
}

void bl_clean_epoch(struct blob *b, uint64_t epoch)
{
	struct clean *c = &b->clean;

	if (epoch <= c->epoch)
		return;
	c->epoch = epoch;
	c->acked = bl_records(b);
	/* Until the commit everything counts as dirty; the syncfs before it cleans what was. */
	dirty_clear(&c->dirty);
	c->unknown = 0;
	c->overflow = false;
}

static bool may_be_written_back(const struct blob *b, uint64_t k, bool all)
{
	const struct clean *c = &b->clean;

	if (k >= bl_records(b))
		return false;
	if (all || c->unknown)
		return true;
	if (k < c->acked)
		return dirty_has(&c->dirty, k) || dirty_has(&c->syncing, k);
	if (k < c->pending)
		return true;
	return k == 0 && c->first_since != 0 && seconds_now() > c->first_since;
}

bool bl_is_durable(struct blob *b, uint64_t k)
{
	const struct clean *c = &b->clean;
	bool r;

	pthread_mutex_lock(&b->lock);
	r = k < c->acked && c->unknown == 0 && !dirty_has(&c->dirty, k) &&
	    !dirty_has(&c->syncing, k) && epochs_durable(b->env->epochs) >= c->epoch;
	pthread_mutex_unlock(&b->lock);
	return r;
}

int bl_clean_range(struct blob *b, uint64_t first, uint64_t last)
{
	unsigned n = (unsigned)(last - first + 1);
	bool wait[STEP_RECORDS], all;

	if (store_traits(b->env->store)->stable_pages)
		return 0;
	pthread_mutex_lock(&b->lock);
	all = epochs_durable(b->env->epochs) < b->clean.epoch;
	for (unsigned i = 0; i < n; i++)
		wait[i] = may_be_written_back(b, first + i, all);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0, run; i < n; i += run + 1) {
		int r;

		for (run = 0; i + run < n && wait[i + run];)
			run++;
		if (run == 0)
			continue;
		r = st_settle_range(b->env->store, b->fd, (off_t)((first + i) * RECORD_SIZE),
			(off_t)run * RECORD_SIZE);
		if (r < 0)
			return r;
	}
	return 0;
}

void bl_clean_written(struct blob *b, uint64_t epoch, uint64_t first, uint64_t last)
{
	struct clean *c = &b->clean;
	uint64_t records = bl_records(b), limit;

	b->changes++;
	if (last >= records)
		last = records - 1;
	/* Counted to an epoch that another thread has already closed for this blob. */
	if (epoch < c->epoch && records > 0 && c->acked <= last)
		c->acked = last + 1;
	limit = c->acked > c->pending ? c->acked : c->pending;
	for (uint64_t k = first; records > 0 && k <= last && k < limit; k++) {
		if (!dirty_add(&c->dirty, k)) {
			c->unknown++;
			c->overflow = true;
			break;
		}
	}
	if (first == 0 && c->acked == 0 && c->first_since == 0)
		c->first_since = seconds_now();
}

void bl_clean_shrunk(struct blob *b, uint64_t before)
{
	uint64_t records = bl_records(b);

	if (b->clean.acked > records)
		b->clean.acked = records;
	if (b->dropped < before)
		b->dropped = before;
	b->shrinks++;
}

struct sync {
	uint64_t changes, records, shrinks;
	unsigned unknown, first_version;
};

static void sync_begins(struct blob *b, struct sync *s)
{
	struct clean *c = &b->clean;

	pthread_mutex_lock(&b->lock);
	*s = (struct sync){.changes = b->changes,
		.records = bl_records(b),
		.shrinks = b->shrinks,
		.unknown = c->unknown,
		.first_version = b->first.version};
	c->pending = s->records;
	c->syncing = c->dirty;
	c->dirty = (struct dirty){.slots = NULL};
	pthread_mutex_unlock(&b->lock);
}

static void sync_ends(struct blob *b, const struct sync *s, bool done)
{
	struct clean *c = &b->clean;

	pthread_mutex_lock(&b->lock);
	dirty_clear(&c->syncing);
	c->pending = 0;
	if (!done) {
		c->unknown++;
	} else {
		if (b->synced < s->changes)
			b->synced = s->changes;
		c->first_since = 0;
		if (b->first.version == s->first_version)
			bl_first_durable(b);
		if (c->unknown == s->unknown) {
			c->unknown = 0;
			c->overflow = false;
		}
		if (b->shrinks == s->shrinks) {
			b->dropped = 0;
			if (c->acked < s->records)
				c->acked = s->records;
		} else {
			/* Which of the records are the ones that were synced is not known. */
			c->acked = bl_records(b);
			c->unknown++;
		}
	}
	pthread_mutex_unlock(&b->lock);
}

int bl_flush(struct blob *b, bool data_only)
{
	struct range all;
	struct sync s;
	int r;

	pthread_mutex_lock(&b->syncing);
	/* Writers in flight did not know that they rewrite what is to be acknowledged. */
	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, false);
	sync_begins(b, &s);
	range_unlock(&b->ranges, &all);
	r = data_only ? st_fdatasync(b->env->store, b->fd) : st_fsync(b->env->store, b->fd);
	sync_ends(b, &s, r == 0);
	pthread_mutex_unlock(&b->syncing);
	return r;
}

int bl_flush_whole(struct blob *b)
{
	struct clean *c = &b->clean;
	int r;

	r = st_fdatasync(b->env->store, b->fd);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	dirty_clear(&c->dirty);
	c->unknown = 0;
	c->overflow = false;
	c->acked = bl_records(b);
	c->first_since = 0;
	b->dropped = 0;
	bl_first_durable(b);
	b->synced = b->changes;
	pthread_mutex_unlock(&b->lock);
	return 0;
}
