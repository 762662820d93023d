/* SPDX-License-Identifier: Apache-2.0 */
/* state/lock between processes, with other hosts' texts, and with anything else in it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"
#include "store/lock.h"
#include "store/lock_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	char *path;
	struct store *st;
	int root, state;
	char host[256];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = scratch_make();
	if (!f->path || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
	f->root = store_root(f->st);
	if (st_mkdirat(f->st, f->root, "state", 0700) < 0 || gethostname(f->host, 256) < 0)
		return -1;
	f->state = st_open_dir(f->st, f->root, "state");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->state);
	store_close(f->st);
	scratch_remove(f->path);
	free(f);
	return 0;
}

static void put_text(struct fixture *f, const void *text, size_t len)
{
	assert_int_equal(st_replace_file(f->st, f->state, "lock", text, len, 0600), 0);
}

static off_t text_size(struct fixture *f)
{
	struct stat sb;

	assert_int_equal(st_fstatat(f->st, f->state, "lock", &sb), 0);
	return sb.st_size;
}

/* A process that holds the lock until it is killed. */
static pid_t start_holder(struct fixture *f, const char *mountpoint)
{
	int ready[2];
	char ok = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (lock_take(f->st, mountpoint, NULL) < 0 || write(ready[1], "y", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &ok, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_holder(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void assert_says(const struct err *err, const char *what)
{
	if (!strstr(err->text, what))
		fail_msg("\"%s\" does not say \"%s\"", err->text, what);
}

static void taken_queried_released(void **state)
{
	struct fixture *f = *state;
	static struct lock_holder h;
	bool held = true;
	int fd, again;

	assert_int_equal(lock_query(f->st, &h, &held), -ENOENT);
	fd = lock_take(f->st, "/mnt/a", NULL);
	assert_true(fd >= 0);
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_true(held);
	assert_string_equal(h.host, f->host);
	assert_int_equal(h.pid, getpid());
	assert_string_equal(h.mountpoint, "/mnt/a");
	assert_true(h.since > 1500000000 && h.since <= (long long)time(NULL));
	/* Not even this process gets it a second time. */
	assert_int_equal(lock_take(f->st, NULL, NULL), -EBUSY);
	lock_release(f->st, fd);
	assert_int_equal(text_size(f), 0);
	assert_int_equal(lock_query(f->st, &h, &held), -ENOENT);
	again = lock_take(f->st, NULL, NULL);
	assert_true(again >= 0);
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_string_equal(h.mountpoint, "");
	lock_release(f->st, again);
	lock_release(f->st, -1);
}

static void held_by_another_process(void **state)
{
	struct fixture *f = *state;
	static struct lock_holder h;
	struct err err = ERR_INIT;
	bool held = false;
	char pid_text[32];
	pid_t pid = start_holder(f, "/mnt/one\ntwo");
	int fd;

	assert_int_equal(lock_take(f->st, "/mnt/b", &err), -EBUSY);
	assert_int_equal(err.code, EXIT_REPO_IN_USE);
	snprintf(pid_text, sizeof(pid_text), "process %d,", (int)pid);
	assert_says(&err, pid_text);
	assert_says(&err, "/mnt/one?two");
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_true(held);
	assert_int_equal(h.pid, pid);
	assert_string_equal(h.mountpoint, "/mnt/one\ntwo");
	err = ERR_INIT;
	assert_int_equal(lock_break(f->st, &err), -EBUSY);
	assert_int_equal(err.code, EXIT_REPO_IN_USE);
	/* Killed: the text stays, the lock does not, and the next one asks nobody. */
	kill_holder(pid);
	assert_true(text_size(f) > 0);
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_false(held);
	err = ERR_INIT;
	fd = lock_take(f->st, "/b", &err);
	assert_true(fd >= 0);
	assert_int_equal(err.code, EXIT_OK);
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_int_equal(h.pid, getpid());
	assert_string_equal(h.mountpoint, "/b");
	lock_release(f->st, fd);
}

static void another_hosts_text(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "host=elsewhere\npid=4711\nsince=1700000000\nmountpoint=/m\n";
	static struct lock_holder h;
	struct err err = ERR_INIT;
	bool held = true;
	int fd;

	put_text(f, text, strlen(text));
	assert_int_equal(lock_take(f->st, "/mnt", &err), -EBUSY);
	assert_int_equal(err.code, EXIT_REPO_IN_USE);
	assert_says(&err, "elsewhere");
	assert_says(&err, "4711");
	assert_says(&err, "2023-11-1"); /* 1700000000 in any time zone */
	assert_says(&err, "coffer break-lock ");
	assert_says(&err, store_path(f->st));
	/* It was left as it is, and nobody holds a lock. */
	assert_int_equal(text_size(f), strlen(text));
	assert_int_equal(lock_query(f->st, &h, &held), 0);
	assert_false(held);
	assert_string_equal(h.host, "elsewhere");
	assert_int_equal(h.pid, 4711);
	assert_int_equal(lock_break(f->st, &err), 0);
	assert_int_equal(lock_query(f->st, &h, &held), -ENOENT);
	fd = lock_take(f->st, NULL, NULL);
	assert_true(fd >= 0);
	lock_release(f->st, fd);
	assert_int_equal(lock_break(f->st, &err), 0);
}

static void garbage_names_nobody(void **state)
{
	struct fixture *f = *state;
	static char zeros[4096], huge[200000];
	static const char *const texts[] = {"x", "host=", "host=\n", "host=other", "\n\n\n",
		"pid=1\nsince=2\n", "host=\\x0\n", "host=\\x00\n", "host=a\tb\n", "host\n=other\n",
		"Host=other\n"};

	memset(huge, 'h', sizeof(huge));
	for (size_t i = 0; i < COUNT(texts) + 2; i++) {
		int fd;

		if (i < COUNT(texts))
			put_text(f, texts[i], strlen(texts[i]));
		else if (i == COUNT(texts))
			put_text(f, zeros, sizeof(zeros));
		else
			put_text(f, huge, sizeof(huge));
		fd = lock_take(f->st, "/mnt", NULL);
		assert_true(fd >= 0);
		assert_true(text_size(f) < LOCK_TEXT_MAX);
		lock_release(f->st, fd);
	}
}

static void what_is_no_file(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	assert_int_equal(st_mknodat(f->st, f->state, "lock", S_IFIFO | 0600, 0), 0);
	assert_int_equal(lock_take(f->st, NULL, &err), -EINVAL);
	assert_int_equal(err.code, EXIT_IO);
	assert_int_equal(st_unlinkat(f->st, f->state, "lock", 0), 0);
	assert_int_equal(st_symlinkat(f->st, "../victim", f->state, "lock"), 0);
	assert_int_equal(lock_take(f->st, NULL, NULL), -ELOOP);
}

static void lost_state_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int fd;

	assert_int_equal(st_unlinkat(f->st, f->root, "state", AT_REMOVEDIR), 0);
	assert_int_equal(lock_take(f->st, NULL, &err), -ENOENT);
	assert_int_equal(err.code, EXIT_NOT_REPO);
	assert_int_equal(st_replace_file(f->st, f->root, "coffer.ini", "x", 1, 0600), 0);
	fd = lock_take(f->st, NULL, NULL);
	assert_true(fd >= 0);
	lock_release(f->st, fd);
}

static void read_only_stores_lock_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_closep) struct store *ro = NULL;
	struct err err = ERR_INIT;
	struct lock_holder *h = calloc(1, sizeof(*h));
	bool held;
	int fd, mine;

	assert_int_equal(store_open(f->path, true, &ro, NULL), 0);
	assert_int_equal(lock_take(ro, "/mnt", &err), -ENOENT);
	assert_int_equal(err.code, EXIT_OK);
	mine = lock_take(f->st, "/rw", NULL);
	assert_true(mine >= 0);
	fd = lock_take(ro, "/mnt", &err);
	assert_true(fd >= 0);
	lock_release(ro, fd);
	assert_int_equal(lock_query(ro, h, &held), 0);
	assert_true(held);
	assert_string_equal(h->mountpoint, "/rw");
	lock_release(f->st, mine);
	free(h);
}

/* ---- the text alone ---- */

static void texts_say_what_was_written(void **state)
{
	static char text[LOCK_TEXT_MAX];
	static struct lock_holder h, got;
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 300; round++) {
		size_t host_len = 1 + (size_t)random() % 255, point_len = (size_t)random() % 4096;
		size_t len;

		if (round == 0) {
			host_len = 255;
			point_len = 4095;
		}
		memset(&h, 0, sizeof(h));
		for (size_t i = 0; i < host_len; i++)
			h.host[i] = (char)(round == 0 ? '\n' : 1 + random() % 255);
		for (size_t i = 0; i < point_len; i++)
			h.mountpoint[i] = (char)(round == 0 ? '\\' : 1 + random() % 255);
		h.pid = random() % (1 << 22);
		h.since = random();
		len = lock_text_format(&h, text);
		assert_true(len < LOCK_TEXT_MAX && strlen(text) == len);
		assert_true(lock_text_parse(text, len, &got));
		assert_string_equal(got.host, h.host);
		assert_string_equal(got.mountpoint, h.mountpoint);
		assert_int_equal(got.pid, h.pid);
		assert_int_equal(got.since, h.since);
		/* Any prefix and any changed byte is read without harm. */
		for (int i = 0; i < 50; i++) {
			size_t at = (size_t)random() % len;
			char kept = text[at];

			(void)lock_text_parse(text, at, &got);
			text[at] = (char)random();
			if (lock_text_parse(text, len, &got))
				assert_true(strlen(got.host) > 0 && strlen(got.host) < 256);
			text[at] = kept;
		}
	}
}

static void numbers_are_bounded(void **state)
{
	static const char text[] = "host=h\npid=99999999999\nsince=9999999999999999999\n"
				   "host=second\nunknown=1\nmountpoint=/a\nmountpoint=/b\n";
	static struct lock_holder got;

	(void)state;
	assert_true(lock_text_parse(text, strlen(text), &got));
	assert_string_equal(got.host, "h");
	assert_int_equal(got.pid, 0);
	assert_int_equal(got.since, 0);
	assert_string_equal(got.mountpoint, "/a");
}

int main(void)
{
#define LOCK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOCK(taken_queried_released),
		LOCK(held_by_another_process),
		LOCK(another_hosts_text),
		LOCK(garbage_names_nobody),
		LOCK(what_is_no_file),
		LOCK(lost_state_is_made_anew),
		LOCK(read_only_stores_lock_nothing),
		cmocka_unit_test(texts_say_what_was_written),
		cmocka_unit_test(numbers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
