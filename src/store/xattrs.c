/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/xattr.h>
#include "store/store_priv.h"

/* Symlinks and device nodes cannot be opened, and there is no getxattrat: /proc makes a path of the
 * descriptor. */
#define AT_PATH_SIZE (NAME_MAX + 32)

static int at_path(int dirfd, const char *entry, char path[AT_PATH_SIZE])
{
	int r = dirfd < 0 ? -EBADF : store_check_name(entry);

	if (r < 0)
		return r;
	if (snprintf(path, AT_PATH_SIZE, "/proc/self/fd/%d/%s", dirfd, entry) >= AT_PATH_SIZE)
		return -ENAMETOOLONG;
	return 0;
}

ssize_t st_fgetxattr(struct store *st, int fd, const char *name, void *value, size_t size)
{
	(void)st;
	return RESULT(fgetxattr(fd, name, value, size));
}

int st_fsetxattr(
	struct store *st, int fd, const char *name, const void *value, size_t size, int flags)
{
	if (st->read_only)
		return -EROFS;
	return RESULT(st->ops.setxattr(NULL, fd, name, value, size, flags));
}

ssize_t st_flistxattr(struct store *st, int fd, char *list, size_t size)
{
	(void)st;
	return RESULT(flistxattr(fd, list, size));
}

int st_fremovexattr(struct store *st, int fd, const char *name)
{
	return st->read_only ? -EROFS : RESULT(st->ops.removexattr(NULL, fd, name));
}

ssize_t st_getxattrat(
	struct store *st, int dirfd, const char *entry, const char *name, void *value, size_t size)
{
	char path[AT_PATH_SIZE];
	int r = at_path(dirfd, entry, path);

	(void)st;
	return r < 0 ? r : RESULT(lgetxattr(path, name, value, size));
}

int st_setxattrat(struct store *st, int dirfd, const char *entry, const char *name,
	const void *value, size_t size, int flags)
{
	char path[AT_PATH_SIZE];
	int r = st->read_only ? -EROFS : at_path(dirfd, entry, path);

	return r < 0 ? r : RESULT(st->ops.setxattr(path, -1, name, value, size, flags));
}

ssize_t st_listxattrat(struct store *st, int dirfd, const char *entry, char *list, size_t size)
{
	char path[AT_PATH_SIZE];
	int r = at_path(dirfd, entry, path);

	(void)st;
	return r < 0 ? r : RESULT(llistxattr(path, list, size));
}

int st_removexattrat(struct store *st, int dirfd, const char *entry, const char *name)
{
	char path[AT_PATH_SIZE];
	int r = st->read_only ? -EROFS : at_path(dirfd, entry, path);

	return r < 0 ? r : RESULT(st->ops.removexattr(path, -1, name));
}
