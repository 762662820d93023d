/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* Making, recognising and opening repositories; a failure half-way leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "keys/repo.h"
#include "util/secret.h"

static char top[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "coffer-repo-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", top, (char *)NULL);
		_exit(127);
	}
	int status;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static const char *at(const char *name)
{
	static char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static bool exists(const char *name)
{
	struct stat sb;
	return lstat(at(name), &sb) == 0;
}

static void touch(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void create_fails(const char *path, enum exit_code code)
{
	struct repo *r = NULL;
	struct err err = ERR_INIT;
	assert_true(repo_check_new(path, &err) < 0);
	assert_int_equal(err.code, code);
	err = ERR_INIT;
	assert_true(repo_create(path, "x", 1, NULL, NULL, 0, &r, &err) < 0);
	assert_int_equal(err.code, code);
	assert_null(r);
}

static void open_fails(const char *path, enum exit_code code)
{
	struct repo *r = NULL;
	struct err err = ERR_INIT;
	assert_true(repo_open(path, false, &r, &err) < 0);
	assert_int_equal(err.code, code);
	assert_null(r);
}

static void test_life(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char warn[2048], fingerprint[64];
	_cleanup_(repo_closep) struct repo *r = NULL;
	if (repo_create(at("repo"), "secret", 6, "label", warn, sizeof(warn), &r, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(repo_keys(r));
	assert_int_equal(keyring_current(repo_keys(r)), 1);
	(void)snprintf(fingerprint, sizeof(fingerprint), "%s", config_fingerprint(repo_config(r)));
	static const char *const made[] = {"repo/coffer.ini", "repo/coffer.ini.bak", "repo/state",
		"repo/state/epoch", "repo/trash", "repo/data", "repo/data/.id"};
	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++) {
		if (!exists(made[i]))
			fail_msg("%s is missing", made[i]);
	}
	struct stat sb;
	assert_int_equal(stat(at("repo"), &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0700);
	assert_int_equal(stat(at("repo/data"), &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0755);
	create_fails(at("repo"), EXIT_REPO_EXISTS);

	_cleanup_(repo_closep) struct repo *again = NULL;
	if (repo_open(at("repo"), true, &again, &err) < 0)
		fail_msg("%s", err.text);
	assert_null(repo_keys(again));
	assert_string_equal(config_fingerprint(repo_config(again)), fingerprint);
	assert_string_equal(config_label(repo_config(again)), "label");
	assert_int_equal(repo_unlock_password(again, "wrong", 5, &err), -EACCES);
	assert_int_equal(err.code, EXIT_PASSWORD);
	assert_null(repo_keys(again));
	err = ERR_INIT;
	assert_int_equal(repo_unlock_password(again, "secret", 6, &err), 0);
	assert_non_null(repo_keys(again));
}

static void test_places(void **state)
{
	(void)state;
	create_fails(at("no/parent"), EXIT_REPO_MISSING);
	touch("file");
	create_fails(at("file"), EXIT_NOT_REPO);
	create_fails(at("file/below"), EXIT_REPO_MISSING);
	assert_int_equal(mkdir(at("full"), 0700), 0);
	touch("full/x");
	create_fails(at("full"), EXIT_NOT_EMPTY);
	assert_int_equal(mkdir(at("bak"), 0700), 0);
	touch("bak/coffer.ini.bak");
	create_fails(at("bak"), EXIT_REPO_EXISTS);
	assert_int_equal(symlink("nowhere", at("dangling")), 0);
	create_fails(at("dangling"), EXIT_REPO_MISSING);

	open_fails(at("missing"), EXIT_REPO_MISSING);
	open_fails(at("file"), EXIT_NOT_REPO);
	open_fails(at("full"), EXIT_NOT_REPO);
	open_fails(at("bak"), EXIT_REPO_DAMAGED);
}

/* A new ext4 file system is not quite empty. */
static void test_lost_and_found(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(mkdir(at("disk"), 0700), 0);
	assert_int_equal(mkdir(at("disk/lost+found"), 0700), 0);
	assert_int_equal(repo_check_new(at("disk"), &err), 0);
}

/* No file can hold a byte: in a child, since the limit stays. */
static void test_failure_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("empty"), 0700), 0);
	static const char *const names[] = {"new", "empty"};
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			const struct rlimit none = {0, 0};
			struct repo *r = NULL;
			struct err err = ERR_INIT;
			(void)signal(SIGXFSZ, SIG_IGN);
			(void)setrlimit(RLIMIT_FSIZE, &none);
			int rc = repo_create(at(names[i]), "x", 1, NULL, NULL, 0, &r, &err);
			_exit(rc < 0 && !r ? 0 : 1);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_false(exists("new"));
	struct err err = ERR_INIT;
	assert_int_equal(repo_check_new(at("empty"), &err), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_places),
		TEST(test_lost_and_found),
		TEST(test_failure_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
