/* SPDX-License-Identifier: Apache-2.0 */
/* Whole small files: reading within bounds, and replacing them so that the old or the new is always
 * there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "scratch.h"
#include "store/store.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OLD "the old content"
#define NEW "the new and longer content"

struct fixture {
	char *path;
	struct store *st;
	int root;
};

/*
 * The disk of this test: every call that changes something is counted and written down. Call number
 * fail_at fails with fail_errno; with fail_on, all later ones do too, as if the machine had stopped
 * there.
 */
static struct {
	unsigned calls, fail_at;
	int fail_errno;
	bool fail_on;
	char log[256];
} disk;

static bool fails(const char *what)
{
	disk.calls++;
	if (disk.fail_at &&
		(disk.calls == disk.fail_at || (disk.fail_on && disk.calls > disk.fail_at))) {
		errno = disk.fail_errno;
		return true;
	}
	strncat(disk.log, what, sizeof(disk.log) - strlen(disk.log) - 1);
	strncat(disk.log, " ", sizeof(disk.log) - strlen(disk.log) - 1);
	return false;
}

static int disk_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	if ((flags & O_CREAT) && fails("create"))
		return -1;
	return openat(dirfd, name, flags, mode);
}

static int disk_unlinkat(int dirfd, const char *name, int flags)
{
	return fails("unlink") ? -1 : unlinkat(dirfd, name, flags);
}

static int disk_renameat2(
	int olddirfd, const char *old, int newdirfd, const char *new, unsigned flags)
{
	if (fails("rename"))
		return -1;
	assert_int_equal(flags, 0);
	return renameat(olddirfd, old, newdirfd, new);
}

static int disk_fchmod(int fd, mode_t mode)
{
	return fails("fchmod") ? -1 : fchmod(fd, mode);
}

/* In pieces, so that there are half-written files. */
static ssize_t disk_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	(void)n;
	if (fails("write"))
		return -1;
	return pwrite(fd, iov->iov_base, iov->iov_len < 10 ? iov->iov_len : 10, off);
}

static int disk_fsync(int fd)
{
	struct stat sb;

	assert_int_equal(fstat(fd, &sb), 0);
	return fails(S_ISDIR(sb.st_mode) ? "fsync-dir" : "fsync-file") ? -1 : 0;
}

static int disk_syncfs(int fd)
{
	(void)fd;
	return fails("syncfs") ? -1 : 0;
}

static const struct store_ops disk_ops = {
	.openat = disk_openat,
	.unlinkat = disk_unlinkat,
	.renameat2 = disk_renameat2,
	.fchmod = disk_fchmod,
	.pwritev = disk_pwritev,
	.fsync = disk_fsync,
	.syncfs = disk_syncfs,
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = scratch_make();
	if (!f->path || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
	f->root = store_root(f->st);
	memset(&disk, 0, sizeof(disk));
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

static int replace(struct fixture *f, const char *content)
{
	return st_replace_file(f->st, f->root, "file", content, strlen(content), 0640);
}

static void assert_content(struct fixture *f, const char *expected)
{
	_cleanup_free_ char *got = NULL;
	size_t len;

	assert_int_equal(st_read_file(f->st, f->root, "file", 100, &got, &len), 0);
	assert_int_equal(len, strlen(expected));
	assert_string_equal(got, expected);
}

static bool exists(struct fixture *f, const char *name)
{
	struct stat sb;

	return st_fstatat(f->st, f->root, name, &sb) == 0;
}

static void writes_in_the_order_that_survives(void **state)
{
	struct fixture *f = *state;
	struct stat sb;

	store_set_ops(f->st, &disk_ops);
	assert_int_equal(replace(f, OLD), 0);
	assert_string_equal(
		disk.log, "unlink create write write fchmod fsync-file rename fsync-dir ");
	assert_content(f, OLD);
	assert_int_equal(st_fstatat(f->st, f->root, "file", &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0640);
	assert_false(exists(f, "file.tmp"));
}

/* Fails the first, second, third... call until a run needs no more. */
static void any_call_may_fail(void **state)
{
	struct fixture *f = *state;
	static const int errors[] = {EIO, ENOSPC, EDQUOT};

	for (size_t e = 0; e < COUNT(errors); e++) {
		for (int stops = 0; stops < 2; stops++) {
			unsigned n = 1;

			for (;; n++) {
				int r;

				store_set_ops(f->st, NULL);
				assert_int_equal(replace(f, OLD), 0);
				memset(&disk, 0, sizeof(disk));
				disk.fail_at = n;
				disk.fail_errno = errors[e];
				disk.fail_on = stops;
				store_set_ops(f->st, &disk_ops);
				r = replace(f, NEW);
				if (disk.calls < n) {
					assert_int_equal(r, 0);
					assert_content(f, NEW);
					break;
				}
				assert_int_equal(r, -errors[e]);
				assert_content(f, strstr(disk.log, "rename") ? NEW : OLD);
				/* Tidy unless nothing could be done any more. */
				if (!stops)
					assert_false(exists(f, "file.tmp"));
			}
			/* unlink, create, three pieces, fchmod, fsync, rename, fsync. */
			assert_int_equal(n, 10);
		}
	}
}

static void directories_without_fsync_get_syncfs(void **state)
{
	struct fixture *f = *state;

	disk.fail_at = 8;
	disk.fail_errno = EINVAL;
	store_set_ops(f->st, &disk_ops);
	assert_int_equal(replace(f, OLD), 0);
	assert_non_null(strstr(disk.log, "rename syncfs "));
}

static void leftovers_are_not_written_to(void **state)
{
	struct fixture *f = *state;
	struct stat sb;
	int fd;

	/* A link to something else, as storage may plant it. */
	fd = st_openat(f->st, f->root, "victim", O_RDWR | O_CREAT, 0600);
	assert_int_equal(st_pwrite(f->st, fd, "v", 1, 0), 0);
	close(fd);
	assert_int_equal(st_linkat(f->st, f->root, "victim", f->root, "file.tmp"), 0);
	assert_int_equal(replace(f, NEW), 0);
	assert_int_equal(st_symlinkat(f->st, "victim", f->root, "file.tmp"), 0);
	assert_int_equal(replace(f, NEW), 0);
	assert_int_equal(st_mknodat(f->st, f->root, "file.tmp", S_IFIFO | 0600, 0), 0);
	assert_int_equal(replace(f, NEW), 0);
	assert_content(f, NEW);
	assert_int_equal(st_fstatat(f->st, f->root, "victim", &sb), 0);
	assert_int_equal(sb.st_size, 1);
	assert_int_equal(st_fstatat(f->st, f->root, "file", &sb), 0);
	assert_true(S_ISREG(sb.st_mode));
	/* One that cannot be removed is an error, and stays. */
	assert_int_equal(st_mkdirat(f->st, f->root, "file.tmp", 0700), 0);
	assert_int_equal(replace(f, OLD), -EISDIR);
	assert_content(f, NEW);
}

static void names_are_checked(void **state)
{
	struct fixture *f = *state;
	char name[260];

	memset(name, 'n', sizeof(name));
	name[251] = 0;
	assert_int_equal(st_replace_file(f->st, f->root, name, "x", 1, 0600), 0);
	name[251] = 'n';
	name[252] = 0;
	assert_int_equal(st_replace_file(f->st, f->root, name, "x", 1, 0600), -ENAMETOOLONG);
	assert_int_equal(st_replace_file(f->st, f->root, "../x", "x", 1, 0600), -EINVAL);
	assert_int_equal(st_replace_file(f->st, f->root, "", "x", 1, 0600), -EINVAL);
	assert_int_equal(st_replace_file(f->st, f->root, ".", "x", 1, 0600), -EINVAL);
}

static void reads_within_bounds(void **state)
{
	struct fixture *f = *state;
	char *got = NULL;
	size_t len = 77;

	assert_int_equal(replace(f, "12345"), 0);
	assert_int_equal(st_read_file(f->st, f->root, "file", 4, &got, &len), -EFBIG);
	assert_int_equal(st_read_file(f->st, f->root, "none", 4, &got, &len), -ENOENT);
	assert_int_equal(st_mknodat(f->st, f->root, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(st_read_file(f->st, f->root, "fifo", 4, &got, &len), -EINVAL);
	assert_int_equal(st_mkdirat(f->st, f->root, "dir", 0700), 0);
	assert_int_equal(st_read_file(f->st, f->root, "dir", 1 << 20, &got, &len), -EINVAL);
	assert_int_equal(st_symlinkat(f->st, "file", f->root, "link"), 0);
	assert_int_equal(st_read_file(f->st, f->root, "link", 4, &got, &len), -ELOOP);
	assert_null(got);
	assert_int_equal(len, 77);
	assert_int_equal(st_read_file(f->st, f->root, "file", 5, &got, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(got, "12345");
	free(got);
	assert_int_equal(replace(f, ""), 0);
	assert_int_equal(st_read_file(f->st, f->root, "file", 0, &got, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(got, "");
	free(got);
}

int main(void)
{
#define FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		FILES(writes_in_the_order_that_survives),
		FILES(any_call_may_fail),
		FILES(directories_without_fsync_get_syncfs),
		FILES(leftovers_are_not_written_to),
		FILES(names_are_checked),
		FILES(reads_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
