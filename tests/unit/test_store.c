/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: names, content, attributes, and what it does when the system calls below do their
 * worst. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "scratch.h"
#include "store/store.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	char *path;
	struct store *st;
	int root;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = scratch_make();
	if (!f->path || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
	f->root = store_root(f->st);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->st);
	scratch_remove(f->path);
	free(f);
	return 0;
}

static int make_file(struct fixture *f, const char *name, const char *content)
{
	int fd = st_openat(f->st, f->root, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(st_pwrite(f->st, fd, content, strlen(content), 0), 0);
	return fd;
}

static void touch(struct fixture *f, const char *name)
{
	close(make_file(f, name, name));
}

/* ---- opening ---- */

static void opening_says_why_not(void **state)
{
	struct fixture *f = *state;
	char file[PATH_MAX];
	struct store *st = NULL;
	struct err err = ERR_INIT;

	touch(f, "file");
	snprintf(file, sizeof(file), "%s/nothing", f->path);
	assert_int_equal(store_open(file, false, &st, &err), -ENOENT);
	assert_int_equal(err.code, EXIT_REPO_MISSING);
	assert_non_null(strstr(err.text, file));
	err = ERR_INIT;
	snprintf(file, sizeof(file), "%s/file", f->path);
	assert_int_equal(store_open(file, false, &st, &err), -ENOTDIR);
	assert_int_equal(err.code, EXIT_NOT_REPO);
	assert_null(st);
	assert_int_equal(store_path(f->st)[0], '/');
	assert_false(store_read_only(f->st));
}

/* ---- names ---- */

static const char *const bad_names[] = {"", ".", "..", "/", "a/b", "/etc", "../x", "a/", "./a"};

static void bad_names_go_nowhere(void **state)
{
	struct fixture *f = *state;
	const struct timespec ts[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	struct stat sb;
	char buf[16];

	touch(f, "good");
	for (size_t i = 0; i < COUNT(bad_names); i++) {
		const char *bad = bad_names[i];

		if (strcmp(bad, ".") != 0)
			assert_int_equal(st_openat(f->st, f->root, bad, O_RDONLY, 0), -EINVAL);
		assert_int_equal(st_open_blob(f->st, f->root, bad, false),
			strcmp(bad, ".") ? -EINVAL : -EISDIR);
		assert_int_equal(st_fstatat(f->st, f->root, bad, &sb), -EINVAL);
		assert_int_equal(st_mkdirat(f->st, f->root, bad, 0700), -EINVAL);
		assert_int_equal(st_mknodat(f->st, f->root, bad, S_IFIFO | 0600, 0), -EINVAL);
		assert_int_equal(st_symlinkat(f->st, "t", f->root, bad), -EINVAL);
		assert_int_equal(st_linkat(f->st, f->root, "good", f->root, bad), -EINVAL);
		assert_int_equal(st_linkat(f->st, f->root, bad, f->root, "new"), -EINVAL);
		assert_int_equal(st_unlinkat(f->st, f->root, bad, 0), -EINVAL);
		assert_int_equal(st_renameat2(f->st, f->root, "good", f->root, bad, 0), -EINVAL);
		assert_int_equal(st_renameat2(f->st, f->root, bad, f->root, "new", 0), -EINVAL);
		assert_int_equal(st_readlinkat(f->st, f->root, bad, buf, sizeof(buf)), -EINVAL);
		assert_int_equal(st_fchmodat(f->st, f->root, bad, 0600), -EINVAL);
		assert_int_equal(st_fchownat(f->st, f->root, bad, 0, 0), -EINVAL);
		assert_int_equal(st_utimensat(f->st, f->root, bad, ts), -EINVAL);
		assert_int_equal(st_getxattrat(f->st, f->root, bad, "user.x", buf, 1), -EINVAL);
		assert_int_equal(st_setxattrat(f->st, f->root, bad, "user.x", "v", 1, 0), -EINVAL);
		assert_int_equal(st_listxattrat(f->st, f->root, bad, buf, 1), -EINVAL);
		assert_int_equal(st_removexattrat(f->st, f->root, bad, "user.x"), -EINVAL);
	}
	assert_int_equal(st_openat(f->st, AT_FDCWD, "good", O_RDONLY, 0), -EBADF);
	assert_int_equal(st_openat(f->st, AT_FDCWD, ".", O_RDONLY, 0), -EBADF);
	assert_int_equal(st_mkdirat(f->st, AT_FDCWD, "good", 0700), -EBADF);
	assert_int_equal(st_listxattrat(f->st, AT_FDCWD, "good", buf, 1), -EBADF);
}

static void opens_are_careful(void **state)
{
	struct fixture *f = *state;
	int fd;

	touch(f, "file");
	assert_int_equal(st_symlinkat(f->st, "file", f->root, "link"), 0);
	assert_int_equal(st_mkdirat(f->st, f->root, "dir", 0700), 0);
	assert_int_equal(st_mknodat(f->st, f->root, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(st_openat(f->st, f->root, "link", O_RDONLY, 0), -ELOOP);
	assert_int_equal(st_open_blob(f->st, f->root, "link", true), -ELOOP);
	assert_int_equal(st_open_blob(f->st, f->root, "dir", false), -EISDIR);
	/* Would wait for a writer for ever if it were opened in the ordinary way. */
	assert_int_equal(st_open_blob(f->st, f->root, "fifo", false), -EINVAL);
	assert_int_equal(st_open_dir(f->st, f->root, "file"), -ENOTDIR);
	assert_int_equal(st_open_dir(f->st, f->root, "link"), -ENOTDIR);
	fd = st_open_blob(f->st, f->root, "file", true);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = st_openat(f->st, f->root, ".", O_RDONLY | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	close(fd);
}

static void entries_and_not_what_they_point_to(void **state)
{
	struct fixture *f = *state;
	const struct timespec ts[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct stat sb;
	int fd;

	touch(f, "file");
	assert_int_equal(st_symlinkat(f->st, "file", f->root, "link"), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "link", &sb), 0);
	assert_true(S_ISLNK(sb.st_mode));
	assert_int_equal(st_fchmodat(f->st, f->root, "link", 0644), -EOPNOTSUPP);
	assert_int_equal(st_utimensat(f->st, f->root, "link", ts), 0);
	assert_int_equal(st_fchownat(f->st, f->root, "link", getuid(), getgid()), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "link", &sb), 0);
	assert_int_equal(sb.st_mtime, 2000);
	assert_int_equal(st_fstatat(f->st, f->root, "file", &sb), 0);
	assert_int_not_equal(sb.st_mtime, 2000);
	assert_int_equal(sb.st_mode & 07777, 0600);
	assert_int_equal(st_fchmodat(f->st, f->root, "file", 0640), 0);
	fd = st_open_blob(f->st, f->root, "file", false);
	assert_int_equal(st_futimens(f->st, fd, ts), 0);
	assert_int_equal(st_fstat(f->st, fd, &sb), 0);
	assert_int_equal(sb.st_mtime, 2000);
	assert_int_equal(sb.st_mode & 07777, 0640);
	close(fd);
}

static void renames_with_flags(void **state)
{
	struct fixture *f = *state;
	struct stat a, b, now;

	touch(f, "a");
	touch(f, "b");
	assert_int_equal(st_fstatat(f->st, f->root, "a", &a), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "b", &b), 0);
	assert_int_equal(
		st_renameat2(f->st, f->root, "a", f->root, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(st_renameat2(f->st, f->root, "a", f->root, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "a", &now), 0);
	assert_true(now.st_ino == b.st_ino);
	assert_int_equal(st_renameat2(f->st, f->root, "a", f->root, "b", 0), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "a", &now), -ENOENT);
	assert_int_equal(st_linkat(f->st, f->root, "b", f->root, "c"), 0);
	assert_int_equal(st_fstatat(f->st, f->root, "c", &now), 0);
	assert_int_equal(now.st_nlink, 2);
}

static void readlink_tells_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	char buf[6];

	assert_int_equal(st_symlinkat(f->st, "12345", f->root, "l"), 0);
	assert_int_equal(st_readlinkat(f->st, f->root, "l", buf, 6), 5);
	assert_string_equal(buf, "12345");
	assert_int_equal(st_readlinkat(f->st, f->root, "l", buf, 5), -ENAMETOOLONG);
	assert_int_equal(st_readlinkat(f->st, f->root, "l", buf, 0), -ENAMETOOLONG);
}

static void lists_directories(void **state)
{
	struct fixture *f = *state;
	_Alignas(struct dirent64) char buf[512];
	unsigned seen = 0;
	char name[16];
	ssize_t n;
	int fd;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "file-%02u", i);
		touch(f, name);
	}
	fd = st_open_dir(f->st, f->root, ".");
	assert_true(fd >= 0);
	while ((n = st_getdents(f->st, fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i += ((struct dirent64 *)(buf + i))->d_reclen)
			seen += ((struct dirent64 *)(buf + i))->d_name[0] == 'f';
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, 100);
	close(fd);
}

/* ---- a store that must not be written to ---- */

static _Atomic unsigned calls_that_write;

#define REFUSE                                                                                     \
	{                                                                                          \
		calls_that_write++;                                                                \
		errno = EFAULT;                                                                    \
		return -1;                                                                         \
	}
static int no_mkdirat(int d, const char *n, mode_t m)
{
	(void)d, (void)n, (void)m;
	REFUSE
}
static int no_fd(int fd)
{
	(void)fd;
	REFUSE
}
static int no_range(int fd, off_t off, off_t len, unsigned flags)
{
	(void)fd, (void)off, (void)len, (void)flags;
	REFUSE
}
static ssize_t no_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	(void)fd, (void)iov, (void)n, (void)off;
	REFUSE
}

static void read_only_changes_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {.mkdirat = no_mkdirat,
		.fsync = no_fd,
		.fdatasync = no_fd,
		.syncfs = no_fd,
		.sync_file_range = no_range,
		.pwritev = no_pwritev};
	const struct timespec ts[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	_cleanup_(store_closep) struct store *ro = NULL;
	char buf[8];
	int root, fd;

	touch(f, "file");
	assert_int_equal(store_open(f->path, true, &ro, NULL), 0);
	store_set_ops(ro, &ops);
	root = store_root(ro);
	assert_true(store_read_only(ro));
	assert_int_equal(st_openat(ro, root, "file", O_RDWR, 0), -EROFS);
	assert_int_equal(st_openat(ro, root, "file", O_WRONLY, 0), -EROFS);
	assert_int_equal(st_openat(ro, root, "file", O_RDONLY | O_TRUNC, 0), -EROFS);
	assert_int_equal(st_openat(ro, root, "new", O_RDONLY | O_CREAT, 0600), -EROFS);
	assert_int_equal(st_openat(ro, root, ".", O_TMPFILE | O_RDWR, 0600), -EROFS);
	assert_int_equal(st_open_blob(ro, root, "file", true), -EROFS);
	assert_int_equal(st_mkdirat(ro, root, "d", 0700), -EROFS);
	assert_int_equal(st_mknodat(ro, root, "d", S_IFIFO, 0), -EROFS);
	assert_int_equal(st_symlinkat(ro, "d", root, "d"), -EROFS);
	assert_int_equal(st_linkat(ro, root, "file", root, "d"), -EROFS);
	assert_int_equal(st_unlinkat(ro, root, "file", 0), -EROFS);
	assert_int_equal(st_renameat2(ro, root, "file", root, "d", 0), -EROFS);
	assert_int_equal(st_fchmodat(ro, root, "file", 0644), -EROFS);
	assert_int_equal(st_fchownat(ro, root, "file", 1, 1), -EROFS);
	assert_int_equal(st_utimensat(ro, root, "file", ts), -EROFS);
	assert_int_equal(st_setxattrat(ro, root, "file", "user.x", "v", 1, 0), -EROFS);
	assert_int_equal(st_removexattrat(ro, root, "file", "user.x"), -EROFS);
	assert_int_equal(st_replace_file(ro, root, "file", "x", 1, 0600), -EROFS);
	fd = st_open_blob(ro, root, "file", false);
	assert_true(fd >= 0);
	assert_int_equal(st_pread(ro, fd, buf, sizeof(buf), 0), 4);
	assert_int_equal(st_pwrite(ro, fd, "x", 1, 0), -EROFS);
	assert_int_equal(st_ftruncate(ro, fd, 0), -EROFS);
	assert_int_equal(st_fallocate(ro, fd, 0, 0, 1), -EROFS);
	assert_int_equal(st_fchmod(ro, fd, 0644), -EROFS);
	assert_int_equal(st_futimens(ro, fd, ts), -EROFS);
	assert_int_equal(st_fsetxattr(ro, fd, "user.x", "v", 1, 0), -EROFS);
	assert_int_equal(st_fremovexattr(ro, fd, "user.x"), -EROFS);
	/* Nothing to make durable, and nothing that may cause a write. */
	assert_int_equal(st_fsync(ro, fd), 0);
	assert_int_equal(st_fdatasync(ro, fd), 0);
	assert_int_equal(st_syncfs(ro), 0);
	assert_int_equal(st_settle_range(ro, fd, 0, 4096), 0);
	close(fd);
	assert_int_equal(calls_that_write, 0);
}

/* ---- content ---- */

/* Transfers at most 7 bytes, and lets a signal interrupt every other call. */
static _Atomic unsigned transfers;

static ssize_t short_transfer(bool write, int fd, const struct iovec *iov, int n, off_t off)
{
	struct iovec some[2] = {iov[0], {0}};
	int count = 1;

	if (transfers++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	if (some[0].iov_len > 7) {
		some[0].iov_len = 7;
	} else if (n > 1) {
		some[1] = iov[1];
		if (some[1].iov_len > 7 - some[0].iov_len)
			some[1].iov_len = 7 - some[0].iov_len;
		count = 2;
	}
	return write ? pwritev(fd, some, count, off) : preadv(fd, some, count, off);
}

static ssize_t short_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return short_transfer(true, fd, iov, n, off);
}

static ssize_t short_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	return short_transfer(false, fd, iov, n, off);
}

/* Cuts buf into pieces of 0 to 12 bytes that together hold all of it. */
static int cut(char *buf, size_t len, struct iovec *iov)
{
	int n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t piece = (size_t)(n * 5 % 13);

		if (piece > len - at)
			piece = len - at;
		iov[n] = (struct iovec){buf + at, piece};
		at += piece;
	}
	iov[n++] = (struct iovec){NULL, 0};
	return n;
}

static void transfers_are_completed(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {.pwritev = short_pwritev, .preadv = short_preadv};
	enum { LEN = 9000, PIECES = 3000 };
	static char out[LEN], in[LEN];
	static struct iovec iov[PIECES], before[PIECES];
	int fd = make_file(f, "file", "");

	for (int shortly = 0; shortly < 2; shortly++) {
		int n = cut(out, LEN, iov);

		assert_true(n > IOV_MAX && n <= PIECES);
		for (int i = 0; i < LEN; i++)
			out[i] = (char)(i * 31 + shortly);
		store_set_ops(f->st, shortly ? &ops : NULL);
		memcpy(before, iov, sizeof(iov));
		assert_int_equal(st_pwritev(f->st, fd, iov, n, 5), 0);
		assert_memory_equal(before, iov, sizeof(iov));
		n = cut(in, LEN, iov);
		memset(in, 0, LEN);
		assert_int_equal(st_preadv(f->st, fd, iov, n, 5), LEN);
		assert_memory_equal(in, out, LEN);
		/* Past the end: short, and nothing beyond. */
		assert_int_equal(st_preadv(f->st, fd, iov, n, 5 + 100), LEN - 100);
		assert_memory_equal(in, out + 100, LEN - 100);
		assert_int_equal(st_pread(f->st, fd, in, LEN, LEN + 5), 0);
	}
	assert_int_equal(st_pwrite(f->st, fd, NULL, 0, 0), 0);
	assert_int_equal(st_pwritev(f->st, fd, NULL, 0, 0), 0);
	close(fd);
}

static _Atomic int failing_errno;
static _Atomic unsigned good_calls_left;

static ssize_t failing_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	(void)n;
	if (good_calls_left == 0) {
		errno = failing_errno;
		return -(failing_errno != 0);
	}
	good_calls_left--;
	return pwrite(fd, iov->iov_base, iov->iov_len < 3 ? iov->iov_len : 3, off);
}

static ssize_t failing_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	(void)n;
	if (good_calls_left == 0) {
		errno = failing_errno;
		return -1;
	}
	good_calls_left--;
	return pread(fd, iov->iov_base, iov->iov_len < 3 ? iov->iov_len : 3, off);
}

static void transfers_report_failures(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {.pwritev = failing_pwritev, .preadv = failing_preadv};
	static const int errors[] = {ENOSPC, EDQUOT, EIO};
	char buf[16];
	int fd = make_file(f, "file", "0123456789");

	store_set_ops(f->st, &ops);
	for (size_t i = 0; i < COUNT(errors); i++) {
		for (unsigned good = 0; good < 3; good++) {
			failing_errno = errors[i];
			good_calls_left = good;
			assert_int_equal(st_pwrite(f->st, fd, "abcdefghij", 10, 0), -errors[i]);
			good_calls_left = good;
			assert_int_equal(st_pread(f->st, fd, buf, 10, 0), -errors[i]);
		}
	}
	/* No progress and no error: must not loop. */
	failing_errno = 0;
	good_calls_left = 1;
	assert_int_equal(st_pwrite(f->st, fd, "abcdefghij", 10, 0), -EIO);
	close(fd);
}

static _Atomic unsigned datasyncs;

static int counting_fdatasync(int fd)
{
	datasyncs++;
	return fdatasync(fd);
}

static int failing_range(int fd, off_t off, off_t len, unsigned flags)
{
	(void)fd;
	assert_int_equal(off, 4096);
	assert_int_equal(len, 8192);
	assert_int_equal(flags,
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	errno = failing_errno;
	return -1;
}

static void settling_falls_back(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {
		.fdatasync = counting_fdatasync, .sync_file_range = failing_range};
	static const int unsupported[] = {ENOSYS, ESPIPE, EINVAL};
	int fd = make_file(f, "file", "x");

	assert_int_equal(st_settle_range(f->st, fd, 0, 4096), 0);
	store_set_ops(f->st, &ops);
	for (size_t i = 0; i < COUNT(unsupported); i++) {
		failing_errno = unsupported[i];
		assert_int_equal(st_settle_range(f->st, fd, 4096, 8192), 0);
		assert_int_equal(datasyncs, i + 1);
	}
	failing_errno = EIO;
	assert_int_equal(st_settle_range(f->st, fd, 4096, 8192), -EIO);
	assert_int_equal(datasyncs, COUNT(unsupported));
	close(fd);
}

/* ---- what its mode forbids to an owner without privilege ---- */

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond);                         \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static mode_t mode_of(struct fixture *f, const char *name)
{
	struct stat sb;

	CHECK(st_fstatat(f->st, f->root, name, &sb) == 0);
	return sb.st_mode & 07777;
}

/* In a child that is no longer root. Another user owns "foreign". */
static void as_plain_user(struct fixture *f, bool foreign)
{
	static const mode_t modes[] = {0000, 0200, 0400, 0444, 0040, 04111, 0600};
	static const mode_t dir_modes[] = {0000, 0100, 0300, 0400, 0700, 01000};
	char buf[4];

	for (size_t i = 0; i < COUNT(modes); i++) {
		int fd = st_openat(f->st, f->root, "own", O_RDWR | O_CREAT | O_EXCL, 0600);

		CHECK(fd >= 0 && st_pwrite(f->st, fd, "text", 4, 0) == 0);
		CHECK(st_fchmod(f->st, fd, modes[i]) == 0);
		close(fd);
		fd = st_open_blob(f->st, f->root, "own", false);
		CHECK(fd >= 0 && st_pread(f->st, fd, buf, 4, 0) == 4);
		CHECK(mode_of(f, "own") == modes[i]);
		close(fd);
		fd = st_open_blob(f->st, f->root, "own", true);
		CHECK(fd >= 0 && st_pwrite(f->st, fd, "TEXT", 4, 0) == 0);
		/* Writing without privilege clears set-user-ID. */
		CHECK(mode_of(f, "own") == (modes[i] & 0777));
		close(fd);
		CHECK(st_unlinkat(f->st, f->root, "own", 0) == 0);
	}
	for (size_t i = 0; i < COUNT(dir_modes); i++) {
		int fd;

		CHECK(st_mkdirat(f->st, f->root, "dir", 0700) == 0);
		CHECK(st_fchmodat(f->st, f->root, "dir", dir_modes[i]) == 0);
		fd = st_open_dir(f->st, f->root, "dir");
		CHECK(fd >= 0);
		CHECK(mode_of(f, "dir") == dir_modes[i]);
		close(fd);
		CHECK(st_unlinkat(f->st, f->root, "dir", AT_REMOVEDIR) == 0);
	}
	if (foreign) {
		CHECK(st_open_blob(f->st, f->root, "foreign", false) == -EACCES);
		CHECK(st_open_dir(f->st, f->root, "foreign-dir") == -EACCES);
		CHECK(mode_of(f, "foreign") == 0 && mode_of(f, "foreign-dir") == 0);
	}
}

static void opens_what_its_owner_forbade_himself(void **state)
{
	struct fixture *f = *state;
	bool root = geteuid() == 0;
	int status;
	pid_t pid;

	if (root) {
		touch(f, "foreign");
		assert_int_equal(st_fchmodat(f->st, f->root, "foreign", 0), 0);
		assert_int_equal(st_mkdirat(f->st, f->root, "foreign-dir", 0), 0);
		assert_int_equal(chmod(f->path, 0777), 0);
	}
	pid = fork();
	if (pid == 0) {
		umask(0);
		if (root)
			CHECK(setgid(65534) == 0 && setuid(65534) == 0);
		as_plain_user(f, root);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- attributes ---- */

static void attributes_by_both_ways(void **state)
{
	struct fixture *f = *state;
	int fd = make_file(f, "file", "x");
	char value[16] = "", list[256];
	ssize_t n;
	int r;

	r = st_fsetxattr(f->st, fd, "user.one", "1", 1, 0);
	if (r == -EOPNOTSUPP) {
		print_message("no user attributes on %s\n", f->path);
		close(fd);
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(st_setxattrat(f->st, f->root, "file", "user.two", "22", 2, 0), 0);
	assert_int_equal(
		st_setxattrat(f->st, f->root, "file", "user.two", "x", 1, XATTR_CREATE), -EEXIST);
	assert_int_equal(st_fgetxattr(f->st, fd, "user.two", value, sizeof(value)), 2);
	assert_int_equal(st_getxattrat(f->st, f->root, "file", "user.one", NULL, 0), 1);
	assert_int_equal(st_getxattrat(f->st, f->root, "file", "user.two", value, 1), -ERANGE);
	n = st_flistxattr(f->st, fd, list, sizeof(list));
	assert_true(n >= 18);
	assert_int_equal(st_listxattrat(f->st, f->root, "file", list, sizeof(list)), n);
	assert_int_equal(st_fremovexattr(f->st, fd, "user.two"), 0);
	assert_int_equal(st_removexattrat(f->st, f->root, "file", "user.two"), -ENODATA);
	/* A symlink's own attributes: none, and not those of the file. */
	assert_int_equal(st_symlinkat(f->st, "file", f->root, "link"), 0);
	assert_int_equal(st_getxattrat(f->st, f->root, "link", "user.one", NULL, 0), -ENODATA);
	assert_int_equal(st_setxattrat(f->st, f->root, "link", "user.x", "v", 1, 0), -EPERM);
	close(fd);
}

int main(void)
{
#define GATE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		GATE(opening_says_why_not),
		GATE(bad_names_go_nowhere),
		GATE(opens_are_careful),
		GATE(entries_and_not_what_they_point_to),
		GATE(renames_with_flags),
		GATE(readlink_tells_what_does_not_fit),
		GATE(lists_directories),
		GATE(read_only_changes_nothing),
		GATE(transfers_are_completed),
		GATE(transfers_report_failures),
		GATE(settling_falls_back),
		GATE(opens_what_its_owner_forbade_himself),
		GATE(attributes_by_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
