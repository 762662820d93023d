/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include "store/lock.h"
#include "store/lock_text.h"
#include "store/store_priv.h"

/* An OFD lock belongs to the open file description: it survives fork and ends with the last
 * descriptor. */
static int ofd_lock(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int r = RESULT(fcntl(fd, F_OFD_SETLK, &fl));

	return r == -EACCES || r == -EAGAIN ? -EBUSY : r;
}

static int open_state(struct store *st)
{
	return st_openat(st, st->root, "state", O_RDONLY | O_DIRECTORY, 0);
}

/* state/ may have been lost: that must not lose the files, so it is made anew (not in a directory
 * of another kind). */
static int make_state(struct store *st)
{
	struct stat sb;
	int r;

	r = st_fstatat(st, st->root, "coffer.ini", &sb);
	if (r == 0)
		r = st_mkdirat(st, st->root, "state", 0700);
	if (r == 0)
		r = st_fsync(st, st->root);
	return r < 0 ? r : open_state(st);
}

static int open_lock(struct store *st, int flags)
{
	_cleanup_close_ int state = open_state(st);
	_cleanup_close_ int fd = -1;
	struct stat sb;
	int r;

	if (state == -ENOENT && (flags & O_CREAT))
		state = make_state(st);
	if (state < 0)
		return state;
	fd = st_openat(st, state, "lock", flags | O_NONBLOCK, 0600);
	if (fd < 0)
		return fd;
	r = st_fstat(st, fd, &sb);
	if (r < 0)
		return r;
	return S_ISREG(sb.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

/* 1 and the holder, 0 if the text names nobody, or -errno. What lies beyond LOCK_TEXT_MAX is not
 * ours. */
static int read_holder(struct store *st, int fd, struct lock_holder *ret)
{
	_cleanup_free_ char *text = malloc(LOCK_TEXT_MAX);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	n = st_pread(st, fd, text, LOCK_TEXT_MAX, 0);
	if (n < 0)
		return (int)n;
	return lock_text_parse(text, (size_t)n, ret);
}

static int own_host(char host[256])
{
	if (gethostname(host, 256) < 0)
		return -errno;
	host[255] = 0;
	return 0;
}

/*
 * The text in place first, then the length: a crash in between leaves at worst a longer text whose
 * first lines are ours. fsync, so that other hosts see it even after this one has died.
 */
static int write_holder(struct store *st, int fd, const char *mountpoint)
{
	_cleanup_free_ char *text = malloc(LOCK_TEXT_MAX);
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	size_t len;
	int r;

	if (!text || !h)
		return -ENOMEM;
	r = own_host(h->host);
	if (r < 0)
		return r;
	h->pid = getpid();
	h->since = time(NULL);
	/* Cut rather than refused: it only serves messages. */
	snprintf(h->mountpoint, sizeof(h->mountpoint), "%s", mountpoint ? mountpoint : "");
	len = lock_text_format(h, text);
	r = st_pwrite(st, fd, text, len, 0);
	if (r == 0)
		r = st_ftruncate(st, fd, (off_t)len);
	return r < 0 ? r : st_fsync(st, fd);
}

static void format_time(long long since, char *out, size_t size)
{
	time_t t = (time_t)since;
	struct tm tm;

	if (since <= 0 || !localtime_r(&t, &tm) ||
		strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, size, "an unknown time");
}

/* Printable form of names that come from the file; messages are short, so are these. */
static const char *quoted(const char *name, char *out, size_t size)
{
	size_t n = 0;

	for (; *name && n + 1 < size; name++)
		out[n++] = *name >= ' ' && *name < 127 ? *name : '?';
	out[n] = 0;
	return out;
}

static int say_held(struct store *st, const struct lock_holder *h, struct err *err)
{
	char when[64], where[256], host[256], own[256];

	format_time(h->since, when, sizeof(when));
	quoted(h->host, host, sizeof(host));
	if (own_host(own) == 0 && strcmp(own, h->host) != 0)
		return err_set(err, EXIT_REPO_IN_USE, -EBUSY,
			"%s is in use on host %s by process %ld since %s", st->path, host, h->pid,
			when);
	if (h->mountpoint[0])
		return err_set(err, EXIT_REPO_IN_USE, -EBUSY,
			"%s is mounted already at %s (process %ld, since %s)", st->path,
			quoted(h->mountpoint, where, sizeof(where)), h->pid, when);
	return err_set(err, EXIT_REPO_IN_USE, -EBUSY, "%s is in use by process %ld since %s",
		st->path, h->pid, when);
}

static int say_busy(struct store *st, int fd, struct err *err)
{
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));

	/* The holder may be about to write its text. */
	if (h && read_holder(st, fd, h) == 1)
		return say_held(st, h, err);
	return err_set(err, EXIT_REPO_IN_USE, -EBUSY, "%s is in use by another process", st->path);
}

static int say_foreign(struct store *st, const struct lock_holder *h, struct err *err)
{
	char when[64], host[256];

	format_time(h->since, when, sizeof(when));
	return err_set(err, EXIT_REPO_IN_USE, -EBUSY,
		"%s is in use by host %s (process %ld, since %s), or that host ended without "
		"unmounting it. If it no longer uses the repository: coffer break-lock %s",
		st->path, quoted(h->host, host, sizeof(host)), h->pid, when, st->path);
}

static int say_failed(struct store *st, int r, struct err *err)
{
	enum exit_code code = EXIT_IO;

	if (r == -ENOLCK || r == -ENOSYS || r == -EOPNOTSUPP)
		return err_set_errno(err, EXIT_BACKING_UNFIT, r,
			"%s: the file system does not support the locks that keep two mounts from "
			"writing at once (OFD locks)",
			st->path);
	if (r == -EROFS || r == -EACCES || r == -EPERM)
		code = EXIT_REPO_ACCESS;
	else if (r == -ENOSPC || r == -EDQUOT)
		code = EXIT_NO_SPACE;
	else if (r == -ENOENT)
		code = EXIT_NOT_REPO;
	else if (r == -ENOMEM)
		code = EXIT_INTERNAL;
	return err_set_errno(err, code, r, "%s: cannot lock state/lock", st->path);
}

/* 1 if another host claims the repository (*ret), 0 if nobody or this host does, or -errno. */
static int foreign_claim(struct store *st, int fd, struct lock_holder *ret)
{
	char own[256];
	int r;

	r = read_holder(st, fd, ret);
	if (r <= 0)
		return r;
	r = own_host(own);
	if (r < 0)
		return r;
	return strcmp(own, ret->host) != 0;
}

int lock_take(struct store *st, const char *mountpoint, struct err *err)
{
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	_cleanup_close_ int fd = -1;
	int r;

	if (!h)
		return say_failed(st, -ENOMEM, err);
	if (st->read_only) {
		fd = open_lock(st, O_RDONLY);
		return fd < 0 && fd != -ENOENT ? say_failed(st, fd, err) : TAKE_FD(fd);
	}
	fd = open_lock(st, O_RDWR | O_CREAT);
	if (fd < 0)
		return say_failed(st, fd, err);
	r = ofd_lock(fd);
	if (r == -EBUSY)
		return say_busy(st, fd, err);
	if (r == 0)
		r = foreign_claim(st, fd, h);
	if (r == 1)
		return say_foreign(st, h, err);
	/* Nobody, or a daemon of this host that has died: had it lived, it would hold the lock. */
	if (r == 0)
		r = write_holder(st, fd, mountpoint);
	if (r < 0)
		return say_failed(st, r, err);
	return TAKE_FD(fd);
}

void lock_release(struct store *st, int fd)
{
	if (fd < 0)
		return;
	/* Best effort: a text that stays is this host's, and its next mount takes over. */
	if (!st->read_only && st_ftruncate(st, fd, 0) == 0)
		(void)st_fsync(st, fd);
	close(fd);
}

int lock_query(struct store *st, struct lock_holder *ret, bool *ret_held)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	_cleanup_close_ int fd = -1;
	bool held;
	int r;

	if (!h)
		return -ENOMEM;
	fd = open_lock(st, O_RDONLY);
	if (fd < 0)
		return fd;
	r = read_holder(st, fd, h);
	if (r < 0)
		return r;
	/* Locks unsupported: nothing can hold one. */
	held = RETRY(fcntl(fd, F_OFD_GETLK, &fl)) == 0 && fl.l_type != F_UNLCK;
	if (r == 0 && !held)
		return -ENOENT;
	*ret = *h;
	*ret_held = held;
	return 0;
}

int lock_break(struct store *st, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = open_lock(st, O_RDWR);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return say_failed(st, fd, err);
	r = ofd_lock(fd);
	if (r == -EBUSY)
		return say_busy(st, fd, err);
	if (r == 0)
		r = st_ftruncate(st, fd, 0);
	if (r == 0)
		r = st_fsync(st, fd);
	return r < 0 ? say_failed(st, r, err) : 0;
}
