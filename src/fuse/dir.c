/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "fuse/ops.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct dirhandle *h = NULL;
	int r = fs_opendir(fs, ino_node(fs, ino), &h);
	if (r < 0) {
		reply_err(req, r);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)h;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		fs_closedir(fs, h);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fs_closedir(req_fs(req), (struct dirhandle *)(uintptr_t)fi->fh);
	reply_err(req, 0);
}

/* The reply of a READDIR that is being filled. */
struct listing {
	fuse_req_t req;
	struct fs *fs;
	char *buf;
	size_t size, used;
};

static bool plain_fill(
	void *cookie, const char *name, struct node *n, const struct stat *st, off_t next)
{
	(void)n;
	struct listing *l = cookie;
	size_t need =
		fuse_add_direntry(l->req, l->buf + l->used, l->size - l->used, name, st, next);
	if (need > l->size - l->used)
		return false;
	l->used += need;
	return true;
}

static bool plus_room(void *cookie, const char *name)
{
	struct listing *l = cookie;
	return fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0) <= l->size - l->used;
}

static bool plus_fill(
	void *cookie, const char *name, struct node *n, const struct stat *st, off_t next)
{
	struct listing *l = cookie;
	/* "." and ".." tell their attributes, but are not looked up: inode 0. */
	struct fuse_entry_param e =
		n ? entry_param(l->fs, n, st) : (struct fuse_entry_param){.attr = *st};
	size_t need =
		fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, name, &e, next);
	if (need > l->size - l->used)
		return false;
	l->used += need;
	return true;
}

static void list(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct listing l = {.req = req, .fs = req_fs(req), .buf = thread_buffer()};
	struct dir_fill fill = {
		.room = plus_room, .fill = plus ? plus_fill : plain_fill, .cookie = &l};
	l.size = size < MAX_REQUEST ? size : MAX_REQUEST;
	int r = l.buf ? fs_readdir(l.fs, (struct dirhandle *)(uintptr_t)fi->fh, off, plus, &fill)
		      : -ENOMEM;
	/* Entries that are already in the reply hold references: an error waits for the next call.
	 */
	if (r < 0 && l.used == 0)
		reply_err(req, r);
	else
		fuse_reply_buf(req, l.buf, l.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, off, fi, false);
}

void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, off, fi, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	struct fs *fs = req_fs(req);
	reply_err(req, fs_fsyncdir(fs, ino_node(fs, ino)));
}
