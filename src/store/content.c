/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include "store/store_priv.h"

/* A position in a caller's vector, which stays unchanged. */
struct cursor {
	const struct iovec *iov;
	int n;
	size_t done; /* bytes of iov[0] already transferred */
};

/* Steps over elements that hold nothing more. */
static void cursor_trim(struct cursor *c)
{
	while (c->n > 0 && c->done >= c->iov->iov_len) {
		c->done = 0;
		c->iov++;
		c->n--;
	}
}

static void cursor_advance(struct cursor *c, size_t bytes)
{
	while (c->n > 0 && bytes >= c->iov->iov_len - c->done) {
		bytes -= c->iov->iov_len - c->done;
		c->done = 0;
		c->iov++;
		c->n--;
	}
	c->done += bytes;
}

/*
 * The next vector to pass to the kernel: the rest of a half-done element on its own (in *part),
 * else all that one call takes.
 */
static const struct iovec *cursor_window(const struct cursor *c, struct iovec *part, int *ret_n)
{
	if (c->done > 0) {
		part->iov_base = (char *)c->iov->iov_base + c->done;
		part->iov_len = c->iov->iov_len - c->done;
		*ret_n = 1;
		return part;
	}
	*ret_n = c->n < IOV_MAX ? c->n : IOV_MAX;
	return c->iov;
}

ssize_t st_preadv(struct store *st, int fd, const struct iovec *iov, int n, off_t off)
{
	struct cursor c = {.iov = iov, .n = n};
	ssize_t total = 0;

	for (cursor_trim(&c); c.n > 0; cursor_trim(&c)) {
		struct iovec part;
		int count;
		const struct iovec *window = cursor_window(&c, &part, &count);
		ssize_t got = RESULT(st->ops.preadv(fd, window, count, off + total));

		if (got < 0)
			return got;
		if (got == 0)
			break;
		total += got;
		cursor_advance(&c, (size_t)got);
	}
	return total;
}

ssize_t st_pread(struct store *st, int fd, void *buf, size_t len, off_t off)
{
	const struct iovec iov = {.iov_base = buf, .iov_len = len};

	return st_preadv(st, fd, &iov, 1, off);
}

int st_pwritev(struct store *st, int fd, const struct iovec *iov, int n, off_t off)
{
	struct cursor c = {.iov = iov, .n = n};

	if (st->read_only)
		return -EROFS;
	for (cursor_trim(&c); c.n > 0; cursor_trim(&c)) {
		struct iovec part;
		int count;
		const struct iovec *window = cursor_window(&c, &part, &count);
		ssize_t put = RESULT(st->ops.pwritev(fd, window, count, off));

		if (put < 0)
			return (int)put;
		/* There was something to write: no progress without an error would loop for ever.
		 */
		if (put == 0)
			return -EIO;
		off += put;
		cursor_advance(&c, (size_t)put);
	}
	return 0;
}

int st_pwrite(struct store *st, int fd, const void *buf, size_t len, off_t off)
{
	const struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};

	return st_pwritev(st, fd, &iov, 1, off);
}

int st_ftruncate(struct store *st, int fd, off_t len)
{
	return st->read_only ? -EROFS : RESULT(st->ops.ftruncate(fd, len));
}

int st_fallocate(struct store *st, int fd, int mode, off_t off, off_t len)
{
	return st->read_only ? -EROFS : RESULT(st->ops.fallocate(fd, mode, off, len));
}

off_t st_lseek(struct store *st, int fd, off_t off, int whence)
{
	(void)st;
	return RESULT(lseek(fd, off, whence));
}

/* A read-only store has nothing that could be made durable, and must not cause writes. */
int st_fsync(struct store *st, int fd)
{
	return st->read_only ? 0 : RESULT(st->ops.fsync(fd));
}

int st_fdatasync(struct store *st, int fd)
{
	return st->read_only ? 0 : RESULT(st->ops.fdatasync(fd));
}

int st_syncfs(struct store *st)
{
	return st->read_only ? 0 : RESULT(st->ops.syncfs(st->root));
}

int st_settle_range(struct store *st, int fd, off_t off, off_t len)
{
	int r;

	if (st->read_only)
		return 0;
	r = RESULT(st->ops.sync_file_range(fd, off, len,
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	if (r == -ENOSYS || r == -ESPIPE || r == -EINVAL)
		r = st_fdatasync(st, fd);
	return r;
}

int st_fstatfs(struct store *st, struct statfs *ret)
{
	return RESULT(fstatfs(st->root, ret));
}
