/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "node/node.h"

#define COPY_CHUNK (1u << 20)

enum pin { PIN_READ, PIN_CHANGE, PIN_DIRECT };

/* Pins n's blob for one call. The node lock is held only for the moment of pinning. */
static int pin(struct fs *fs, struct node *n, enum pin how, struct blob **ret)
{
	bool writable = how != PIN_READ;
	if (!S_ISREG(n->mode))
		return S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	if (writable && store_read_only(fs->store))
		return -EROFS;
	pthread_mutex_lock(&n->lock);
	int r = file_blob(fs, n, writable, ret);
	if (r == 0 && writable) {
		r = file_changes(fs, n, how == PIN_DIRECT);
		if (r < 0)
			file_unpin(fs, n);
	}
	pthread_mutex_unlock(&n->lock);
	return r;
}

/*
 * Ends a change under pin(PIN_CHANGE). The kernel may have told a new mtime while it was under way
 * (background write-back does not wait for its writes before it sends the time), so it counts as
 * moved once more.
 */
static void unpin_changed(struct fs *fs, struct node *n)
{
	pthread_mutex_lock(&n->lock);
	n->file->mtime_stale = n->file->mtime_known;
	pthread_mutex_unlock(&n->lock);
	file_unpin(fs, n);
}

/*
 * What the kernel does for a local file system when an unprivileged process writes: set-user-id
 * goes, and set-group-id where the group may execute.
 */
static int kill_privileges(struct fs *fs, int fd)
{
	struct stat st;
	int r = st_fstat(fs->store, fd, &st);
	if (r < 0)
		return r;
	mode_t kill = S_ISUID | (st.st_mode & S_IXGRP ? S_ISGID : 0);
	return st.st_mode & kill ? st_fchmod(fs->store, fd, st.st_mode & 07777 & ~kill) : 0;
}

/* Empties n, damaged or not. n->lock held. */
static int empty(struct fs *fs, struct node *n, bool kill_priv)
{
	if (store_read_only(fs->store))
		return -EROFS;
	int r = file_reset(fs, n);
	if (r == 0) {
		n->settled = true;
		if (kill_priv)
			r = kill_privileges(fs, blob_fd(n->file->blob));
	}
	return r;
}

int fs_truncate(struct fs *fs, struct node *n, uint64_t size, bool kill_priv)
{
	if (!S_ISREG(n->mode))
		return S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	if (size > SIZE_MAX_PLAIN)
		return -EFBIG;
	if (size == 0) {
		pthread_mutex_lock(&n->lock);
		int r = empty(fs, n, kill_priv);
		pthread_mutex_unlock(&n->lock);
		return fs_errno(r);
	}
	struct blob *b;
	int r = pin(fs, n, PIN_CHANGE, &b);
	if (r < 0)
		return fs_errno(r);
	r = blob_truncate(b, size);
	if (r == 0 && kill_priv)
		r = kill_privileges(fs, blob_fd(b));
	unpin_changed(fs, n);
	return fs_errno(r);
}

int fs_open_file(struct fs *fs, struct node *n, int flags, bool kill_priv)
{
	if (!S_ISREG(n->mode))
		return S_ISDIR(n->mode) ? -EISDIR : -ENXIO;
	bool writable = (flags & O_ACCMODE) != O_RDONLY;
	if (writable && store_read_only(fs->store))
		return -EROFS;
	struct blob *b;
	pthread_mutex_lock(&n->lock);
	int r = flags & O_TRUNC ? empty(fs, n, kill_priv) : 0;
	if (r == 0)
		r = file_blob(fs, n, writable, &b);
	/* Nothing can be read; and the size that was told may be wrong, so no read would ask. */
	if (r == 0 && blob_damaged(b)) {
		file_unpin(fs, n);
		r = -EIO;
	}
	if (r == 0) {
		/* A dead one could not be reopened: it stays pinned while it is open. */
		if (!n->dead)
			file_unpin(fs, n);
		n->file->opens++;
		n->file->writers += writable;
	}
	pthread_mutex_unlock(&n->lock);
	return fs_errno(r);
}

void fs_release_file(struct fs *fs, struct node *n, int flags)
{
	pthread_mutex_lock(&n->lock);
	struct filestate *f = n->file;
	f->opens--;
	if (n->dead)
		file_unpin(fs, n);
	if ((flags & O_ACCMODE) != O_RDONLY && --f->writers == 0 && !n->hidden && !n->dead) {
		int r = file_finish(fs, n);
		if (r < 0 && f->error == 0)
			f->error = r;
	}
	if (f->opens == 0 && n->hidden)
		hidden_closed(fs, n);
	pthread_mutex_unlock(&n->lock);
}

ssize_t fs_read(struct fs *fs, struct node *n, void *buf, size_t len, uint64_t offset)
{
	struct blob *b;
	int r = pin(fs, n, PIN_READ, &b);
	if (r < 0)
		return fs_errno(r);
	ssize_t done = blob_read(b, buf, len, offset);
	file_unpin(fs, n);
	return done < 0 ? fs_errno((int)done) : done;
}

int fs_write(
	struct fs *fs, struct node *n, const void *buf, size_t len, uint64_t offset, unsigned flags)
{
	if (len > SIZE_MAX_PLAIN || offset > SIZE_MAX_PLAIN - len)
		return -EFBIG;
	struct blob *b;
	int r = pin(fs, n, flags & FS_WRITE_CACHED ? PIN_CHANGE : PIN_DIRECT, &b);
	if (r < 0)
		return fs_errno(r);
	r = blob_write(b, buf, len, offset);
	if (r == 0 && (flags & FS_WRITE_KILL_PRIV))
		r = kill_privileges(fs, blob_fd(b));
	if (r == 0 && (flags & FS_WRITE_SYNC))
		r = blob_sync(b, true);
	unpin_changed(fs, n);
	if (r == 0 && (flags & FS_WRITE_SYNC))
		r = sync_ancestors(fs, n);
	return fs_errno(r);
}

/*
 * Syncs a blob whose file's mtime is as the kernel knows it. The sync may have to write record 0
 * (gaps become holes), which moves the mtime; what is acknowledged includes the old one.
 */
static int sync_keeping_mtime(struct fs *fs, struct blob *b, bool data_only)
{
	struct stat before, after;
	bool may_write = blob_unfinished(b);
	int r = may_write ? st_fstat(fs->store, blob_fd(b), &before) : 0;
	if (r == 0)
		r = blob_sync(b, data_only);
	if (r == 0 && may_write)
		r = st_fstat(fs->store, blob_fd(b), &after);
	if (r < 0 || !may_write ||
		(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
			before.st_mtim.tv_nsec == after.st_mtim.tv_nsec))
		return r;
	struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, before.st_mtim};
	r = st_futimens(fs->store, blob_fd(b), ts);
	return r < 0 ? r : blob_sync(b, data_only);
}

int fs_fsync(struct fs *fs, struct node *n, bool data_only)
{
	struct blob *b;
	int r = pin(fs, n, PIN_READ, &b);
	if (r < 0)
		return fs_errno(r);
	bool read_only = store_read_only(fs->store);
	pthread_mutex_lock(&n->lock);
	int earlier = file_take_error(n);
	if (!read_only)
		r = file_restore_mtime(fs, n);
	pthread_mutex_unlock(&n->lock);
	if (r == 0 && !read_only)
		r = sync_keeping_mtime(fs, b, data_only);
	file_unpin(fs, n);
	if (r == 0)
		r = earlier;
	if (r == 0)
		r = sync_ancestors(fs, n);
	return fs_errno(r);
}

int fs_fallocate(
	struct fs *fs, struct node *n, int mode, uint64_t offset, uint64_t len, bool kill_priv)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int kind = mode & ~FALLOC_FL_KEEP_SIZE;
	if (len == 0)
		return -EINVAL;
	if (len > SIZE_MAX_PLAIN || offset > SIZE_MAX_PLAIN - len)
		return -EFBIG;
	if (kind != 0 && kind != FALLOC_FL_ZERO_RANGE && !(kind == FALLOC_FL_PUNCH_HOLE && keep))
		return -EOPNOTSUPP;
	struct blob *b;
	int r = pin(fs, n, PIN_CHANGE, &b);
	if (r < 0)
		return fs_errno(r);
	if (kind == FALLOC_FL_PUNCH_HOLE)
		r = blob_punch(b, offset, len);
	else if (kind == FALLOC_FL_ZERO_RANGE)
		r = blob_zero_range(b, offset, len, keep);
	else
		r = blob_allocate(b, offset, len, keep);
	if (r == 0 && kill_priv)
		r = kill_privileges(fs, blob_fd(b));
	unpin_changed(fs, n);
	return fs_errno(r);
}

int64_t fs_lseek(struct fs *fs, struct node *n, uint64_t offset, int whence)
{
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	struct blob *b;
	int r = pin(fs, n, PIN_READ, &b);
	if (r < 0)
		return fs_errno(r);
	int64_t pos = blob_seek(b, offset, whence);
	file_unpin(fs, n);
	return pos < 0 ? fs_errno((int)pos) : pos;
}

bool fs_has_writers(struct fs *fs, struct node *n)
{
	(void)fs;
	pthread_mutex_lock(&n->lock);
	bool has = S_ISREG(n->mode) && n->file && n->file->writers > 0;
	pthread_mutex_unlock(&n->lock);
	return has;
}

ssize_t fs_copy_range(struct fs *fs, struct node *in, uint64_t in_off, struct node *out,
	uint64_t out_off, size_t len, bool kill_priv)
{
	if (in == out && in_off < out_off + len && out_off < in_off + len)
		return -EINVAL;
	_cleanup_free_ char *buf = malloc(len < COPY_CHUNK ? len + 1 : COPY_CHUNK);
	if (!buf)
		return -ENOMEM;
	unsigned flags = FS_WRITE_CACHED | (kill_priv ? FS_WRITE_KILL_PRIV : 0);
	size_t done = 0;
	while (done < len) {
		size_t want = len - done < COPY_CHUNK ? len - done : COPY_CHUNK;
		ssize_t r = fs_read(fs, in, buf, want, in_off + done);
		if (r > 0) {
			int w = fs_write(fs, out, buf, (size_t)r, out_off + done, flags);
			if (w < 0)
				r = w;
		}
		if (r < 0)
			return done > 0 ? (ssize_t)done : r;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}
