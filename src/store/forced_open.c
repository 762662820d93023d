/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Opening what its mode forbids to an owner without privilege. A program may write a file of mode
 * 0444 or 0000 through a descriptor it already has, and the daemon must then read and rewrite whole
 * records of it; only permissions of the *mount* decide what programs may do.
 *
 * The mode is widened for the moment of the open and put back. What this relies on and costs:
 * - One mount owns the repository and the caller holds the node's lock, so nobody else changes the
 * mode meanwhile. A chmod that some other program makes on the blob in between is undone.
 * - A crash in between leaves u+rw (u+rx for directories) in the mode: the owner gains what he
 * could give himself anyway; nobody else gains anything.
 * - The inode is pinned with O_PATH and reached through /proc/self/fd, so a name that is exchanged
 *   meanwhile changes nothing.
 * - ctime moves. Set-group-ID is lost where the owner is no member of the group (chmod(2)).
 */
#include <fcntl.h>
#include "store/store_priv.h"

static int reopen_widened(
	struct store *st, int dirfd, const char *name, int flags, mode_t need, mode_t type)
{
	_cleanup_close_ int pin = -1;
	_cleanup_close_ int fd = -1;
	char path[40];
	struct stat sb;
	int r, back;

	pin = st_openat(st, dirfd, name, O_PATH, 0);
	if (pin < 0)
		return pin;
	r = st_fstat(st, pin, &sb);
	if (r < 0)
		return r;
	if ((sb.st_mode & S_IFMT) != type)
		return -EINVAL;
	/* Only a missing mode bit of our own object can be mended. */
	if (sb.st_uid != geteuid() || (sb.st_mode & need) == need)
		return -EACCES;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pin);
	r = RESULT(st->ops.fchmodat(AT_FDCWD, path, (sb.st_mode | need) & 07777, 0));
	if (r < 0)
		return r == -EPERM || r == -ENOENT ? -EACCES : r;
	fd = RESULT(st->ops.openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, 0));
	back = RESULT(st->ops.fchmodat(AT_FDCWD, path, sb.st_mode & 07777, 0));
	if (fd < 0)
		return fd;
	if (back < 0)
		return back;
	return TAKE_FD(fd);
}

int st_open_blob(struct store *st, int dirfd, const char *name, bool writable)
{
	/* O_NONBLOCK: a FIFO that was planted under this name must not stop the daemon. */
	int flags = (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK;
	mode_t need = S_IRUSR | (writable ? S_IWUSR : 0);
	_cleanup_close_ int fd = -1;
	struct stat sb;
	int r;

	fd = st_openat(st, dirfd, name, flags, 0);
	if (fd == -EACCES && !st->read_only)
		fd = reopen_widened(st, dirfd, name, flags, need, S_IFREG);
	if (fd < 0)
		return fd;
	r = st_fstat(st, fd, &sb);
	if (r < 0)
		return r;
	if (!S_ISREG(sb.st_mode))
		return S_ISDIR(sb.st_mode) ? -EISDIR : -EINVAL;
	return TAKE_FD(fd);
}

int st_open_dir(struct store *st, int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY;
	int fd = st_openat(st, dirfd, name, flags, 0);

	if (fd == -EACCES && !st->read_only)
		fd = reopen_widened(st, dirfd, name, flags, S_IRUSR | S_IXUSR, S_IFDIR);
	return fd;
}
