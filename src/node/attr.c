/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "name/target.h"
#include "node/node.h"

/*
 * After an unclean end the length of a blob may promise more than is there: the file is opened
 * once, which settles its size, before any size is told (under the writeback cache the kernel keeps
 * to what it was told).
 */
static void settle(struct fs *fs, struct node *n, const struct stat *st)
{
	if (n->settled || (n->file && n->file->blob))
		return;
	n->settled = true;
	struct blob *b;
	if (st->st_size > 0 && epochs_suspect(fs->epochs, &st->st_ctim) &&
		file_blob(fs, n, false, &b) == 0)
		file_unpin(fs, n);
}

static uint64_t symlink_size(struct fs *fs, const struct place *p, uint64_t disk_size)
{
	ssize_t size = target_plain_size(disk_size);
	if (size == -EAGAIN && p) {
		char text[TARGET_TEXT_MAX + 1];
		struct target_ref ref;
		ssize_t len = st_readlinkat(fs->store, p->fd, p->entry, text, sizeof(text));
		if (len > 0 && target_ref_parse(text, (size_t)len, &ref) == 0)
			return ref.length;
	}
	return size > 0 ? (uint64_t)size : 0;
}

int attr_fill(struct fs *fs, struct node *n, const struct place *p, struct stat *st)
{
	if (S_ISREG(n->mode)) {
		settle(fs, n, st);
		st->st_size = (off_t)(n->file && n->file->blob
					      ? blob_size(n->file->blob)
					      : blob_size_from_stat((uint64_t)st->st_size));
		if (n->file && n->file->mtime_stale)
			st->st_mtim = n->file->mtime;
	} else if (S_ISLNK(n->mode)) {
		st->st_size = (off_t)symlink_size(fs, p, (uint64_t)st->st_size);
	}
	if (n->hidden && st->st_nlink > 0)
		st->st_nlink--;
	st->st_blksize = RECORD_SIZE;
	return 0;
}

int attr_get(struct fs *fs, struct node *n, struct stat *st)
{
	if (n->dead) {
		if (!n->ghost)
			return -ENOENT;
		*st = *n->ghost;
		return 0;
	}
	int r;
	if (S_ISREG(n->mode) && n->file && n->file->blob) {
		r = st_fstat(fs->store, blob_fd(n->file->blob), st);
		return r < 0 ? r : attr_fill(fs, n, NULL, st);
	}
	if (S_ISDIR(n->mode) && n->dir->fd >= 0) {
		r = st_fstat(fs->store, n->dir->fd, st);
		return r < 0 ? r : attr_fill(fs, n, NULL, st);
	}
	struct place p;
	r = place_get(fs, n, &p);
	if (r < 0)
		return r;
	r = st_fstatat(fs->store, p.fd, p.entry, st);
	if (r == 0)
		r = st->st_ino == n->ino ? attr_fill(fs, n, &p, st) : -ESTALE;
	place_put(fs, &p);
	return r;
}

int fs_getattr(struct fs *fs, struct node *n, struct stat *st)
{
	pthread_mutex_lock(&n->lock);
	int r = attr_get(fs, n, st);
	pthread_mutex_unlock(&n->lock);
	return r;
}

int fs_chmod(struct fs *fs, struct node *n, mode_t mode)
{
	struct place p;
	pthread_mutex_lock(&n->lock);
	int r = 0;
	if (n->dead && n->ghost) {
		n->ghost->st_mode = n->mode | (mode & 07777);
	} else if (S_ISREG(n->mode) && n->file && n->file->blob) {
		r = st_fchmod(fs->store, blob_fd(n->file->blob), mode);
	} else {
		r = place_get(fs, n, &p);
		if (r == 0) {
			r = st_fchmodat(fs->store, p.fd, p.entry, mode);
			place_put(fs, &p);
		}
	}
	pthread_mutex_unlock(&n->lock);
	fs_mark_changed(fs);
	return r;
}

int fs_chown(struct fs *fs, struct node *n, uid_t uid, gid_t gid)
{
	struct place p;
	pthread_mutex_lock(&n->lock);
	int r = 0;
	if (n->dead && n->ghost) {
		if (uid != (uid_t)-1)
			n->ghost->st_uid = uid;
		if (gid != (gid_t)-1)
			n->ghost->st_gid = gid;
	} else {
		r = place_get(fs, n, &p);
		if (r == 0) {
			r = st_fchownat(fs->store, p.fd, p.entry, uid, gid);
			place_put(fs, &p);
		}
	}
	pthread_mutex_unlock(&n->lock);
	fs_mark_changed(fs);
	return r;
}

int fs_utimens(struct fs *fs, struct node *n, const struct timespec ts[2])
{
	struct place p;
	pthread_mutex_lock(&n->lock);
	int r = 0;
	if (n->dead && n->ghost) {
		if (ts[0].tv_nsec != UTIME_OMIT && ts[0].tv_nsec != UTIME_NOW)
			n->ghost->st_atim = ts[0];
		if (ts[1].tv_nsec != UTIME_OMIT && ts[1].tv_nsec != UTIME_NOW)
			n->ghost->st_mtim = ts[1];
	} else if (S_ISREG(n->mode) && n->file && n->file->blob) {
		r = st_futimens(fs->store, blob_fd(n->file->blob), ts);
		if (r == 0)
			file_mtime_set(fs, n, &ts[1]);
	} else {
		r = place_get(fs, n, &p);
		if (r == 0) {
			r = st_utimensat(fs->store, p.fd, p.entry, ts);
			place_put(fs, &p);
		}
	}
	pthread_mutex_unlock(&n->lock);
	fs_mark_changed(fs);
	return r;
}
