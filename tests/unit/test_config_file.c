/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/*
 * coffer.ini on disk: a store call that fails or a crash before any of them leaves a coffer.ini
 * that loads, is the old or the new one, and opens; concurrent changes wait for each other; every
 * damage has its advice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "keys/config_internal.h"
#include "util/secret.h"

static const struct scrypt_params cheap = {.n = 1024, .r = 1, .p = 1};

struct fixture {
	char path[64];
	struct store *st;
	struct secrets *secrets;
	struct config *config;
};

/* ---- faults: the n-th call that can change something fails, or ends the process ---- */
static long calls, stop_at;
static int stop_error; /* 0: the process ends there, as in a crash */

static bool stops(void)
{
	if (++calls != stop_at)
		return false;
	if (stop_error == 0)
		_exit(42);
	errno = stop_error;
	return true;
}

static int f_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return stops() ? -1 : openat(dirfd, name, flags, mode);
}
static int f_unlinkat(int dirfd, const char *name, int flags)
{
	return stops() ? -1 : unlinkat(dirfd, name, flags);
}
static int f_renameat2(int od, const char *o, int nd, const char *n, unsigned flags)
{
	return stops() ? -1 : renameat2(od, o, nd, n, flags);
}
static int f_fchmod(int fd, mode_t mode)
{
	return stops() ? -1 : fchmod(fd, mode);
}
/* Half of what it was asked to write is there when it stops. */
static ssize_t f_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	if (calls + 1 == stop_at && n > 0) {
		ssize_t half = pwrite(fd, iov[0].iov_base, iov[0].iov_len / 2, off);
		(void)half;
	}
	return stops() ? -1 : pwritev(fd, iov, n, off);
}
static int f_fsync(int fd)
{
	return stops() ? -1 : fsync(fd);
}

static const struct store_ops faulty = {
	.openat = f_openat,
	.unlinkat = f_unlinkat,
	.renameat2 = f_renameat2,
	.fchmod = f_fchmod,
	.pwritev = f_pwritev,
	.fsync = f_fsync,
};

/* ---- a repository's directory with a coffer.ini ---- */

static void clear(const char *path)
{
	pid_t pid = fork();
	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = ERR_INIT;
	unsigned slot;
	assert_non_null(f);
	(void)snprintf(f->path, sizeof(f->path), "coffer-config-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(store_open(f->path, false, &f->st, &err), 0);
	assert_int_equal(st_mkdirat(f->st, store_root(f->st), "state", 0700), 0);
	f->secrets = secret_alloc(sizeof(*f->secrets));
	assert_int_equal(config_new("test", &f->config, f->secrets, &err), 0);
	assert_int_equal(
		config_add_password_kdf(f->config, f->secrets, "old", 3, NULL, &cheap, &slot, &err),
		0);
	assert_int_equal(config_store(f->config, f->st, f->secrets, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	clear(f->path);
	config_free(f->config);
	secret_free(f->secrets);
	store_close(f->st);
	free(f);
	return 0;
}

static struct config *load(struct fixture *f)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	if (config_load(f->st, &c, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static bool opens(struct fixture *f, struct config *c, const char *password)
{
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	struct err err = ERR_INIT;
	if (config_unlock_password(c, password, strlen(password), -1, s, NULL, &err) < 0) {
		assert_int_equal(err.code, EXIT_PASSWORD);
		return false;
	}
	assert_memory_equal(s, f->secrets, sizeof(*s));
	return true;
}

/*
 * Changes the password, counting and stopping as set up. Opens with the old one: a forked child has
 * no secrets of its parent.
 */
static int change(struct fixture *f, const char *old, const char *password, struct err *err)
{
	_cleanup_(config_freep) struct config *c = load(f);
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	assert_int_equal(config_unlock_password(c, old, strlen(old), -1, s, NULL, err), 0);
	assert_int_equal(
		config_set_password_kdf(c, 0, s, password, strlen(password), &cheap, err), 0);
	store_set_ops(f->st, &faulty);
	calls = 0;
	int rc = config_store(c, f->st, s, err);
	store_set_ops(f->st, NULL);
	return rc;
}

static void load_fails(struct fixture *f, enum exit_code code, const char *what)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	assert_true(config_load(f->st, &c, &err) < 0);
	assert_null(c);
	if (err.code != code || !strstr(err.text, what))
		fail_msg("code %d, \"%s\" instead of code %d, \"%s\"", err.code, err.text, code,
			what);
}

static void put(struct fixture *f, const char *name, const char *text, size_t len)
{
	assert_int_equal(st_replace_file(f->st, store_root(f->st), name, text, len, 0600), 0);
}

static void take(struct fixture *f, const char *name, char **ret, size_t *ret_len)
{
	assert_int_equal(st_read_file(f->st, store_root(f->st), name, CONFIG_MAX, ret, ret_len), 0);
}

/* ---- tests ---- */

static void test_store_and_load(void **state)
{
	struct fixture *f = *state;
	_cleanup_(config_freep) struct config *c = load(f);
	assert_true(opens(f, c, "old"));
	assert_true(opens(f, f->config, "old")); /* what config_store leaves behind is usable too */
	_cleanup_free_ char *a = NULL;
	_cleanup_free_ char *b = NULL;
	size_t a_len, b_len;
	take(f, CONFIG_NAME, &a, &a_len);
	take(f, CONFIG_BAK_NAME, &b, &b_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	struct stat sb;
	assert_int_equal(st_fstatat(f->st, store_root(f->st), CONFIG_NAME, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
}

/* Each store call in turn fails. */
static void test_every_call_fails(void **state)
{
	struct fixture *f = *state;
	static const int errors[] = {EIO, ENOSPC};
	for (size_t e = 0; e < 2; e++) {
		char password[32] = "old", before[32];
		int rc = -1;
		stop_error = errors[e];
		for (stop_at = 1; rc != 0; stop_at++) {
			assert_true(stop_at < 100);
			struct err err = ERR_INIT;
			memcpy(before, password, sizeof(before));
			(void)snprintf(password, sizeof(password), "new %zu %ld", e, stop_at);
			rc = change(f, before, password, &err);
			/* Removing what was left of the attempt before may fail without harm. */
			if (rc < 0)
				assert_int_equal(
					err.code, errors[e] == EIO ? EXIT_IO : EXIT_NO_SPACE);
			_cleanup_(config_freep) struct config *c = load(f);
			bool is_new = opens(f, c, password);
			if (!is_new)
				assert_true(opens(f, c, before));
			if (rc == 0)
				assert_true(is_new);
			if (!is_new)
				memcpy(password, before, sizeof(password));
		}
		assert_true(stop_at > 8);
		/* Back, for the next round. */
		struct err err = ERR_INIT;
		stop_at = 0;
		assert_int_equal(change(f, password, "old", &err), 0);
	}
}

/* A crash before each call. */
static void test_crash_anywhere(void **state)
{
	struct fixture *f = *state;
	char password[32] = "old", before[32];
	bool done = false, seen_old = false, seen_new = false;
	stop_error = 0;
	for (stop_at = 1; !done; stop_at++) {
		assert_true(stop_at < 100);
		memcpy(before, password, sizeof(before));
		(void)snprintf(password, sizeof(password), "crash %ld", stop_at);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct err err = ERR_INIT;
			_exit(change(f, before, password, &err) == 0 ? 0 : 1);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		done = WEXITSTATUS(status) == 0;
		assert_true(done || WEXITSTATUS(status) == 42);
		_cleanup_(config_freep) struct config *c = load(f);
		if (opens(f, c, password)) {
			seen_new = true;
		} else {
			assert_true(opens(f, c, before));
			assert_false(done);
			seen_old = true;
			memcpy(password, before, sizeof(password));
		}
		/* The second copy is a whole one as well, old or new. */
		_cleanup_free_ char *bak = NULL;
		_cleanup_(config_freep) struct config *b = NULL;
		size_t len;
		take(f, CONFIG_BAK_NAME, &bak, &len);
		assert_int_equal(config_parse(bak, len, &b, NULL), 0);
	}
	assert_true(seen_old && seen_new);
}

static void test_advice(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *good = NULL;
	size_t len;
	take(f, CONFIG_NAME, &good, &len);
	put(f, CONFIG_NAME, good, len / 2);
	load_fails(f, EXIT_REPO_DAMAGED, "second copy is intact");
	put(f, CONFIG_BAK_NAME, good, len - 1);
	load_fails(f, EXIT_REPO_DAMAGED, "not intact either");
	put(f, CONFIG_NAME, "", 0);
	load_fails(f, EXIT_REPO_DAMAGED, "cut short");
	_cleanup_free_ char *huge = calloc(1, CONFIG_MAX + 1);
	put(f, CONFIG_NAME, huge, CONFIG_MAX + 1);
	load_fails(f, EXIT_REPO_DAMAGED, "too long");
	put(f, CONFIG_BAK_NAME, good, len);
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), CONFIG_NAME, 0), 0);
	load_fails(f, EXIT_REPO_DAMAGED, "missing");
	assert_int_equal(st_mkdirat(f->st, store_root(f->st), CONFIG_NAME, 0700), 0);
	load_fails(f, EXIT_REPO_DAMAGED, "not a regular file");
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), CONFIG_NAME, AT_REMOVEDIR), 0);
	assert_int_equal(st_mknodat(f->st, store_root(f->st), CONFIG_NAME, S_IFIFO | 0600, 0), 0);
	load_fails(f, EXIT_REPO_DAMAGED, "not a regular file");
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), CONFIG_NAME, 0), 0);
	assert_int_equal(st_symlinkat(f->st, "coffer.ini.bak", store_root(f->st), CONFIG_NAME), 0);
	load_fails(f, EXIT_REPO_DAMAGED, "not a regular file");
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), CONFIG_NAME, 0), 0);
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), CONFIG_BAK_NAME, 0), 0);
	load_fails(f, EXIT_NOT_REPO, "not a coffer repository");
}

/* A change in another process is waited for, and then seen. */
static void test_lock(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int lock = -1;
		char byte = 'x';
		bool good = config_lock(f->st, &lock, &err) == 0 && write(go[1], &byte, 1) == 1;
		(void)usleep(200000);
		stop_at = 0;
		good = good && change(f, "old", "from the other", &err) == 0;
		_exit(good ? 0 : 1);
	}
	char byte;
	assert_int_equal(read(go[0], &byte, 1), 1);
	_cleanup_close_ int lock = -1;
	assert_int_equal(config_lock(f->st, &lock, &err), 0);
	_cleanup_(config_freep) struct config *c = load(f);
	assert_true(opens(f, c, "from the other"));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
}

/* state/ lost: the lock makes it again. */
static void test_lock_without_state(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	assert_int_equal(st_unlinkat(f->st, store_root(f->st), "state", AT_REMOVEDIR), 0);
	_cleanup_close_ int lock = -1;
	assert_int_equal(config_lock(f->st, &lock, &err), 0);
	struct stat sb;
	assert_int_equal(st_fstatat(f->st, store_root(f->st), "state", &sb), 0);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	_cleanup_(store_closep) struct store *st = NULL;
	assert_int_equal(store_open(f->path, true, &st, &err), 0);
	_cleanup_(config_freep) struct config *c = NULL;
	assert_int_equal(config_load(st, &c, &err), 0);
	assert_int_equal(config_store(c, st, f->secrets, &err), -EROFS);
	assert_int_equal(err.code, EXIT_REPO_ACCESS);
	err = ERR_INIT;
	int lock = -1;
	assert_true(config_lock(st, &lock, &err) < 0);
	assert_int_equal(err.code, EXIT_REPO_ACCESS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_store_and_load),
		TEST(test_every_call_fails),
		TEST(test_crash_anywhere),
		TEST(test_advice),
		TEST(test_lock),
		TEST(test_lock_without_state),
		TEST(test_read_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
