/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "fuse/ops.h"

void reply_entry(fuse_req_t req, int r, struct node *n, const struct stat *st)
{
	struct fs *fs = req_fs(req);
	if (r < 0) {
		reply_err(req, r);
		return;
	}
	struct fuse_entry_param e = entry_param(fs, n, st);
	/* A request that was interrupted got no inode: give the reference back. */
	if (fuse_reply_entry(req, &e) == -ENOENT)
		fs_forget(fs, n, 1);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	struct node *n = NULL;
	struct stat st;
	int r = fs_lookup(fs, ino_node(fs, parent), name, &n, &st);
	if (r == -ENOENT) {
		/* The kernel may remember that the name is free. */
		struct fuse_entry_param none = {.ino = 0, .entry_timeout = FOREVER};
		fuse_reply_entry(req, &none);
		return;
	}
	reply_entry(req, r, n, &st);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct fs *fs = req_fs(req);
	if (ino != FUSE_ROOT_ID)
		fs_forget(fs, ino_node(fs, ino), nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = req_fs(req);
	for (size_t i = 0; i < count; i++)
		if (forgets[i].ino != FUSE_ROOT_ID)
			fs_forget(fs, ino_node(fs, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct fs *fs = req_fs(req);
	struct caller who = req_caller(req);
	struct node *n = NULL;
	struct stat st;
	int r = fs_mknod(fs, ino_node(fs, parent), name, mode, rdev, &who, &n, &st);
	reply_entry(req, r, n, &st);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs *fs = req_fs(req);
	struct caller who = req_caller(req);
	struct node *n = NULL;
	struct stat st;
	int r = fs_mkdir(fs, ino_node(fs, parent), name, mode, &who, &n, &st);
	reply_entry(req, r, n, &st);
}

void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	struct caller who = req_caller(req);
	struct node *n = NULL;
	struct stat st;
	int r = fs_symlink(fs, ino_node(fs, parent), name, link, &who, &n, &st);
	reply_entry(req, r, n, &st);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	struct fs *fs = req_fs(req);
	struct node *n = ino_node(fs, ino);
	struct stat st;
	int r = fs_link(fs, n, ino_node(fs, newparent), newname, &st);
	reply_entry(req, r, n, &st);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	reply_err(req, fs_unlink(fs, ino_node(fs, parent), name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	reply_err(req, fs_rmdir(fs, ino_node(fs, parent), name));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	const char *newname, unsigned flags)
{
	struct fs *fs = req_fs(req);
	reply_err(req,
		fs_rename(fs, ino_node(fs, parent), name, ino_node(fs, newparent), newname, flags));
}
