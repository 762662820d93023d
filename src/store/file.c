/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include "store/store_priv.h"

int st_read_file(
	struct store *st, int dirfd, const char *name, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	_cleanup_close_ int fd = -1;
	struct stat sb;
	ssize_t n;
	int r;

	/* Not blocked by a FIFO that was planted under this name. */
	fd = st_openat(st, dirfd, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	r = st_fstat(st, fd, &sb);
	if (r < 0)
		return r;
	if (!S_ISREG(sb.st_mode))
		return -EINVAL;
	if (sb.st_size < 0 || (uint64_t)sb.st_size > max)
		return -EFBIG;
	buf = malloc((size_t)sb.st_size + 1);
	if (!buf)
		return -ENOMEM;
	n = st_pread(st, fd, buf, (size_t)sb.st_size, 0);
	if (n < 0)
		return (int)n;
	buf[n] = 0;
	*ret = TAKE_PTR(buf);
	*ret_len = (size_t)n;
	return 0;
}

/* fsync of a directory; file systems that refuse that for directories get a syncfs instead. */
static int sync_dir(struct store *st, int dirfd)
{
	int r = st_fsync(st, dirfd);

	return r == -EINVAL ? st_syncfs(st) : r;
}

static int write_new(
	struct store *st, int dirfd, const char *tmp, const void *data, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* Whatever lies there (a link to elsewhere, a FIFO) is not written to. */
	r = st_unlinkat(st, dirfd, tmp, 0);
	if (r < 0 && r != -ENOENT)
		return r;
	fd = st_openat(st, dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	r = st_pwrite(st, fd, data, len, 0);
	if (r == 0)
		r = st_fchmod(st, fd, mode);
	/* Before the rename: else a power cut can leave the new name with no content. */
	if (r == 0)
		r = st_fsync(st, fd);
	return r;
}

int st_replace_file(
	struct store *st, int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	char tmp[NAME_MAX + 1];
	int r;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	r = store_check_name(name);
	if (r == 0)
		r = write_new(st, dirfd, tmp, data, len, mode);
	if (r == 0)
		r = st_renameat2(st, dirfd, tmp, dirfd, name, 0);
	if (r < 0) {
		/* Best effort: the next replacement removes a leftover. */
		(void)st_unlinkat(st, dirfd, tmp, 0);
		return r;
	}
	return sync_dir(st, dirfd);
}
