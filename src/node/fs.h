/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NODE_FS_H
#define COFFER_NODE_FS_H

/*
 * The file system without FUSE: inode table, open blobs, directory handles, checkpoints. fuse/
 * decodes requests, calls these and replies; unit tests call them without a mount.
 *
 * All functions are thread-safe and return 0 (or a count) or -errno. Damage has become -EIO here
 * (and one log line). Names are plaintext, not terminated by length: C strings without '/'. Sizes
 * and offsets are of the plaintext. A struct stat that is filled in tells plaintext sizes and the
 * backing inode number.
 *
 * Callers are expected to serialise what the kernel's VFS serialises (changes of one directory
 * against each other, changes of one name against lookups of it); what VFS lets run in parallel may
 * run in parallel.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include "crypto/keyring.h"
#include "store/store.h"
#include "util/error.h"

struct fs;
struct node; /* one inode; alive while it has references */

struct fs_options {
	unsigned max_open; /* descriptors kept open for blobs and directories; 0: from RLIMIT_NOFILE
			    */
	unsigned checkpoint_seconds; /* 0: 60 */
};

/* Who makes a new object: it is created with these ids where the daemon's privileges allow it. */
struct caller {
	uid_t uid;
	gid_t gid;
	mode_t umask;
};

/* What went on since the mount, for status and logs. */
struct fs_stats {
	uint64_t nodes;       /* inodes in the table */
	uint64_t descriptors; /* open for blobs and directories */
	uint64_t damage;      /* damaged records and names met */
	uint64_t recovered;   /* files that crash rules cut or reset */
	bool unclean;         /* the session before this one did not end cleanly */
};

/*
 * Opens data/ of an unlocked repository and begins a session (a read-only store is not touched). st
 * and keys are borrowed. Sweeps leftovers of a crash. EXIT_REPO_DAMAGED: no data/.
 */
int fs_open(struct store *st, const struct keyring *keys, const struct fs_options *o,
	struct fs **ret, struct err *err);
/* Starts the background checkpoints. Call after the last fork. */
int fs_start(struct fs *fs);
/* Finishes all blobs, syncs, ends the session cleanly, frees everything. Returns the first error.
 * No other call may be running. The session stays marked unclean if something could not be written.
 */
int fs_close(struct fs *fs);
/* Everything written so far is durable, and a new epoch has begun. */
int fs_checkpoint(struct fs *fs);
void fs_stats(struct fs *fs, struct fs_stats *ret);
int fs_statvfs(struct fs *fs, struct statvfs *ret);
bool fs_read_only(const struct fs *fs);

/* ---- inodes ---- */
struct node *fs_root(struct fs *fs); /* no reference is taken */
/* Finds name in dir. Takes one reference on *ret, to be given back by fs_forget. -ENOENT. */
int fs_lookup(
	struct fs *fs, struct node *dir, const char *name, struct node **ret, struct stat *st);
void fs_forget(struct fs *fs, struct node *n, uint64_t count);
int fs_getattr(struct fs *fs, struct node *n, struct stat *st);
int fs_chmod(struct fs *fs, struct node *n, mode_t mode);
/* (uid_t)-1 / (gid_t)-1: unchanged. Clears set-id bits as chown(2). */
int fs_chown(struct fs *fs, struct node *n, uid_t uid, gid_t gid);
/* As utimensat(2), with UTIME_NOW and UTIME_OMIT. */
int fs_utimens(struct fs *fs, struct node *n, const struct timespec ts[2]);
/* kill_priv: clear set-user-id, and set-group-id of group-executables. */
int fs_truncate(struct fs *fs, struct node *n, uint64_t size, bool kill_priv);
/* target: room for 4096 bytes, terminated. Returns its length. */
ssize_t fs_readlink(struct fs *fs, struct node *n, char *target);

/* ---- names. Each that makes an entry takes one reference on *ret. ---- */
int fs_mknod(struct fs *fs, struct node *dir, const char *name, mode_t mode, dev_t dev,
	const struct caller *who, struct node **ret, struct stat *st);
int fs_mkdir(struct fs *fs, struct node *dir, const char *name, mode_t mode,
	const struct caller *who, struct node **ret, struct stat *st);
int fs_symlink(struct fs *fs, struct node *dir, const char *name, const char *target,
	const struct caller *who, struct node **ret, struct stat *st);
int fs_link(struct fs *fs, struct node *n, struct node *dir, const char *name, struct stat *st);
int fs_unlink(struct fs *fs, struct node *dir, const char *name);
int fs_rmdir(struct fs *fs, struct node *dir, const char *name);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE. */
int fs_rename(struct fs *fs, struct node *olddir, const char *old, struct node *newdir,
	const char *new, unsigned flags);

/* ---- regular files: open and release count; everything else needs no open ---- */
/* Creates and opens (as fs_open_file). flags: as open(2). */
int fs_create(struct fs *fs, struct node *dir, const char *name, mode_t mode, int flags,
	const struct caller *who, struct node **ret, struct stat *st);
/* Creates an unnamed open file (O_TMPFILE) that fs_link may give a name. */
int fs_tmpfile(struct fs *fs, struct node *dir, mode_t mode, int flags, const struct caller *who,
	struct node **ret, struct stat *st);
/* flags: access mode, O_TRUNC. */
int fs_open_file(struct fs *fs, struct node *n, int flags, bool kill_priv);
void fs_release_file(struct fs *fs, struct node *n, int flags);
ssize_t fs_read(struct fs *fs, struct node *n, void *buf, size_t len, uint64_t offset);
/*
 * Writes all or fails. The mtime: under its writeback cache the kernel keeps it and tells us with
 * fs_utimens when it thinks that it changed; so cached writes, truncations and the like leave the
 * mtime as it was last told or set. Direct writes move it.
 */
enum {
	FS_WRITE_CACHED = 1,    /* pages that the kernel's cache writes out */
	FS_WRITE_SYNC = 2,      /* O_SYNC, O_DSYNC */
	FS_WRITE_KILL_PRIV = 4, /* as kill_priv of fs_truncate */
};
int fs_write(struct fs *fs, struct node *n, const void *buf, size_t len, uint64_t offset,
	unsigned flags);
int fs_fsync(struct fs *fs, struct node *n, bool data_only);
/* mode: FALLOC_FL_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE as fallocate(2). */
int fs_fallocate(
	struct fs *fs, struct node *n, int mode, uint64_t offset, uint64_t len, bool kill_priv);
/* SEEK_DATA, SEEK_HOLE. */
int64_t fs_lseek(struct fs *fs, struct node *n, uint64_t offset, int whence);
/* True while someone has it open for writing: the kernel may hold pages that did not arrive yet. */
bool fs_has_writers(struct fs *fs, struct node *n);
ssize_t fs_copy_range(struct fs *fs, struct node *in, uint64_t in_off, struct node *out,
	uint64_t out_off, size_t len, bool kill_priv);

/* ---- directories ---- */
struct dirhandle;
int fs_opendir(struct fs *fs, struct node *n, struct dirhandle **ret);
void fs_closedir(struct fs *fs, struct dirhandle *h);
/*
 * Calls fill for each entry from offset on (0: the start, else the next_offset of the entry
 * before), until it returns false (the entry did not fit) or the end. Own objects and names that do
 * not authenticate are left out. With plus, room(cookie, name) is asked first, then the entry is
 * looked up: n and full st are given, and a reference taken that fill owns if it returns true ("."
 * and ".." have n = NULL). Without plus only st_ino and st_mode's type are set.
 */
struct dir_fill {
	bool (*room)(void *cookie, const char *name);
	bool (*fill)(void *cookie, const char *name, struct node *n, const struct stat *st,
		off_t next_offset);
	void *cookie;
};
int fs_readdir(
	struct fs *fs, struct dirhandle *h, off_t offset, bool plus, const struct dir_fill *f);
int fs_fsyncdir(struct fs *fs, struct node *n);

/* ---- extended attributes, as getxattr(2) and friends ---- */
ssize_t fs_getxattr(struct fs *fs, struct node *n, const char *name, void *value, size_t size);
int fs_setxattr(
	struct fs *fs, struct node *n, const char *name, const void *value, size_t size, int flags);
ssize_t fs_listxattr(struct fs *fs, struct node *n, char *list, size_t size);
int fs_removexattr(struct fs *fs, struct node *n, const char *name);

#endif
