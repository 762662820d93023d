/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_FUSE_OPS_H
#define COFFER_FUSE_OPS_H

/*
 * Private to fuse/. Handlers are thin: decode, call the node layer, reply exactly once. Nothing may
 * be touched after the reply but what is on the stack: the reply may make the kernel forget the
 * inode.
 */
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include "node/fs.h"

/* Entries and attributes never change behind the kernel's back: one mount owns the repository. */
#define FOREVER (10.0 * 365 * 86400)
#define MAX_REQUEST (1u << 20)

struct flusher;

/* What fuse_req_userdata() is. */
struct daemon {
	struct fs *fs;
	struct fuse_session *session;
	struct flusher *flusher;
	atomic_bool initialised; /* the kernel's INIT was answered */
	bool read_only;
};

static inline struct daemon *req_daemon(fuse_req_t req)
{
	return fuse_req_userdata(req);
}
static inline struct fs *req_fs(fuse_req_t req)
{
	return req_daemon(req)->fs;
}
static inline struct node *ino_node(struct fs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? fs_root(fs) : (struct node *)(uintptr_t)ino;
}
static inline fuse_ino_t node_ino(struct fs *fs, struct node *n)
{
	return n == fs_root(fs) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)n;
}
static inline struct caller req_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	return (struct caller){.uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask};
}
/* Replies an errno; 0 is success without content. */
static inline void reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}
static inline struct fuse_entry_param entry_param(
	struct fs *fs, struct node *n, const struct stat *st)
{
	return (struct fuse_entry_param){.ino = node_ino(fs, n),
		.attr = *st,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER};
}
void reply_entry(fuse_req_t req, int r, struct node *n, const struct stat *st);

/* A buffer of this thread for replies of up to MAX_REQUEST bytes; NULL without memory. */
void *thread_buffer(void);

/* ---- rawrequest.c: what libfuse before 3.17 does not pass on ---- */
struct fuse_in_header;
void raw_set(const void *request); /* by the worker, before a request is processed; NULL after */
/* True if the request (WRITE, SETATTR of size, OPEN with O_TRUNC) tells us to clear set-id bits
 * (FUSE_HANDLE_KILLPRIV_V2). */
bool raw_kills_privileges(void);

/* ---- the handlers, by file ---- */
/* entry.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	const char *newname, unsigned flags);
/* attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
/* file.c */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
#if FUSE_VERSION >= 317
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
#endif
/* dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
/* init.c */
void op_init(void *userdata, struct fuse_conn_info *conn);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in_buf, size_t in_size, size_t out_size);
/* The /dev/fuse calls that add FUSE_HANDLE_KILLPRIV_V2 to the INIT answer where libfuse cannot
 * (before 3.17). */
int init_hook(struct fuse_session *se);

/* ---- flusher.c: SEEK_DATA and SEEK_HOLE while the kernel holds dirty pages ---- */
int flusher_start(struct daemon *d, struct flusher **ret);
void flusher_stop(struct flusher *f);
void flusher_seek(struct flusher *f, fuse_req_t req, fuse_ino_t ino, off_t off, int whence);

/* ---- unmount.c ---- */
/* Device number that tells our mount from others; 0 if it cannot be told. */
dev_t mount_device(const char *mountpoint);
/* Unmounts if it is still ours. lazy: MNT_DETACH. 0 or -errno (-EBUSY: in use). */
int unmount_path(const char *mountpoint, dev_t dev, bool lazy);

#endif
