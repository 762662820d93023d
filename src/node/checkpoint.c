/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "node/node.h"
#include "util/log.h"

static long long now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void fs_mark_changed(struct fs *fs)
{
	if (!atomic_load_explicit(&fs->changed, memory_order_relaxed))
		atomic_store(&fs->changed, true);
}

void fs_mark_written(struct fs *fs, struct node *n)
{
	fs_mark_changed(fs);
	if (n->file->wrote)
		return;
	pthread_mutex_lock(&fs->dirty_lock);
	if (fs->dirty_count == fs->dirty_room) {
		size_t room = fs->dirty_room ? fs->dirty_room * 2 : 64;
		struct node **more = realloc(fs->dirty, room * sizeof(*more));
		if (!more) {
			/* Not on the list: its record 0 is written at the last close or eviction
			 * instead. */
			pthread_mutex_unlock(&fs->dirty_lock);
			return;
		}
		fs->dirty = more;
		fs->dirty_room = room;
	}
	n->file->wrote = true;
	if (n->dirty_at == 0 && fs->dirty_count < UINT32_MAX) {
		node_ref(n);
		fs->dirty[fs->dirty_count++] = n;
		n->dirty_at = (uint32_t)fs->dirty_count;
	}
	pthread_mutex_unlock(&fs->dirty_lock);
}

void fs_unmark_written(struct fs *fs, struct node *n)
{
	pthread_mutex_lock(&fs->dirty_lock);
	bool there = n->dirty_at != 0;
	if (there) {
		struct node *last = fs->dirty[--fs->dirty_count];
		fs->dirty[n->dirty_at - 1] = last;
		last->dirty_at = n->dirty_at;
		n->dirty_at = 0;
	}
	pthread_mutex_unlock(&fs->dirty_lock);
	if (there)
		node_put(fs, n); /* never the last reference: the caller has one */
}

/*
 * ctime moves with every change of a blob and nobody can set it. One second of margin for coarse
 * clocks; a clock that went back, or another host's, tells nothing.
 */
bool fs_maybe_unsynced(struct fs *fs, const struct timespec *ctime)
{
	long long before = atomic_load(&fs->synced_before);
	long long changed = ctime->tv_sec * 1000000000LL + ctime->tv_nsec;
	return store_traits(fs->store)->network || changed + 1000000000LL >= before ||
	       now_ns() < before;
}

/* Finishes the files on the list; the first error is returned, the rest are still tried. */
static int finish_all(struct fs *fs, struct node **list, size_t count)
{
	int first = 0;
	for (size_t i = 0; i < count; i++) {
		struct node *n = list[i];
		pthread_mutex_lock(&n->lock);
		int r = 0;
		if (n->file) {
			n->file->wrote = false;
			r = file_finish(fs, n);
			if (r < 0 && n->file->error == 0)
				n->file->error = r;
		}
		pthread_mutex_unlock(&n->lock);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

static void release_all(struct fs *fs, struct node **list, size_t count, bool durable)
{
	for (size_t i = 0; i < count; i++) {
		struct node *n = list[i];
		pthread_mutex_lock(&n->lock);
		if (n->file && n->file->blob) {
			if (durable)
				blob_checkpointed(n->file->blob);
			if (!durable || blob_unfinished(n->file->blob))
				fs_mark_written(fs, n);
		}
		pthread_mutex_unlock(&n->lock);
		node_put(fs, n);
	}
	free(list);
}

int fs_checkpoint(struct fs *fs)
{
	if (store_read_only(fs->store))
		return 0;
	pthread_mutex_lock(&fs->checkpoint_lock);
	atomic_store(&fs->changed, false);
	pthread_mutex_lock(&fs->dirty_lock);
	struct node **list = fs->dirty;
	size_t count = fs->dirty_count;
	for (size_t i = 0; i < count; i++)
		list[i]->dirty_at = 0;
	fs->dirty = NULL;
	fs->dirty_count = fs->dirty_room = 0;
	pthread_mutex_unlock(&fs->dirty_lock);

	/* A file whose record 0 could not be written spoils the epoch (epoch.h), but holds up
	 * nobody else. */
	int failed = finish_all(fs, list, count);
	int r = epochs_turn(fs->epochs);
	long long began = now_ns();
	uint64_t seq = atomic_load(&fs->sync_seq) + 1;
	if (r == 0)
		r = st_syncfs(fs->store);
	if (r == 0) {
		atomic_store(&fs->synced_before, began);
		atomic_store(&fs->sync_seq, seq);
		r = epochs_commit(fs->epochs);
	}
	release_all(fs, list, count, r == 0);
	if (r == 0)
		r = failed;
	if (r < 0)
		fs_mark_changed(fs);
	pthread_mutex_unlock(&fs->checkpoint_lock);
	return r;
}

static void *timer_main(void *arg)
{
	struct fs *fs = arg;
	pthread_mutex_lock(&fs->timer_lock);
	while (!fs->stopping) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += fs->checkpoint_seconds;
		int r = 0;
		while (!fs->stopping && r != ETIMEDOUT)
			r = pthread_cond_timedwait(&fs->timer_cond, &fs->timer_lock, &until);
		if (fs->stopping)
			break;
		pthread_mutex_unlock(&fs->timer_lock);
		if (atomic_load(&fs->changed)) {
			r = fs_checkpoint(fs);
			if (r < 0)
				log_warning("checkpoint failed: %s; it will be tried again",
					strerror(-r));
		}
		pthread_mutex_lock(&fs->timer_lock);
	}
	pthread_mutex_unlock(&fs->timer_lock);
	return NULL;
}

int fs_start(struct fs *fs)
{
	if (store_read_only(fs->store))
		return 0;
	int r = -pthread_create(&fs->timer, NULL, timer_main, fs);
	fs->timer_runs = r == 0;
	return r;
}

void fs_stop_timer(struct fs *fs)
{
	if (!fs->timer_runs)
		return;
	pthread_mutex_lock(&fs->timer_lock);
	fs->stopping = true;
	pthread_cond_signal(&fs->timer_cond);
	pthread_mutex_unlock(&fs->timer_lock);
	pthread_join(fs->timer, NULL);
	fs->timer_runs = false;
}
