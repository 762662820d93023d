/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/mountpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "cmd/mountinfo.h"
#include "cmd/unmount.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Answers that only a mount without a living daemon gives. */
static bool is_dead(int error)
{
	return error == ENOTCONN || error == ECONNABORTED;
}

static int missing(const char *path, int r, struct err *err)
{
	if (r == -ENOENT)
		return err_set(err, EXIT_MOUNTPOINT, r, "the mount point %s does not exist", path);
	if (r == -ENOTDIR)
		return err_set(
			err, EXIT_MOUNTPOINT, r, "the mount point %s is not a directory", path);
	return err_set_errno(err, EXIT_MOUNTPOINT, r, "the mount point %s", path);
}

/*
 * Asks the daemon itself: the kernel answers stat(2) and open(2) for a mount whose daemon is gone
 * from its caches, but never statfs(2).
 */
static bool mount_is_dead(const char *mountpoint)
{
	struct statfs fs;
	return statfs(mountpoint, &fs) < 0 && is_dead(errno);
}

/* 1: took a dead mount away; 0: there is none of ours. */
static int clear_one(const char *path, struct err *err)
{
	struct mount_list list;
	int rc = mount_list_read(&list, err);
	if (rc < 0)
		return rc;
	const struct mount_entry *e = mount_list_find(&list, path);
	if (!e) {
		rc = 0;
	} else if (mount_is_dead(e->mountpoint)) {
		rc = unmount_at(e->mountpoint, true, err);
		if (rc == 0) {
			log_info("%s: cleared a mount whose daemon is gone", e->mountpoint);
			rc = 1;
		}
	} else {
		rc = err_set(err, EXIT_MOUNTPOINT, -EBUSY,
			"%s is mounted at %s already: `coffer umount` it first, or choose another "
			"mount point",
			e->source, e->mountpoint);
	}
	mount_list_clear(&list);
	return rc;
}

/* Several dead mounts may lie on top of each other. */
static int clear_dead(const char *path, struct err *err)
{
	int rc = 1;
	for (int round = 0; rc == 1 && round < 100; round++)
		rc = clear_one(path, err);
	if (rc != 0)
		return rc < 0 ? rc
			      : err_set(err, EXIT_MOUNTPOINT, -EBUSY,
					"%s: too many mounts on top of each other", path);
	struct stat sb;
	if (stat(path, &sb) < 0 && is_dead(errno))
		return err_set(err, EXIT_MOUNTPOINT, -ENOTCONN,
			"%s is a dead mount, but not one of coffer's: unmount it first", path);
	return 0;
}

static int check_empty(const char *path, struct err *err)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	if (!d)
		return missing(path, -errno, err);
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e && errno)
			return missing(path, -errno, err);
		if (!e)
			return 0;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return err_set(err, EXIT_MOUNTPOINT, -ENOTEMPTY,
				"the mount point %s is not empty (mount over it all the same: -o "
				"nonempty)",
				path);
	}
}

int mountpoint_prepare(const char *path, bool nonempty, char **ret, struct err *err)
{
	int rc = clear_dead(path, err);
	if (rc < 0)
		return rc;
	struct stat sb;
	if (stat(path, &sb) < 0)
		return missing(path, -errno, err);
	if (!S_ISDIR(sb.st_mode))
		return missing(path, -ENOTDIR, err);
	_cleanup_free_ char *real = realpath(path, NULL);
	if (!real)
		return missing(path, -errno, err);
	rc = nonempty ? 0 : check_empty(real, err);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(real);
	return 0;
}

/* True if path is dir or lies in it. */
static bool is_inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	if (n == 1) /* "/" */
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int mountpoint_check_nesting(const char *mountpoint, const char *repository, struct err *err)
{
	if (is_inside(mountpoint, repository))
		return err_set(err, EXIT_MOUNTPOINT, -EINVAL,
			"the mount point %s is inside the repository %s", mountpoint, repository);
	if (is_inside(repository, mountpoint))
		return err_set(err, EXIT_MOUNTPOINT, -EINVAL,
			"the repository %s is inside the mount point %s, which would hide it",
			repository, mountpoint);
	return 0;
}
