/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/ops.h"

dev_t mount_device(const char *mountpoint)
{
	struct stat st;
	return stat(mountpoint, &st) == 0 ? st.st_dev : 0;
}

/* As an ordinary user the set-uid helper of fuse3 does it. */
static int run_fusermount(const char *mountpoint, bool lazy)
{
	extern char **environ;
	const char *argv[] = {
		"fusermount3", "-u", "-q", lazy ? "-z" : "-q", "--", mountpoint, NULL};
	pid_t pid;
	int status, r = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int unmount_path(const char *mountpoint, dev_t dev, bool lazy)
{
	/* Somebody may have unmounted us and mounted something else there. */
	if (dev == 0 || mount_device(mountpoint) != dev)
		return -EINVAL;
	if (geteuid() != 0)
		return run_fusermount(mountpoint, lazy);
	return umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) < 0 ? -errno : 0;
}
