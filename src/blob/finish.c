/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>

#include "blob/blob_impl.h"

/* ---- record 0 ---- */

/* True if record 0 on the disk says something else than it should. lock held. */
static bool is_stale(const struct blob *b)
{
	const struct first_record *f = &b->first;
	const struct epochs *ep = b->env->epochs;

	if (!f->there || b->changes == 0 || b->damaged)
		return false;
	return f->unsure || f->size != b->size || b->writes > f->writes ||
	       f->flags != (b->sparse ? INNER_SPARSE : 0) ||
	       (epochs_broken(ep, f->epoch) && f->epoch != epochs_current(ep));
}

/* lock held. */
static bool needs_whole(const struct blob *b)
{
	return b->changes > 0 && !b->damaged && (b->gaps.n > 0 || b->must_cut || b->unprobed);
}

static int tidy(struct blob *b)
{
	struct range all;
	uint64_t epoch;
	int r;

	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, true);
	epoch = bl_enter(b);
	r = bl_probe_again(b);
	if (r == 0 && b->must_cut)
		r = bl_cut(b, epoch);
	if (r == 0 && b->gaps.n > 0)
		r = bl_close_gaps(b, epoch);
	bl_leave(b, epoch);
	range_unlock(&b->ranges, &all);
	return r;
}

static int write_first(struct blob *b)
{
	uint8_t plain[CAP_RECORD0];
	struct range range;
	uint64_t epoch, size;
	uint32_t flags, len = 0;
	bool stale;
	int r = 0;

	range_lock(&b->ranges, &range, 0, 0, true);
	epoch = bl_enter(b);
	pthread_mutex_lock(&b->lock);
	stale = is_stale(b);
	/* A writer may just have made another gap: what lies behind it is not claimed. */
	size = b->gaps.n > 0 ? gaps_prefix(&b->gaps) : b->size;
	flags = b->sparse ? INNER_SPARSE : 0;
	if (stale)
		len = (uint32_t)bl_disk_len(b, 0);
	pthread_mutex_unlock(&b->lock);
	if (stale) {
		r = bl_load(b, 0, plain, NULL);
		if (r == 0)
			r = bl_store_first(b, epoch, plain, len, size, flags);
	}
	bl_leave(b, epoch);
	range_unlock(&b->ranges, &range);
	return r;
}

int blob_finish(struct blob *b)
{
	bool whole, unfinished = blob_unfinished(b);
	int r = 0;

	pthread_mutex_lock(&b->lock);
	whole = needs_whole(b);
	pthread_mutex_unlock(&b->lock);
	if (unfinished && b->writable) {
		if (whole)
			r = tidy(b);
		if (r == 0)
			r = write_first(b);
		if (r < 0)
			epochs_spoil(b->env->epochs);
	}
	pthread_mutex_lock(&b->lock);
	bl_cache_drop(b, 0, UINT64_MAX);
	pthread_mutex_unlock(&b->lock);
	return r;
}

bool blob_unfinished(const struct blob *b)
{
	pthread_mutex_t *lock = &((struct blob *)b)->lock;
	bool r;

	pthread_mutex_lock(lock);
	r = is_stale(b) || needs_whole(b);
	pthread_mutex_unlock(lock);
	return r;
}

/* ---- durability ---- */

int blob_sync(struct blob *b, bool data_only)
{
	bool whole;
	int r = 0;

	pthread_mutex_lock(&b->lock);
	whole = needs_whole(b);
	pthread_mutex_unlock(&b->lock);
	if (whole)
		r = tidy(b);
	return r < 0 ? r : bl_flush(b, data_only);
}

/* True if a checkpoint made everything durable that this object changed. lock held. */
static bool is_checkpointed(const struct blob *b)
{
	return b->clean.epoch < epochs_durable(b->env->epochs);
}

void blob_checkpointed(struct blob *b)
{
	struct clean *c = &b->clean;

	pthread_mutex_lock(&b->lock);
	if (is_checkpointed(b)) {
		dirty_clear(&c->dirty);
		c->unknown = 0;
		c->overflow = false;
		c->first_since = 0;
		c->acked = bl_records(b);
		b->dropped = 0;
		bl_first_durable(b);
		b->synced = b->changes;
	}
	pthread_mutex_unlock(&b->lock);
}

bool blob_unsynced(const struct blob *b)
{
	pthread_mutex_t *lock = &((struct blob *)b)->lock;
	bool r;

	pthread_mutex_lock(lock);
	r = b->synced != b->changes && !is_checkpointed(b);
	pthread_mutex_unlock(lock);
	return r;
}
