/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_STORE_STORE_H
#define COFFER_STORE_STORE_H

/*
 * The gate to the backing store: every access to a repository goes through these calls, relative to
 * a directory descriptor, one name component at a time, never following a symlink. They are the
 * seam at which tests inject faults and record what the daemon does to the disk (struct store_ops).
 *
 * All return 0, a count or a descriptor, or -errno. EINTR is retried, short reads and writes are
 * completed (a read ends short only at end of file). A name with a slash, empty, "." or ".." is
 * -EINVAL (".": allowed for st_openat of a directory itself); a negative directory descriptor,
 * AT_FDCWD too, is -EBADF. Descriptors are close-on-exec. Functions not commented below do and
 * answer what the system call of their name does. All may block on the disk, none takes a lock;
 * they are safe in several threads at once.
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
 * calls are here too, so that a bad sector can be simulated. Replacements may be called by several
 * threads at once.
 * - openat and fchmodat also get AT_FDCWD and "/proc/self/fd/N" (st_open_blob, st_open_dir)
 * - utimensat with name NULL: the descriptor itself, as futimens
 * - setxattr and removexattr with path NULL: act on fd; else on the path, not following a symlink
 */
struct store_ops {
	int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
	int (*mkdirat)(int dirfd, const char *name, mode_t mode);
	int (*mknodat)(int dirfd, const char *name, mode_t mode, dev_t dev);
	int (*symlinkat)(const char *target, int dirfd, const char *name);
	int (*linkat)(int olddirfd, const char *old, int newdirfd, const char *new, int flags);
	int (*unlinkat)(int dirfd, const char *name, int flags);
	int (*renameat2)(
		int olddirfd, const char *old, int newdirfd, const char *new, unsigned flags);
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
	int (*setxattr)(const char *path, int fd, const char *name, const void *value, size_t size,
		int flags);
	int (*removexattr)(const char *path, int fd, const char *name);
};

/* What the probe found out about the backing file system. */
struct store_traits {
	char fs_name[32];    /* "ext4", "xfs", "btrfs", "tmpfs", "nfs", ... or "0x1234" */
	uint32_t block_size; /* statfs f_bsize: the unit of allocation (of transfer, on networks) */
	uint32_t name_max;   /* longest name in bytes */
	uint32_t physical_block; /* of the device below in bytes, 0 unknown */
	uint32_t atomic_write;   /* largest atomic write unit of the device in bytes, 0 unknown */
	bool aligned;      /* device and partition begin at multiples of 4096 bytes, or unknown */
	bool stable_pages; /* a page in write-back cannot change (btrfs, ZFS, stable_writes=1,
			      tmpfs and others that have no write-back): no waits needed */
	bool needs_ancestor_sync; /* fsync of a file may not keep symlinks beside its ancestors: all
				     but ext4, xfs, zfs, NFS and memory */
	bool network;             /* NFS, CIFS, Ceph, Gluster, FUSE: shared with other hosts */
};

/* ---- opening ---- */

/*
 * Opens directory `path` (a symlink to one is followed, here only) as the root of a store.
 * read_only: every modifying call then gives -EROFS, and the syncs do nothing. Sets err:
 * EXIT_REPO_MISSING, EXIT_NOT_REPO (no directory), EXIT_REPO_ACCESS (also: a read-only file system
 * without read_only), EXIT_IO.
 */
int store_open(const char *path, bool read_only, struct store **ret, struct err *err);
void store_close(struct store *st); /* NULL allowed */
DEFINE_CLEANUP(struct store *, store_close)
int store_root(const struct store *st);         /* descriptor of the root; owned by the store */
const char *store_path(const struct store *st); /* absolute path, for messages only */
bool store_read_only(const struct store *st);
const struct store_traits *store_traits(
	const struct store *st); /* valid after store_probe_static */

/* Replaces the system calls (tests only; before other threads use the store). ops is copied; NULL
 * means the real ones. */
void store_set_ops(struct store *st, const struct store_ops *ops);

/*
 * Learns traits without writing (statfs, sysfs). Fills warnings, one line each and "" if there are
 * none, into warn (may be NULL): block size or physical block under 4096, and so on. A line that
 * does not fit is left out. Before other threads use the store.
 */
int store_probe_static(struct store *st, char *warn, size_t warn_size);

/*
 * Tries, in a scratch directory inside the root that is removed again, what coffer needs: names
 * that differ only in case, 255-byte names, symlinks, hard links, holes, RENAME_NOREPLACE and
 * RENAME_EXCHANGE, OFD locks, user xattrs, POSIX ACLs. Refuses (EXIT_BACKING_UNFIT, naming each)
 * what would lose data; warns of what only weakens a promise. Includes store_probe_static. Leaves
 * nothing behind. Other errors: EXIT_REPO_ACCESS, EXIT_NO_SPACE, EXIT_IO. Used by init.
 */
int store_probe_active(struct store *st, char *warn, size_t warn_size, struct err *err);

/* ---- names ---- */

/*
 * O_NOFOLLOW, O_CLOEXEC and O_NOCTTY are added. A FIFO blocks unless O_NONBLOCK is given: where
 * storage could have planted one, give it and look at the type.
 */
int st_openat(struct store *st, int dirfd, const char *name, int flags, mode_t mode);
/*
 * Opens a regular file for reading (or reading and writing) even where its mode forbids it to us:
 * an owner without privilege adds u+rw for the moment of the open and puts the mode back (what that
 * relies on: forced_open.c; the caller holds the node's lock). -EISDIR, -ELOOP (a symlink),
 * -EINVAL: no regular file. Never waits for a FIFO. Read-only stores never change the mode:
 * -EACCES.
 */
int st_open_blob(struct store *st, int dirfd, const char *name, bool writable);
/*
 * Likewise for a directory whose mode lacks u+rx (O_RDONLY | O_DIRECTORY). The descriptor lists the
 * directory; to reach or change entries through it, its mode must allow that at that moment
 * (st_fchmod). -ENOTDIR: none.
 */
int st_open_dir(struct store *st, int dirfd, const char *name);
int st_fstat(struct store *st, int fd, struct stat *ret);
/* Of the entry itself, also if it is a symlink. */
int st_fstatat(struct store *st, int dirfd, const char *name, struct stat *ret);
int st_mkdirat(struct store *st, int dirfd, const char *name, mode_t mode);
int st_mknodat(struct store *st, int dirfd, const char *name, mode_t mode, dev_t dev);
int st_symlinkat(struct store *st, const char *target, int dirfd, const char *name);
int st_linkat(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new);
/* flags: 0 or AT_REMOVEDIR. */
int st_unlinkat(struct store *st, int dirfd, const char *name, int flags);
/* -EINVAL: the file system does not know the flags. */
int st_renameat2(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new,
	unsigned flags);
/* Fills buf and a terminating zero; -ENAMETOOLONG if it does not fit. Returns the length. */
ssize_t st_readlinkat(struct store *st, int dirfd, const char *name, char *buf, size_t size);
int st_fchmod(struct store *st, int fd, mode_t mode);
/* Never follows a symlink: -EOPNOTSUPP for one. */
int st_fchmodat(struct store *st, int dirfd, const char *name, mode_t mode);
/* Of the entry itself, also if it is a symlink. */
int st_fchownat(struct store *st, int dirfd, const char *name, uid_t uid, gid_t gid);
int st_utimensat(struct store *st, int dirfd, const char *name, const struct timespec ts[2]);
int st_futimens(struct store *st, int fd, const struct timespec ts[2]);
/*
 * Raw getdents64 at the descriptor's position; returns bytes filled, 0 at the end. buf is aligned
 * for struct dirent64, and the records are the kernel's (trustworthy in form, not in names).
 */
ssize_t st_getdents(struct store *st, int fd, void *buf, size_t size);

/* ---- content ---- */

/* Bytes read: less than asked for only at the end of the file. iov is not changed; n may exceed
 * IOV_MAX. */
ssize_t st_preadv(struct store *st, int fd, const struct iovec *iov, int n, off_t off);
ssize_t st_pread(struct store *st, int fd, void *buf, size_t len, off_t off);
/* 0 after everything was written; on an error an unknown prefix is. iov is not changed; n may
 * exceed IOV_MAX. */
int st_pwritev(struct store *st, int fd, const struct iovec *iov, int n, off_t off);
int st_pwrite(struct store *st, int fd, const void *buf, size_t len, off_t off);
int st_ftruncate(struct store *st, int fd, off_t len);
int st_fallocate(struct store *st, int fd, int mode, off_t off, off_t len);
/* The new position or -errno. */
off_t st_lseek(struct store *st, int fd, off_t off, int whence);
/* A failed sync is never repeated here: the kernel reports a lost write once. */
int st_fsync(struct store *st, int fd);
int st_fdatasync(struct store *st, int fd);
/* The whole file system that the root lies on. */
int st_syncfs(struct store *st);
/*
 * Makes a range clean: waits for write-back, writes, waits again (sync_file_range with all three
 * flags). No durability promise: it only ensures that nothing of the range is being written.
 * Falls back to fdatasync where the call is not supported.
 */
int st_settle_range(struct store *st, int fd, off_t off, off_t len);
int st_fstatfs(struct store *st, struct statfs *ret);

/*
 * ---- extended attributes: by descriptor, or (what cannot be opened: symlinks, devices) by
 * directory and name ---- The second kind needs /proc. Sizes and errors as getxattr(2),
 * setxattr(2), listxattr(2).
 */
ssize_t st_fgetxattr(struct store *st, int fd, const char *name, void *value, size_t size);
int st_fsetxattr(
	struct store *st, int fd, const char *name, const void *value, size_t size, int flags);
ssize_t st_flistxattr(struct store *st, int fd, char *list, size_t size);
int st_fremovexattr(struct store *st, int fd, const char *name);
ssize_t st_getxattrat(
	struct store *st, int dirfd, const char *entry, const char *name, void *value, size_t size);
int st_setxattrat(struct store *st, int dirfd, const char *entry, const char *name,
	const void *value, size_t size, int flags);
ssize_t st_listxattrat(struct store *st, int dirfd, const char *entry, char *list, size_t size);
int st_removexattrat(struct store *st, int dirfd, const char *entry, const char *name);

/* ---- whole small files (coffer.ini, state/) ---- */

/*
 * Reads a regular file of at most max bytes into malloc'ed memory (the caller frees) with a zero
 * after it. -EFBIG: larger; -EINVAL, -ELOOP: no regular file.
 */
int st_read_file(
	struct store *st, int dirfd, const char *name, size_t max, char **ret, size_t *ret_len);
/*
 * Replaces name durably and atomically: writes name.tmp, fsync, rename, fsync of the directory. A
 * crash at any point leaves the old or the new content. A leftover name.tmp is removed first. On an
 * error the old or, if only the last fsync failed, the new content is there.
 */
int st_replace_file(
	struct store *st, int dirfd, const char *name, const void *data, size_t len, mode_t mode);

#endif
