/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include "store/store_priv.h"

/* Flags with which open changes something, or gives a descriptor that can. */
#define OPEN_MODIFIES(flags)                                                                       \
	(((flags)&O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)) ||                     \
		((flags)&O_TMPFILE) == O_TMPFILE)

int store_check_name(const char *name)
{
	if (!name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

/* A directory descriptor and a name in it. A negative one could be AT_FDCWD, which would leave the
 * store. */
static int check_at(int dirfd, const char *name)
{
	return dirfd < 0 ? -EBADF : store_check_name(name);
}

static int check_change(const struct store *st, int dirfd, const char *name)
{
	return st->read_only ? -EROFS : check_at(dirfd, name);
}

int st_openat(struct store *st, int dirfd, const char *name, int flags, mode_t mode)
{
	int r = strcmp(name, ".") ? check_at(dirfd, name) : (dirfd < 0 ? -EBADF : 0);

	if (r < 0)
		return r;
	if (st->read_only && OPEN_MODIFIES(flags))
		return -EROFS;
	return RESULT(st->ops.openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode));
}

int st_fstat(struct store *st, int fd, struct stat *ret)
{
	(void)st;
	return RESULT(fstat(fd, ret));
}

int st_fstatat(struct store *st, int dirfd, const char *name, struct stat *ret)
{
	int r = check_at(dirfd, name);

	(void)st;
	return r < 0 ? r : RESULT(fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW));
}

int st_mkdirat(struct store *st, int dirfd, const char *name, mode_t mode)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.mkdirat(dirfd, name, mode));
}

int st_mknodat(struct store *st, int dirfd, const char *name, mode_t mode, dev_t dev)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.mknodat(dirfd, name, mode, dev));
}

int st_symlinkat(struct store *st, const char *target, int dirfd, const char *name)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.symlinkat(target, dirfd, name));
}

int st_linkat(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new)
{
	int r = check_change(st, olddirfd, old);

	if (r == 0)
		r = check_at(newdirfd, new);
	return r < 0 ? r : RESULT(st->ops.linkat(olddirfd, old, newdirfd, new, 0));
}

int st_unlinkat(struct store *st, int dirfd, const char *name, int flags)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.unlinkat(dirfd, name, flags));
}

int st_renameat2(struct store *st, int olddirfd, const char *old, int newdirfd, const char *new,
	unsigned flags)
{
	int r = check_change(st, olddirfd, old);

	if (r == 0)
		r = check_at(newdirfd, new);
	return r < 0 ? r : RESULT(st->ops.renameat2(olddirfd, old, newdirfd, new, flags));
}

ssize_t st_readlinkat(struct store *st, int dirfd, const char *name, char *buf, size_t size)
{
	ssize_t n = check_at(dirfd, name);

	(void)st;
	if (n < 0)
		return n;
	if (size == 0)
		return -ENAMETOOLONG;
	n = RESULT(readlinkat(dirfd, name, buf, size));
	if (n < 0)
		return n;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return n;
}

int st_fchmod(struct store *st, int fd, mode_t mode)
{
	return st->read_only ? -EROFS : RESULT(st->ops.fchmod(fd, mode));
}

int st_fchmodat(struct store *st, int dirfd, const char *name, mode_t mode)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.fchmodat(dirfd, name, mode, AT_SYMLINK_NOFOLLOW));
}

int st_fchownat(struct store *st, int dirfd, const char *name, uid_t uid, gid_t gid)
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

int st_utimensat(struct store *st, int dirfd, const char *name, const struct timespec ts[2])
{
	int r = check_change(st, dirfd, name);

	return r < 0 ? r : RESULT(st->ops.utimensat(dirfd, name, ts, AT_SYMLINK_NOFOLLOW));
}

int st_futimens(struct store *st, int fd, const struct timespec ts[2])
{
	return st->read_only ? -EROFS : RESULT(st->ops.utimensat(fd, NULL, ts, 0));
}

ssize_t st_getdents(struct store *st, int fd, void *buf, size_t size)
{
	(void)st;
	return RESULT((ssize_t)syscall(SYS_getdents64, fd, buf, size));
}
