/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "fuse/ops.h"

/* Pages stay valid for as long as the kernel likes: nobody else changes the repository. */
static void keep_pages(struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
}

/* With the writeback cache the kernel reads pages of files that were opened for writing only. */
static int effective_flags(const struct fuse_file_info *fi)
{
	return fi->flags & ~O_APPEND;
}

static void reply_create(
	fuse_req_t req, struct node *n, const struct stat *st, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct fuse_entry_param e = entry_param(fs, n, st);
	int flags = effective_flags(fi);
	keep_pages(fi);
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		fs_release_file(fs, n, flags);
		fs_forget(fs, n, 1);
	}
}

void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct node *dir = ino_node(fs, parent), *n = NULL;
	struct caller who = req_caller(req);
	struct stat st;
	int r = fs_create(fs, dir, name, mode, effective_flags(fi), &who, &n, &st);
	if (r == -EEXIST && !(fi->flags & O_EXCL)) {
		r = fs_lookup(fs, dir, name, &n, &st);
		if (r == 0) {
			r = fs_open_file(fs, n, effective_flags(fi), raw_kills_privileges());
			if (r < 0)
				fs_forget(fs, n, 1);
		}
	}
	if (r < 0)
		reply_err(req, r);
	else
		reply_create(req, n, &st, fi);
}

#if FUSE_VERSION >= 317
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct caller who = req_caller(req);
	struct node *n = NULL;
	struct stat st;
	int r = fs_tmpfile(fs, ino_node(fs, parent), mode, effective_flags(fi), &who, &n, &st);
	if (r < 0)
		reply_err(req, r);
	else
		reply_create(req, n, &st, fi);
}
#endif

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct node *n = ino_node(fs, ino);
	int flags = effective_flags(fi);
	int r = fs_open_file(fs, n, flags, raw_kills_privileges());
	if (r < 0) {
		reply_err(req, r);
		return;
	}
	keep_pages(fi);
	if (fuse_reply_open(req, fi) == -ENOENT)
		fs_release_file(fs, n, flags);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	fs_release_file(fs, ino_node(fs, ino), effective_flags(fi));
	reply_err(req, 0);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	void *buf = thread_buffer();
	if (size > MAX_REQUEST)
		size = MAX_REQUEST;
	ssize_t r = buf ? fs_read(fs, ino_node(fs, ino), buf, size, (uint64_t)off) : -ENOMEM;
	if (r < 0)
		reply_err(req, (int)r);
	else
		fuse_reply_buf(req, buf, (size_t)r);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	unsigned flags = raw_kills_privileges() ? FS_WRITE_KILL_PRIV : 0;
	/* Of pages that the cache writes out, fsync takes care; direct writes bring the file's own
	 * flags. */
	if (fi->writepage)
		flags |= FS_WRITE_CACHED;
	else if (fi->flags & (O_SYNC | O_DSYNC))
		flags |= FS_WRITE_SYNC;
	int r = fs_write(fs, ino_node(fs, ino), buf, size, (uint64_t)off, flags);
	if (r < 0)
		reply_err(req, r);
	else
		fuse_reply_write(req, size);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	reply_err(req, fs_fsync(fs, ino_node(fs, ino), datasync));
}

/*
 * fallocate and copy_file_range clear set-id bits too, but their requests do not say for whom that
 * holds. A process with CAP_FSETID that is not root's loses them needlessly.
 */
static bool unprivileged(fuse_req_t req)
{
	return fuse_req_ctx(req)->uid != 0;
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	reply_err(req, fs_fallocate(fs, ino_node(fs, ino), mode, (uint64_t)offset, (uint64_t)length,
			       unprivileged(req)));
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags)
{
	/* One answer is at most this much: the call must stay interruptible. The caller goes on
	 * where it ended. */
	const size_t most = 64u << 20;
	(void)fi_in;
	(void)fi_out;
	(void)flags;
	struct fs *fs = req_fs(req);
	ssize_t r = fs_copy_range(fs, ino_node(fs, ino_in), (uint64_t)off_in, ino_node(fs, ino_out),
		(uint64_t)off_out, len < most ? len : most, unprivileged(req));
	if (r < 0)
		reply_err(req, (int)r);
	else
		fuse_reply_write(req, (size_t)r);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	struct node *n = ino_node(fs, ino);
	if (fs_has_writers(fs, n)) {
		flusher_seek(req_daemon(req)->flusher, req, ino, off, whence);
		return;
	}
	int64_t r = fs_lseek(fs, n, (uint64_t)off, whence);
	if (r < 0)
		reply_err(req, (int)r);
	else
		fuse_reply_lseek(req, r);
}
