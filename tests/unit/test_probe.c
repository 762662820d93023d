/* SPDX-License-Identifier: Apache-2.0 */
/* What the backing file system is found to be, and what of it is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "scratch.h"
#include "store/store_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	char *path;
	struct store *st;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = scratch_make();
	if (!f->path || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
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

static void assert_nothing_left(struct fixture *f)
{
	_cleanup_closedir_ DIR *d = opendir(f->path);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fail_msg("%s was left behind", e->d_name);
	}
}

static void this_file_system(void **state)
{
	struct fixture *f = *state;
	const struct store_traits *t;
	char warn[2048] = "not yet", active[2048] = "not yet";
	struct err err = ERR_INIT;
	struct statfs fs;
	int r;

	assert_int_equal(store_probe_static(f->st, warn, sizeof(warn)), 0);
	assert_null(strstr(warn, "not yet"));
	assert_nothing_left(f);
	t = store_traits(f->st);
	assert_int_equal(statfs(f->path, &fs), 0);
	assert_int_equal(t->block_size, fs.f_bsize);
	assert_int_equal(t->name_max, fs.f_namelen);
	assert_true(strlen(t->fs_name) > 0);
	r = store_probe_active(f->st, active, sizeof(active), &err);
	print_message("%s: %d %s\n%s\n", t->fs_name, r, err.text, active);
	if (t->block_size < 4096 && !t->network) {
		assert_int_equal(r, -EOPNOTSUPP);
		assert_int_equal(err.code, EXIT_BACKING_UNFIT);
		assert_non_null(strstr(err.text, "power cut"));
	} else if (!strcmp(t->fs_name, "ext4")) {
		assert_int_equal(r, 0);
		assert_null(strstr(active, "has no"));
	}
	if (r == 0)
		assert_non_null(strstr(active, warn));
	assert_nothing_left(f);
}

/* ---- file systems that lack something ---- */

static unsigned calls, fail_at;
static int fail_errno;

/* The chosen call fails; with fail_at 0 and fail_errno all of its kind do. */
static bool fails(void)
{
	calls++;
	if (fail_errno && (fail_at == 0 || calls == fail_at)) {
		errno = fail_errno;
		return true;
	}
	return false;
}

static int lacking_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return strlen(name) == 255 && fails() ? -1 : openat(dirfd, name, flags, mode);
}

static int folding_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return openat(dirfd, strcmp(name, "case-aA") ? name : "case-Aa", flags, mode);
}

static int lacking_symlinkat(const char *target, int dirfd, const char *name)
{
	return fails() ? -1 : symlinkat(target, dirfd, name);
}

static int lacking_linkat(int a, const char *old, int b, const char *new, int flags)
{
	return fails() ? -1 : linkat(a, old, b, new, flags);
}

static int lacking_renameat2(int a, const char *old, int b, const char *new, unsigned flags)
{
	if (flags == 0)
		return renameat(a, old, b, new);
	errno = EINVAL;
	return -1;
}

static int lacking_setxattr(
	const char *path, int fd, const char *name, const void *value, size_t size, int flags)
{
	(void)path, (void)fd, (void)name, (void)value, (void)size, (void)flags;
	errno = EOPNOTSUPP;
	return -1;
}

/* Keeps no modes, as a FAT does. */
static int lacking_fchmod(int fd, mode_t mode)
{
	(void)fd, (void)mode;
	return 0;
}

/* Fills holes. */
static ssize_t filling_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return posix_fallocate(fd, 0, off) != 0 ? -1 : pwritev(fd, iov, n, off);
}

static void what_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct store_ops ops;
		int error;
		bool refused;
		const char *says[2];
	} cases[] = {
		{{.openat = lacking_openat}, ENAMETOOLONG, true, {"names of 255 bytes"}},
		{{.openat = folding_openat}, 0, true, {"differ only in case"}},
		{{.symlinkat = lacking_symlinkat}, EPERM, true, {"symbolic links"}},
		{{.linkat = lacking_linkat}, EPERM, false, {"hard links"}},
		{{.linkat = lacking_linkat}, EOPNOTSUPP, false, {"hard links"}},
		{{.renameat2 = lacking_renameat2}, 0, false,
			{"RENAME_NOREPLACE", "RENAME_EXCHANGE"}},
		{{.setxattr = lacking_setxattr}, 0, false,
			{"extended attributes", "access control lists"}},
		{{.fchmod = lacking_fchmod}, 0, false, {"modes of files"}},
		{{.pwritev = filling_pwritev}, 0, false, {"holes in files"}},
	};

	if (store_probe_active(f->st, NULL, 0, NULL) < 0) {
		print_message("%s is unfit already\n", f->path);
		skip();
	}
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		char warn[4096];
		int r;

		calls = fail_at = 0;
		fail_errno = cases[i].error;
		store_set_ops(f->st, &cases[i].ops);
		r = store_probe_active(f->st, warn, sizeof(warn), &err);
		if (cases[i].refused) {
			assert_int_equal(r, -EOPNOTSUPP);
			assert_int_equal(err.code, EXIT_BACKING_UNFIT);
		} else if (r != 0) {
			fail_msg("case %zu: %s", i, err.text);
		}
		for (size_t k = 0; k < 2 && cases[i].says[k]; k++) {
			if (!strstr(cases[i].refused ? err.text : warn, cases[i].says[k]))
				fail_msg("nothing said of %s", cases[i].says[k]);
		}
		store_set_ops(f->st, NULL);
		assert_nothing_left(f);
	}
}

static int counted_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return (flags & O_CREAT) && fails() ? -1 : openat(dirfd, name, flags, mode);
}

static int counted_mkdirat(int dirfd, const char *name, mode_t mode)
{
	return fails() ? -1 : mkdirat(dirfd, name, mode);
}

static ssize_t counted_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return fails() ? -1 : pwritev(fd, iov, n, off);
}

/* A full or failing disk is no property of the file system, and leaves nothing behind either. */
static void errors_end_the_probe(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {.openat = counted_openat,
		.mkdirat = counted_mkdirat,
		.pwritev = counted_pwritev,
		.symlinkat = lacking_symlinkat,
		.linkat = lacking_linkat};
	static const struct {
		int error;
		enum exit_code code;
	} cases[] = {{ENOSPC, EXIT_NO_SPACE}, {EDQUOT, EXIT_NO_SPACE}, {EIO, EXIT_IO}};

	store_set_ops(f->st, &ops);
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (fail_at = 1;; fail_at++) {
			struct err err = ERR_INIT;
			int r;

			calls = 0;
			fail_errno = cases[i].error;
			r = store_probe_active(f->st, NULL, 0, &err);
			assert_nothing_left(f);
			if (calls < fail_at)
				break;
			assert_int_equal(r, -cases[i].error);
			assert_int_equal(err.code, cases[i].code);
		}
		assert_true(fail_at > 15);
	}
	fail_at = 1;
	calls = 0;
	fail_errno = EACCES;
	struct err err = ERR_INIT;

	assert_int_equal(store_probe_active(f->st, NULL, 0, &err), -EACCES);
	assert_int_equal(err.code, EXIT_REPO_ACCESS);
}

/* ---- traits ---- */

static void kinds_of_file_systems(void **state)
{
	static const struct {
		unsigned long magic;
		const char *name;
		bool network, stable, ancestors;
	} kinds[] = {
		{0xef53, "ext4", false, false, false},
		{0x58465342, "xfs", false, false, false},
		{0x9123683e, "btrfs", false, true, true},
		/* As a signed f_type arrives. */
		{(unsigned long)(int)0x9123683e, "btrfs", false, true, true},
		{0x01021994, "tmpfs", false, true, false},
		{0x6969, "nfs", true, false, false},
		{0x65735546, "fuse", true, false, true},
		/* Unknown: the careful answers. */
		{0x1234, "0x1234", false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct store_traits t = {.network = true, .stable_pages = true};

		traits_from_magic(kinds[i].magic, &t);
		assert_string_equal(t.fs_name, kinds[i].name);
		assert_int_equal(t.network, kinds[i].network);
		assert_int_equal(t.stable_pages, kinds[i].stable);
		assert_int_equal(t.needs_ancestor_sync, kinds[i].ancestors);
	}
}

static void put(struct fixture *f, const char *path, const char *content)
{
	_cleanup_free_ char *full = NULL;
	FILE *out;

	assert_true(asprintf(&full, "%s/%s", f->path, path) > 0);
	for (char *slash = strchr(full + strlen(f->path) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = 0;
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	out = fopen(full, "w");
	assert_non_null(out);
	fputs(content, out);
	assert_int_equal(fclose(out), 0);
}

/* A tree as in /sys: a disk with a partition, reached through links. */
static void devices_as_sysfs_shows_them(void **state)
{
	struct fixture *f = *state;
	struct store_traits t = {.aligned = true};
	int root = store_root(f->st);

	put(f, "sda/queue/physical_block_size", "512\n");
	put(f, "sda/queue/atomic_write_unit_max_bytes", "16384\n");
	put(f, "sda/queue/stable_writes", "0\n");
	put(f, "sda/alignment_offset", "0\n");
	put(f, "sda/sda1/alignment_offset", "0\n");
	put(f, "sda/sda1/start", "2048\n");
	put(f, "sda/sda2/start", "63\n");
	put(f, "sda/sda3/alignment_offset", "-1\n");
	put(f, "sdb/queue/physical_block_size", "garbage\n");
	put(f, "sdb/queue/stable_writes", "1\n");
	assert_int_equal(symlinkat("sda", root, "8:0"), 0);
	assert_int_equal(symlinkat("sda/sda1", root, "8:1"), 0);
	assert_int_equal(symlinkat("sda/sda2", root, "8:2"), 0);
	assert_int_equal(symlinkat("sda/sda3", root, "8:3"), 0);
	assert_int_equal(symlinkat("sdb", root, "8:16"), 0);

	traits_from_device(f->path, 9, 9, &t);
	assert_int_equal(t.physical_block, 0);
	assert_true(t.aligned);
	for (unsigned minor = 0; minor < 2; minor++) {
		t = (struct store_traits){.aligned = true};
		traits_from_device(f->path, 8, minor, &t);
		assert_int_equal(t.physical_block, 512);
		assert_int_equal(t.atomic_write, 16384);
		assert_false(t.stable_pages);
		assert_true(t.aligned);
	}
	for (unsigned minor = 2; minor < 4; minor++) {
		t = (struct store_traits){.aligned = true};
		traits_from_device(f->path, 8, minor, &t);
		assert_int_equal(t.physical_block, 512);
		assert_false(t.aligned);
	}
	t = (struct store_traits){.aligned = true};
	traits_from_device(f->path, 8, 16, &t);
	assert_int_equal(t.physical_block, 0);
	assert_true(t.stable_pages);
}

static void warnings_are_lines(void **state)
{
	struct store_traits good = {.fs_name = "ext4",
		.block_size = 4096,
		.name_max = 255,
		.physical_block = 4096,
		.aligned = true};
	struct store_traits bad = {.fs_name = "ext4",
		.block_size = 1024,
		.name_max = 143,
		.physical_block = 512,
		.aligned = false};
	char warn[2048] = "", small[100] = "";
	size_t lines = 0;

	(void)state;
	traits_warn(&good, warn, sizeof(warn));
	assert_string_equal(warn, "");
	good.physical_block = 512;
	good.atomic_write = 4096;
	traits_warn(&good, warn, sizeof(warn));
	assert_string_equal(warn, "");
	traits_warn(&bad, warn, sizeof(warn));
	for (const char *w = warn; w; w = strchr(w + 1, '\n'))
		lines++;
	assert_int_equal(lines, 4);
	assert_non_null(strstr(warn, "blocks of 1024 bytes"));
	assert_non_null(strstr(warn, "blocks of 512 bytes"));
	/* Whole lines or none; no buffer is no error. */
	traits_warn(&bad, small, sizeof(small));
	assert_true(strlen(small) < sizeof(small));
	assert_null(strchr(small, '\n'));
	traits_warn(&bad, NULL, 0);
}

int main(void)
{
#define PROBE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		PROBE(this_file_system),
		PROBE(what_is_missing_is_named),
		PROBE(errors_end_the_probe),
		cmocka_unit_test(kinds_of_file_systems),
		PROBE(devices_as_sysfs_shows_them),
		cmocka_unit_test(warnings_are_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
