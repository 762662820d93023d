/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "node/node.h"
#include "util/log.h"

static void dispose(struct fdslot *s)
{
	free((char *)s - offsetof(struct filestate, slot));
}

/* The first of them is kept until an fsync reports it. */
static void remember(struct node *n, int r)
{
	if (r < 0 && n->file->error == 0)
		n->file->error = r;
}

int file_take_error(struct node *n)
{
	int r = n->file ? n->file->error : 0;
	if (r < 0)
		n->file->error = 0;
	return r;
}

static void close_blob(struct node *n)
{
	blob_close(n->file->blob);
	n->file->blob = NULL;
}

static bool file_evict(void *owner)
{
	struct node *n = owner;
	if (pthread_mutex_trylock(&n->lock) != 0)
		return false;
	struct filestate *f = n->file;
	struct fs *fs = n->fs;
	bool done = f->blob && !fdslot_pinned(fs->fds, &f->slot);
	if (done) {
		/* What record 0 says must be true on disk before nobody remembers it. */
		int r = file_finish(fs, n);
		remember(n, r);
		done = r == 0;
	}
	if (done) {
		/* A write-back error shows on descriptors that were open when it happened: ask now.
		 */
		if (f->opens > 0 && blob_unsynced(f->blob))
			remember(n, blob_sync(f->blob, true));
		close_blob(n);
		fdcache_evicted(fs->fds, &f->slot);
		if (f->opens == 0 && f->error == 0) {
			n->file = NULL;
			f->slot.dispose = dispose;
		}
	}
	pthread_mutex_unlock(&n->lock);
	return done;
}

static int file_state(struct node *n)
{
	if (n->file)
		return 0;
	n->file = calloc(1, sizeof(*n->file));
	if (!n->file)
		return -ENOMEM;
	n->file->slot.evict = file_evict;
	n->file->slot.owner = n;
	return 0;
}

int file_adopt(struct fs *fs, struct node *n, struct blob *b)
{
	int r = file_state(n);
	if (r < 0)
		return r;
	n->file->blob = b;
	n->settled = true;
	fdcache_add(fs->fds, &n->file->slot);
	return 0;
}

/* Opens the backing file of n by its place, checked to be the same inode. */
static int open_fd(struct fs *fs, struct node *n, bool writable, struct stat *st)
{
	struct place p;
	int r = place_get(fs, n, &p);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = st_open_blob(fs->store, p.fd, p.entry, writable);
	place_put(fs, &p);
	if (fd < 0)
		return fd;
	r = st_fstat(fs->store, fd, st);
	if (r < 0)
		return r;
	return st->st_ino == n->ino ? TAKE_FD(fd) : -ESTALE;
}

int file_blob(struct fs *fs, struct node *n, bool writable, struct blob **ret)
{
	struct stat st;
	if (n->dead && !(n->file && n->file->blob))
		return -ESTALE;
	if (n->file && n->file->blob) {
		if (writable && !blob_writable(n->file->blob)) {
			if (n->dead)
				return -ESTALE;
			int fd = open_fd(fs, n, true, &st);
			int r = fd < 0 ? fd : blob_upgrade(n->file->blob, fd);
			if (r < 0) {
				if (fd >= 0)
					close(fd);
				return r;
			}
		}
		fdcache_pin(fs->fds, &n->file->slot);
		*ret = n->file->blob;
		return 0;
	}
	_cleanup_close_ int fd = open_fd(fs, n, writable, &st);
	if (fd < 0)
		return fd;
	_cleanup_(blob_closep) struct blob *b = NULL;
	int r = blob_open(&fs->blobs, fd, writable, fs_maybe_unsynced(fs, &st.st_ctim), n, &b);
	if (r < 0)
		return r;
	TAKE_FD(fd);
	r = file_adopt(fs, n, b);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(b);
	return 0;
}

void file_unpin(struct fs *fs, struct node *n)
{
	fdcache_unpin(fs->fds, &n->file->slot);
}

int file_reset(struct fs *fs, struct node *n)
{
	struct blob *b;
	if (n->file && n->file->blob) {
		int r = file_blob(fs, n, true, &b);
		if (r < 0)
			return r;
		r = file_changes(fs, n, false);
		if (r == 0)
			r = blob_truncate(b, 0);
		file_unpin(fs, n);
		return r;
	}
	struct stat st;
	_cleanup_close_ int fd = open_fd(fs, n, true, &st);
	if (fd < 0)
		return fd;
	int r = st_ftruncate(fs->store, fd, 0);
	if (r < 0)
		return r;
	_cleanup_(blob_closep) struct blob *fresh = NULL;
	r = blob_create(&fs->blobs, fd, n, &fresh);
	if (r < 0)
		return r;
	TAKE_FD(fd);
	r = file_adopt(fs, n, fresh);
	if (r < 0)
		return r;
	TAKE_PTR(fresh);
	file_unpin(fs, n);
	n->file->mtime = st.st_mtim;
	n->file->mtime_known = n->file->mtime_stale = true;
	fs_mark_written(fs, n);
	return 0;
}

int file_changes(struct fs *fs, struct node *n, bool direct)
{
	struct filestate *f = n->file;
	fs_mark_written(fs, n);
	if (direct) {
		f->mtime_known = f->mtime_stale = false;
		return 0;
	}
	if (!f->mtime_known) {
		struct stat st;
		int r = st_fstat(fs->store, blob_fd(f->blob), &st);
		if (r < 0)
			return r;
		f->mtime = st.st_mtim;
		f->mtime_known = true;
	}
	f->mtime_stale = true;
	return 0;
}

void file_mtime_set(struct fs *fs, struct node *n, const struct timespec *mtime)
{
	struct filestate *f = n->file;
	if (!f || !f->blob || mtime->tv_nsec == UTIME_OMIT)
		return;
	f->mtime_stale = false;
	f->mtime = *mtime;
	f->mtime_known = mtime->tv_nsec != UTIME_NOW;
	(void)fs;
}

int file_restore_mtime(struct fs *fs, struct node *n)
{
	struct filestate *f = n->file;
	if (!f || !f->blob || !f->mtime_stale)
		return 0;
	struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, f->mtime};
	int r = st_futimens(fs->store, blob_fd(f->blob), ts);
	if (r == 0)
		f->mtime_stale = false;
	return r;
}

int file_finish(struct fs *fs, struct node *n)
{
	struct filestate *f = n->file;
	if (!f || !f->blob)
		return 0;
	int r = 0;
	if (blob_unfinished(f->blob)) {
		/* Record 0 is our business: the file's mtime is the user's. */
		r = file_changes(fs, n, false);
	}
	/* Also where nothing is to be written: it lets go of what was kept for writing on. */
	if (r == 0)
		r = blob_finish(f->blob);
	int restored = file_restore_mtime(fs, n);
	return r < 0 ? r : restored;
}

void file_drop(struct fs *fs, struct node *n)
{
	if (!n->file || n->file->opens > 0)
		return;
	/* Even without a blob: the eviction that closed it may still be about to look at the slot.
	 */
	fdcache_remove(fs->fds, &n->file->slot);
	if (n->file->blob)
		close_blob(n);
	free(n->file);
	n->file = NULL;
}

void file_free(struct fs *fs, struct node *n)
{
	if (!n->file)
		return;
	if (n->file->blob) {
		int r = n->dead || n->hidden ? 0 : file_finish(fs, n);
		if (r < 0) {
			char path[512];
			epochs_spoil(fs->epochs);
			log_error("%s: writing its size record failed: %s; it stays readable by "
				  "the rules for an "
				  "unclean end",
				node_path(fs, n, path, sizeof(path)), strerror(-r));
		}
	}
	n->file->opens = 0;
	file_drop(fs, n);
}
