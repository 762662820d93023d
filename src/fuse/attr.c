/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse/ops.h"
#include "util/cleanup.h"

/* The largest value and list that the kernel passes (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
#define XATTR_MOST 65536

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	struct stat st;
	int r = fs_getattr(fs, ino_node(fs, ino), &st);
	if (r < 0)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

static struct timespec time_arg(int to_set, int set, int now, struct timespec value)
{
	if (to_set & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (to_set & set)
		return value;
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_all(struct fs *fs, struct node *n, const struct stat *attr, int to_set)
{
	int r = 0;
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		r = fs_chown(fs, n, to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
			to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1);
	/* After chown, which clears set-id bits. */
	if (r == 0 && (to_set & FUSE_SET_ATTR_MODE))
		r = fs_chmod(fs, n, attr->st_mode & 07777);
	if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE))
		r = fs_truncate(fs, n, (uint64_t)attr->st_size, raw_kills_privileges());
	if (r == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))) {
		struct timespec ts[2] = {time_arg(to_set, FUSE_SET_ATTR_ATIME,
						 FUSE_SET_ATTR_ATIME_NOW, attr->st_atim),
			time_arg(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW,
				attr->st_mtim)};
		r = fs_utimens(fs, n, ts);
	}
	return r;
}

void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	(void)fi;
	struct fs *fs = req_fs(req);
	struct node *n = ino_node(fs, ino);
	struct stat st;
	int r = set_all(fs, n, attr, to_set);
	if (r == 0)
		r = fs_getattr(fs, n, &st);
	if (r < 0)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = req_fs(req);
	char target[4096];
	ssize_t r = fs_readlink(fs, ino_node(fs, ino), target);
	if (r < 0)
		reply_err(req, (int)r);
	else
		fuse_reply_readlink(req, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	struct statvfs st;
	int r = fs_statvfs(req_fs(req), &st);
	if (r < 0)
		reply_err(req, r);
	else
		fuse_reply_statfs(req, &st);
}

void op_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct fs *fs = req_fs(req);
	reply_err(req, fs_setxattr(fs, ino_node(fs, ino), name, value, size, flags));
}

/* Replies a length (asked with size 0) or content. */
static void reply_value(fuse_req_t req, ssize_t r, const char *buf, size_t size)
{
	if (r < 0)
		reply_err(req, (int)r);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)r);
	else
		fuse_reply_buf(req, buf, (size_t)r);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct fs *fs = req_fs(req);
	if (size > XATTR_MOST)
		size = XATTR_MOST;
	_cleanup_free_ char *buf = malloc(size + 1);
	ssize_t r =
		buf ? fs_getxattr(fs, ino_node(fs, ino), name, size ? buf : NULL, size) : -ENOMEM;
	reply_value(req, r, buf, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct fs *fs = req_fs(req);
	if (size > XATTR_MOST)
		size = XATTR_MOST;
	_cleanup_free_ char *buf = malloc(size + 1);
	ssize_t r = buf ? fs_listxattr(fs, ino_node(fs, ino), size ? buf : NULL, size) : -ENOMEM;
	reply_value(req, r, buf, size);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct fs *fs = req_fs(req);
	reply_err(req, fs_removexattr(fs, ino_node(fs, ino), name));
}
