/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_STORE_STORE_H
#define COFFER_STORE_STORE_H

/*
 * The gate to the backing store: every access to a repository goes through these calls, relative to
 * a directory descriptor, one name component at a time, never following a symlink. They are the seam
 * at which tests inject faults and record what the daemon does to the disk (struct store_ops).
 *
 * All return 0, a count or a descriptor, or -errno. EINTR is retried, short reads and writes are
 * completed (a read ends short only at end of file). A name with a slash, empty, "." or ".." is
 * -EINVAL (".": allowed for st_openat of a directory itself). Descriptors are close-on-exec.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include "util/cleanup.h"
#include "util/error.h"

struct store;

/*
 * The system calls that modify or make durable, as replaceable pointers with the signatures and
 * errno convention of the libc functions (-1 and errno). NULL members mean the real call. Reading
 * calls are here too, so that a bad sector can be simulated.
 */
struct store_ops {
	int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
	int (*mkdirat)(int dirfd, const char *name, mode_t mode);
	int (*mknodat)(int dirfd, const char *name, mode_t mode, dev_t dev);
	int (*symlinkat)(const char *target, int dirfd, const char *name);
	int (*linkat)(int olddirfd, const char *old, int newdirfd, const char *new, int flags);
	int (*unlinkat)(int dirfd, const char *name, int flags);
	int (*renameat2)(int olddirfd, const char *old, int newdirfd, const char *new, unsigned flags);
	int (*fchmod)(int fd, mode_t mode);
	int (*fchmodat)(int dirfd, const char *name, mode_t mode, int flags);
	int (*fchownat)(int dirfd, const char *name, uid_t uid, gid_t gid, int flags);
	int (*utimensat)(int dirfd, const char *name, const struct timespec ts[2], int flags);
	int (*ftruncate)(int fd, off_t len);
	int (*fallocate)(int fd, int mode, off_t off, off_t len);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int n, off_t off);
	ssize_t (*preadv)(int fd, const struct iovec *iov, int n, off_t off);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*syncfs)(int fd);
	int (*sync_file_range)(int fd, off_t off, off_t len, unsigned flags);
	int (*setxattr)(const char *path, int fd, const char *name, const void *value, size_t size, int flags);
	int (*removexattr)(const char *path, int fd, const char *name);
};

/* What the probe found out about the backing file system. */
struct store_traits {
	char fs_name[32];	  /* "ext4", "xfs", "btrfs", "tmpfs", "nfs", ... or "0x1234" */
	uint32_t block_size;	  /* statfs f_bsize */
	uint32_t name_max;	  /* longest name in bytes */
	uint32_t physical_block;  /* of the device below in bytes, 0 unknown */
	uint32_t atomic_write;	  /* largest atomic write unit of the device in bytes, 0 unknown */
	bool aligned;		  /* device alignment offset is 0, or unknown */
	bool stable_pages;	  /* a page in write-back cannot change (btrfs, ZFS, stable_writes=1,
				     tmpfs and others that have no write-back): no waits needed */
	bool needs_ancestor_sync; /* btrfs: fsync of a file does not keep symlinks beside its ancestors */
	bool network;		  /* NFS, CIFS, Ceph, Gluster, FUSE: shared with other hosts */
};

/* ---- opening ---- */

/* Opens directory `path` as the root of a store. read_only: every modifying call then gives -EROFS. */
int store_open(const char *path, bool read_only, struct store **ret, struct err *err);
void store_close(struct store *st); /* NULL allowed */
DEFINE_CLEANUP(struct store *, store_close)
int store_root(const struct store *st);		 /* descriptor of the root; owned by the store */
const char *store_path(const struct store *st);	 /* absolute path, for messages only */
bool store_read_only(const struct store *st);
const struct store_traits *store_traits(const struct store *st); /* valid after store_probe_static */

/* Replaces the system calls (tests only); ops must outlive the store. NULL: the real ones. */
void store_set_ops(struct store *st, const struct store_ops *ops);

/*
 * Learns traits without writing (statfs, sysfs). Fills warnings, one line each, into warn (may be
 * NULL): block size or physical block under 4096, and so on.
 */
int store_probe_static(struct store *st, char *warn, size_t warn_size);

/*
 * Tries, in a scratch directory inside the root that is removed again, what coffer needs: names that
 * differ only in case, 255-byte names, symlinks, hard links, holes, RENAME_NOREPLACE and
 * RENAME_EXCHANGE, OFD locks, user xattrs, POSIX ACLs. Refuses (EXIT_BACKING_UNFIT, naming each) what would
 * lose data; warns of what only weakens a promise. Used by init.
 */
int store_probe_active(struct store *st, char *warn, size_t warn_size, struct err *err);

/* ---- names ---- */
int st_openat(struct store *st, int dirfd, const char *name, int flags, mode_t mode);
/*
 * Opens a regular file for reading (or reading and writing) even where its mode forbids it to us: an
 * owner without privilege adds u+rw for the moment of the open and puts the mode back.
 */
int st_open_blob(struct store *st, int dirfd, const char *name, bool writable);
/* Likewise for a directory whose mode lacks u+rwx (O_RDONLY | O_DIRECTORY). */
int st_open_dir(struct store *st, int dirfd, const char *name);
int st_fstat(struct store *st, int fd, struct stat *ret);
int st_fstatat(struct store *st, int dirfd, const char *name, struct stat *ret); /* lstat */
int st_mkdirat(struct store *st, int dirfd, const char *name, mode_t mode);
int st_mknodat(struct store *st, int dirfd, const char *name, mode_t mode, dev_t dev);
int st_symlinkat(struct store *st, const char *target, int dirfd, const char *name);
int st_linkat(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new);
int st_unlinkat(struct store *st, int dirfd, const char *name, int flags);
int st_renameat2(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new,
	unsigned flags);
/* Fills buf and a terminating zero; -ENAMETOOLONG if it does not fit. Returns the length. */
ssize_t st_readlinkat(struct store *st, int dirfd, const char *name, char *buf, size_t size);
int st_fchmod(struct store *st, int fd, mode_t mode);
/* Never follows a symlink: -EOPNOTSUPP for one. */
int st_fchmodat(struct store *st, int dirfd, const char *name, mode_t mode);
int st_fchownat(struct store *st, int dirfd, const char *name, uid_t uid, gid_t gid);
int st_utimensat(struct store *st, int dirfd, const char *name, const struct timespec ts[2]);
int st_futimens(struct store *st, int fd, const struct timespec ts[2]);
/* Raw getdents64 at the descriptor's position; returns bytes filled, 0 at the end. */
ssize_t st_getdents(struct store *st, int fd, void *buf, size_t size);

/* ---- content ---- */
ssize_t st_preadv(struct store *st, int fd, const struct iovec *iov, int n, off_t off);
ssize_t st_pread(struct store *st, int fd, void *buf, size_t len, off_t off);
/* 0 after everything was written; on an error an unknown prefix is. iov is not changed. */
int st_pwritev(struct store *st, int fd, const struct iovec *iov, int n, off_t off);
int st_pwrite(struct store *st, int fd, const void *buf, size_t len, off_t off);
int st_ftruncate(struct store *st, int fd, off_t len);
int st_fallocate(struct store *st, int fd, int mode, off_t off, off_t len);
off_t st_lseek(struct store *st, int fd, off_t off, int whence);
int st_fsync(struct store *st, int fd);
int st_fdatasync(struct store *st, int fd);
int st_syncfs(struct store *st);
/*
 * Makes a range clean: waits for write-back, writes, waits again (sync_file_range with all three
 * flags). No durability promise: it only ensures that nothing of the range is being written.
 * Falls back to fdatasync where the call is not supported.
 */
int st_settle_range(struct store *st, int fd, off_t off, off_t len);
int st_fstatfs(struct store *st, struct statfs *ret);

/* ---- extended attributes: by descriptor, or (fd-less kinds: symlinks, devices) by directory and name ---- */
ssize_t st_fgetxattr(struct store *st, int fd, const char *name, void *value, size_t size);
int st_fsetxattr(struct store *st, int fd, const char *name, const void *value, size_t size, int flags);
ssize_t st_flistxattr(struct store *st, int fd, char *list, size_t size);
int st_fremovexattr(struct store *st, int fd, const char *name);
ssize_t st_getxattrat(struct store *st, int dirfd, const char *entry, const char *name, void *value, size_t size);
int st_setxattrat(struct store *st, int dirfd, const char *entry, const char *name, const void *value,
	size_t size, int flags);
ssize_t st_listxattrat(struct store *st, int dirfd, const char *entry, char *list, size_t size);
int st_removexattrat(struct store *st, int dirfd, const char *entry, const char *name);

/* ---- whole small files (coffer.ini, state/) ---- */

/* Reads at most max bytes of a regular file into malloc'ed memory with a zero after it. -EFBIG above. */
int st_read_file(struct store *st, int dirfd, const char *name, size_t max, char **ret, size_t *ret_len);
/*
 * Replaces name durably and atomically: writes name.tmp, fsync, rename, fsync of the directory. A crash
 * at any point leaves the old or the new content. A leftover name.tmp is overwritten.
 */
int st_replace_file(struct store *st, int dirfd, const char *name, const void *data, size_t len, mode_t mode);

#endif
