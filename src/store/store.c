/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include "store/store_priv.h"

static int real_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return openat(dirfd, name, flags, mode);
}

/* Not every libc has a function for it. */
static int real_renameat2(
	int olddirfd, const char *old, int newdirfd, const char *new, unsigned flags)
{
	return (int)syscall(SYS_renameat2, olddirfd, old, newdirfd, new, flags);
}

/* The libc function refuses a NULL name, which means the descriptor itself. */
static int real_utimensat(int dirfd, const char *name, const struct timespec ts[2], int flags)
{
	return name ? utimensat(dirfd, name, ts, flags) : futimens(dirfd, ts);
}

static int real_sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	return sync_file_range(fd, off, len, flags);
}

static int real_setxattr(
	const char *path, int fd, const char *name, const void *value, size_t size, int flags)
{
	return path ? lsetxattr(path, name, value, size, flags)
		    : fsetxattr(fd, name, value, size, flags);
}

static int real_removexattr(const char *path, int fd, const char *name)
{
	return path ? lremovexattr(path, name) : fremovexattr(fd, name);
}

const struct store_ops store_real_ops = {
	.openat = real_openat,
	.mkdirat = mkdirat,
	.mknodat = mknodat,
	.symlinkat = symlinkat,
	.linkat = linkat,
	.unlinkat = unlinkat,
	.renameat2 = real_renameat2,
	.fchmod = fchmod,
	.fchmodat = fchmodat,
	.fchownat = fchownat,
	.utimensat = real_utimensat,
	.ftruncate = ftruncate,
	.fallocate = fallocate,
	.pwritev = pwritev,
	.preadv = preadv,
	.fsync = fsync,
	.fdatasync = fdatasync,
	.syncfs = syncfs,
	.sync_file_range = real_sync_file_range,
	.setxattr = real_setxattr,
	.removexattr = real_removexattr,
};

void store_set_ops(struct store *st, const struct store_ops *ops)
{
	const struct store_ops none = {0};

	if (!ops)
		ops = &none;
#define CHOOSE(member) st->ops.member = ops->member ? ops->member : store_real_ops.member
	CHOOSE(openat);
	CHOOSE(mkdirat);
	CHOOSE(mknodat);
	CHOOSE(symlinkat);
	CHOOSE(linkat);
	CHOOSE(unlinkat);
	CHOOSE(renameat2);
	CHOOSE(fchmod);
	CHOOSE(fchmodat);
	CHOOSE(fchownat);
	CHOOSE(utimensat);
	CHOOSE(ftruncate);
	CHOOSE(fallocate);
	CHOOSE(pwritev);
	CHOOSE(preadv);
	CHOOSE(fsync);
	CHOOSE(fdatasync);
	CHOOSE(syncfs);
	CHOOSE(sync_file_range);
	CHOOSE(setxattr);
	CHOOSE(removexattr);
#undef CHOOSE
}

static int open_error(const char *path, int r, struct err *err)
{
	switch (-r) {
	case ENOENT:
		return err_set(err, EXIT_REPO_MISSING, r, "%s does not exist", path);
	case ENOTDIR:
		return err_set(err, EXIT_NOT_REPO, r, "%s is not a directory", path);
	case EACCES:
	case EPERM:
		return err_set(err, EXIT_REPO_ACCESS, r, "%s: no permission to open it", path);
	case ENOMEM:
		return err_set(err, EXIT_INTERNAL, r, "out of memory");
	case ENAMETOOLONG:
	case ELOOP:
		return err_set_errno(err, EXIT_REPO_MISSING, r, "%s", path);
	}
	return err_set_errno(err, EXIT_IO, r, "cannot open %s", path);
}

int store_open(const char *path, bool read_only, struct store **ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *absolute = NULL;
	struct statvfs vfs;
	struct store *st;

	fd = RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return open_error(path, -errno, err);
	absolute = realpath(path, NULL);
	if (!absolute)
		return open_error(path, -errno, err);
	if (fstatvfs(fd, &vfs) < 0)
		return open_error(path, -errno, err);
	if (!read_only && (vfs.f_flag & ST_RDONLY))
		return err_set(err, EXIT_REPO_ACCESS, -EROFS,
			"%s is on a read-only file system; only a read-only mount is possible",
			path);
	st = calloc(1, sizeof(*st));
	if (!st)
		return open_error(path, -ENOMEM, err);
	st->root = TAKE_FD(fd);
	st->path = TAKE_PTR(absolute);
	st->read_only = read_only;
	store_set_ops(st, NULL);
	*ret = st;
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	close(st->root);
	free(st->path);
	free(st);
}

int store_root(const struct store *st)
{
	return st->root;
}

const char *store_path(const struct store *st)
{
	return st->path;
}

bool store_read_only(const struct store *st)
{
	return st->read_only;
}

const struct store_traits *store_traits(const struct store *st)
{
	return &st->traits;
}

void store_warn(char *warn, size_t size, const char *fmt, ...)
{
	size_t used, need;
	va_list ap;
	int n;

	if (!warn || size == 0)
		return;
	used = strlen(warn);
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	need = (size_t)n + (used > 0) + 1;
	if (used >= size || size - used < need)
		return;
	if (used > 0)
		warn[used++] = '\n';
	va_start(ap, fmt);
	vsnprintf(warn + used, size - used, fmt, ap);
	va_end(ap);
}
