/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/cleanup.h"

bool fusermount_exists(void)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *copy = strdup(path && *path ? path : "/usr/bin:/bin");
	char *save = NULL;
	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir;
		dir = strtok_r(NULL, ":", &save)) {
		_cleanup_free_ char *file = NULL;
		if (asprintf(&file, "%s/fusermount3", dir) < 0) {
			file = NULL;
			continue;
		}
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* In the child: standard error into the pipe, messages untranslated so that "busy" can be told. */
static void exec_fusermount(const char *mountpoint, bool lazy, int out)
{
	if (dup2(out, STDERR_FILENO) < 0 || setenv("LC_ALL", "C", 1) < 0)
		_exit(127);
	if (lazy)
		(void)execlp(
			"fusermount3", "fusermount3", "-u", "-z", "--", mountpoint, (char *)NULL);
	else
		(void)execlp("fusermount3", "fusermount3", "-u", "--", mountpoint, (char *)NULL);
	_exit(127);
}

/* Reads to the end; keeps what fits, without the last newline. */
static void read_message(int fd, char *out, size_t size)
{
	size_t used = 0;
	char scrap[256];
	for (;;) {
		bool keep = used + 1 < size;
		ssize_t n = keep ? read(fd, out + used, size - 1 - used)
				 : read(fd, scrap, sizeof(scrap));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (keep)
			used += (size_t)n;
	}
	while (used > 0 && out[used - 1] == '\n')
		used--;
	out[used] = '\0';
}

static int run_fusermount(const char *mountpoint, bool lazy, char *message, size_t size)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int out = ends[0];
	_cleanup_close_ int in = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		exec_fusermount(mountpoint, lazy, in);
	close(TAKE_FD(in));
	read_message(out, message, size);
	int status;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return strcasestr(message, "busy") ? -EBUSY : -EIO;
}

static int unmount_as_user(const char *mountpoint, bool lazy, struct err *err)
{
	char message[256] = "";
	int rc = run_fusermount(mountpoint, lazy, message, sizeof(message));
	if (rc == -ENOENT)
		return err_set(err, EXIT_FUSE, rc,
			"fusermount3 cannot be run: users other than root need it (Debian: fuse3)");
	if (rc == -EBUSY)
		return err_set(err, EXIT_BUSY, rc, "%s is in use", mountpoint);
	if (rc < 0)
		return err_set(err, EXIT_FUSE, rc, "cannot unmount %s: %s", mountpoint,
			message[0] ? message : "fusermount3 failed");
	return 0;
}

int unmount_at(const char *mountpoint, bool lazy, struct err *err)
{
	if (geteuid() != 0)
		return unmount_as_user(mountpoint, lazy, err);
	if (umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, EXIT_BUSY, -EBUSY, "%s is in use", mountpoint);
	return err_set_errno(err, EXIT_FUSE, -errno, "cannot unmount %s", mountpoint);
}
