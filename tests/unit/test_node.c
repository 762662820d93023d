/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system without a mount: every operation through node/fs.h on a real directory, with few
 * descriptors, so that everything is evicted and reopened all the time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob/epoch.h"
#include "node/fs.h"

struct world {
	char path[64];
	struct store *st;
	struct keyring *keys;
	struct fs *fs;
};

static const struct caller root_user = {.uid = 0, .gid = 0, .umask = 022};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void open_fs(struct world *w, unsigned max_open)
{
	struct err err = ERR_INIT;
	struct fs_options o = {.max_open = max_open, .checkpoint_seconds = 3600};
	assert_int_equal(store_open(w->path, false, &w->st, &err), 0);
	assert_int_equal(store_probe_static(w->st, NULL, 0), 0);
	if (access(w->path, F_OK) == 0 && faccessat(store_root(w->st), "state/epoch", F_OK, 0) != 0)
		assert_int_equal(epochs_create(w->st, w->keys), 0);
	assert_int_equal(fs_open(w->st, w->keys, &o, &w->fs, &err), 0);
}

static void close_fs(struct world *w)
{
	assert_int_equal(fs_close(w->fs), 0);
	store_close(w->st);
	w->fs = NULL;
	w->st = NULL;
}

static void reopen(struct world *w, unsigned max_open)
{
	close_fs(w);
	open_fs(w, max_open);
}

static int set_up(void **state)
{
	static const uint8_t dek[KEY_LEN] = {1, 2, 3};
	struct world *w = calloc(1, sizeof(*w));
	char sub[128];
	snprintf(w->path, sizeof(w->path), "/tmp/coffer-node-XXXXXX");
	assert_non_null(mkdtemp(w->path));
	snprintf(sub, sizeof(sub), "%s/data", w->path);
	assert_int_equal(mkdir(sub, 0755), 0);
	snprintf(sub, sizeof(sub), "%s/state", w->path);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(keyring_new(&w->keys), 0);
	assert_int_equal(keyring_add(w->keys, 1, dek), 0);
	open_fs(w, 4);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	if (w->fs)
		close_fs(w);
	keyring_free(w->keys);
	nftw(w->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

/* ---- short forms ---- */
static struct node *mk(struct world *w, struct node *dir, const char *name, const char *content)
{
	struct node *n;
	struct stat st;
	assert_int_equal(fs_create(w->fs, dir, name, 0644, O_RDWR, &root_user, &n, &st), 0);
	assert_int_equal(fs_write(w->fs, n, content, strlen(content), 0, FS_WRITE_CACHED), 0);
	return n;
}

static void done(struct world *w, struct node *n)
{
	fs_release_file(w->fs, n, O_RDWR);
	fs_forget(w->fs, n, 1);
}

static struct node *find(struct world *w, struct node *dir, const char *name, struct stat *st)
{
	struct node *n = NULL;
	assert_int_equal(fs_lookup(w->fs, dir, name, &n, st), 0);
	return n;
}

static void expect(struct world *w, struct node *dir, const char *name, const char *content)
{
	char buf[256];
	struct stat st;
	struct node *n = find(w, dir, name, &st);
	assert_int_equal(st.st_size, strlen(content));
	assert_int_equal(fs_open_file(w->fs, n, O_RDONLY, false), 0);
	assert_int_equal(fs_read(w->fs, n, buf, sizeof(buf), 0), strlen(content));
	assert_memory_equal(buf, content, strlen(content));
	fs_release_file(w->fs, n, O_RDONLY);
	fs_forget(w->fs, n, 1);
}

static void absent(struct world *w, struct node *dir, const char *name)
{
	struct node *n;
	struct stat st;
	assert_int_equal(fs_lookup(w->fs, dir, name, &n, &st), -ENOENT);
}

static struct node *mkd(struct world *w, struct node *dir, const char *name)
{
	struct node *n;
	struct stat st;
	assert_int_equal(fs_mkdir(w->fs, dir, name, 0755, &root_user, &n, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	return n;
}

static void nothing_left(struct world *w, const char *own)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/data/%s", w->path, own);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		assert_int_equal(e->d_name[0], '.');
	closedir(d);
}

/* ---- tests ---- */
static void test_files_survive(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	char name[16];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		done(w, mk(w, root, name, name));
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		expect(w, root, name, name);
	}
	reopen(w, 4);
	root = fs_root(w->fs);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		expect(w, root, name, name);
	}
}

static void test_deep_tree(void **state)
{
	struct world *w = *state;
	enum { DEPTH = 600 };
	struct node *chain[DEPTH + 1] = {fs_root(w->fs)};
	for (int i = 0; i < DEPTH; i++)
		chain[i + 1] = mkd(w, chain[i], "d");
	done(w, mk(w, chain[DEPTH], "leaf", "deep"));
	for (int i = 1; i <= DEPTH; i++)
		fs_forget(w->fs, chain[i], 1);
	/* Until the next checkpoint a written file is kept. */
	assert_int_equal(fs_checkpoint(w->fs), 0);
	struct fs_stats stats;
	fs_stats(w->fs, &stats);
	assert_int_equal(stats.nodes, 1);
	reopen(w, 4);
	struct node *at = fs_root(w->fs);
	struct stat st;
	chain[0] = at;
	for (int i = 0; i < DEPTH; i++)
		chain[i + 1] = find(w, chain[i], "d", &st);
	expect(w, chain[DEPTH], "leaf", "deep");
	for (int i = 1; i <= DEPTH; i++)
		fs_forget(w->fs, chain[i], 1);
}

static void test_unlinked_open_files(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs), *open[40];
	struct stat st;
	char name[16], buf[16];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		open[i] = mk(w, root, name, name);
		assert_int_equal(fs_unlink(w->fs, root, name), 0);
		absent(w, root, name);
	}
	for (int i = 0; i < 40; i++) {
		size_t len = (size_t)snprintf(name, sizeof(name), "u%d", i);
		assert_int_equal(fs_getattr(w->fs, open[i], &st), 0);
		assert_int_equal(st.st_nlink, 0);
		assert_int_equal(st.st_size, len);
		assert_int_equal(fs_read(w->fs, open[i], buf, sizeof(buf), 0), len);
		assert_memory_equal(buf, name, len);
		assert_int_equal(fs_write(w->fs, open[i], "more", 4, len, FS_WRITE_CACHED), 0);
	}
	for (int i = 0; i < 40; i++)
		done(w, open[i]);
	nothing_left(w, ".unlinked");
}

static void test_replaced_while_open(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	struct stat st;
	char buf[16];
	struct node *old = mk(w, root, "target", "old");
	done(w, mk(w, root, "source", "new"));
	assert_int_equal(fs_rename(w->fs, root, "source", root, "target", 0), 0);
	expect(w, root, "target", "new");
	absent(w, root, "source");
	assert_int_equal(fs_read(w->fs, old, buf, sizeof(buf), 0), 3);
	assert_memory_equal(buf, "old", 3);
	assert_int_equal(fs_getattr(w->fs, old, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	done(w, old);
	reopen(w, 4);
	expect(w, fs_root(w->fs), "target", "new");
}

static void test_hard_links(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	struct node *d = mkd(w, root, "dir");
	struct stat st;
	struct node *n = mk(w, root, "a", "linked");
	assert_int_equal(fs_link(w->fs, n, d, "b", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	fs_forget(w->fs, n, 1);
	assert_int_equal(fs_unlink(w->fs, root, "a"), 0);
	assert_int_equal(fs_getattr(w->fs, n, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	expect(w, d, "b", "linked");
	assert_int_equal(fs_write(w->fs, n, "LINK", 4, 0, FS_WRITE_CACHED), 0);
	done(w, n);
	expect(w, d, "b", "LINKed");
	assert_int_equal(fs_unlink(w->fs, d, "b"), 0);
	absent(w, d, "b");
	fs_forget(w->fs, d, 1);
	assert_int_equal(fs_rmdir(w->fs, root, "dir"), 0);
}

/* More names than are remembered: the file stays reachable when all remembered ones go. */
static void test_very_many_links(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	struct stat st;
	char name[16];
	struct node *n = mk(w, root, "l0", "many");
	for (int i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(fs_link(w->fs, n, root, name, &st), 0);
		assert_int_equal(st.st_nlink, i + 1);
	}
	for (int i = 0; i < 99; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(fs_unlink(w->fs, root, name), 0);
		assert_int_equal(fs_getattr(w->fs, n, &st), 0);
		assert_int_equal(st.st_nlink, 99 - i);
	}
	expect(w, root, "l99", "many");
	fs_release_file(w->fs, n, O_RDWR);
	fs_forget(w->fs, n, 100);
	expect(w, root, "l99", "many");
	assert_int_equal(fs_unlink(w->fs, root, "l99"), 0);
}

static void test_directories(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	struct node *a = mkd(w, root, "a"), *b = mkd(w, root, "b");
	struct stat st;
	done(w, mk(w, a, "f", "x"));
	assert_int_equal(fs_rmdir(w->fs, root, "a"), -ENOTEMPTY);
	assert_int_equal(fs_unlink(w->fs, root, "a"), -EISDIR);
	assert_int_equal(
		fs_rename(w->fs, root, "a", root, "b", 0), 0); /* over an empty directory */
	absent(w, root, "a");
	expect(w, a, "f", "x");
	assert_int_equal(fs_getattr(w->fs, b, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	absent(w, b, "f");
	struct node *c = mkd(w, root, "c");
	assert_int_equal(fs_rename(w->fs, root, "c", root, "b", 0), -ENOTEMPTY);
	assert_int_equal(fs_rename(w->fs, root, "c", root, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(fs_rename(w->fs, root, "c", root, "b", RENAME_EXCHANGE), 0);
	struct node *now = find(w, root, "c", &st);
	assert_ptr_equal(now, a);
	fs_forget(w->fs, now, 1);
	expect(w, a, "f", "x");
	fs_forget(w->fs, a, 1);
	fs_forget(w->fs, b, 1);
	fs_forget(w->fs, c, 1);
	reopen(w, 4);
	root = fs_root(w->fs);
	now = find(w, root, "c", &st);
	expect(w, now, "f", "x");
	fs_forget(w->fs, now, 1);
	assert_int_equal(fs_rmdir(w->fs, root, "b"), 0);
}

static void test_symlinks(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs), *n;
	struct stat st;
	char target[4096], got[4096];
	static const size_t sizes[] = {1, 100, 700, 720, 800, 1000, 4095};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(target, 'a' + (int)i, sizes[i]);
		target[sizes[i]] = '\0';
		assert_int_equal(fs_symlink(w->fs, root, "link", target, &root_user, &n, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
		assert_int_equal(fs_readlink(w->fs, n, got), sizes[i]);
		assert_string_equal(got, target);
		fs_forget(w->fs, n, 1);
		assert_int_equal(fs_unlink(w->fs, root, "link"), 0);
	}
	nothing_left(w, ".targets"); /* the texts of long targets went with their links */
}

struct names {
	unsigned count, room;
	char seen[400];
};

static bool take_name(
	void *cookie, const char *name, struct node *n, const struct stat *st, off_t next)
{
	(void)n;
	(void)st;
	(void)next;
	struct names *s = cookie;
	if (s->room == 0)
		return false;
	s->room--;
	if (name[0] != '.') {
		int i = atoi(name + 1);
		assert_true(i >= 0 && i < (int)sizeof(s->seen));
		assert_int_equal(s->seen[i], 0);
		s->seen[i] = 1;
		s->count++;
	}
	return true;
}

static void test_readdir(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	char name[256];
	struct names s = {.room = 1000};
	for (int i = 0; i < 400; i++) {
		/* Every fourth one with a name too long for the disk. */
		memset(name, 'n', sizeof(name));
		int len = snprintf(name, sizeof(name), "n%d", i);
		if (i % 4 == 0) {
			name[len] = '_';
			name[255] = '\0';
		}
		done(w, mk(w, root, name, "y"));
	}
	struct dirhandle *h;
	assert_int_equal(fs_opendir(w->fs, root, &h), 0);
	struct dir_fill f = {.fill = take_name, .cookie = &s};
	assert_int_equal(fs_readdir(w->fs, h, 0, false, &f), 0);
	assert_int_equal(s.count, 400);
	fs_closedir(w->fs, h);
	struct fs_stats stats;
	fs_stats(w->fs, &stats);
	assert_int_equal(stats.damage, 0);
}

static void test_xattrs_and_times(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs);
	struct stat st;
	char buf[64];
	struct timespec ts[2] = {
		{.tv_sec = 1000000000, .tv_nsec = 123}, {.tv_sec = 1100000000, .tv_nsec = 456}};
	struct node *n = mk(w, root, "f", "content");
	int r = fs_setxattr(w->fs, n, "user.note", "value", 5, 0);
	assert_true(r == 0 || r == -EOPNOTSUPP);
	assert_int_equal(fs_utimens(w->fs, n, ts), 0);
	assert_int_equal(fs_chmod(w->fs, n, 0400), 0);
	/* Closing, and the record that it may write, must not touch the times. */
	done(w, n);
	reopen(w, 4);
	n = find(w, fs_root(w->fs), "f", &st);
	assert_int_equal(st.st_mtim.tv_sec, 1100000000);
	assert_int_equal(st.st_mtim.tv_nsec, 456);
	assert_int_equal(st.st_mode & 07777, 0400);
	if (r == 0) {
		assert_int_equal(fs_getxattr(w->fs, n, "user.note", buf, sizeof(buf)), 5);
		assert_memory_equal(buf, "value", 5);
		assert_int_equal(fs_listxattr(w->fs, n, buf, sizeof(buf)), 10);
		assert_string_equal(buf, "user.note");
	}
	fs_forget(w->fs, n, 1);
}

/* A grown file keeps the mtime that was set after its last write, although record 0 is written at
 * the end. */
static void test_mtime_of_grown_file(void **state)
{
	struct world *w = *state;
	struct node *root = fs_root(w->fs), *n;
	struct stat st;
	static char block[100000];
	struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1234567890, .tv_nsec = 5}};
	assert_int_equal(fs_create(w->fs, root, "g", 0644, O_WRONLY, &root_user, &n, &st), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fs_write(w->fs, n, block, sizeof(block),
					 (uint64_t)i * sizeof(block), FS_WRITE_CACHED),
			0);
	assert_int_equal(fs_utimens(w->fs, n, ts), 0);
	fs_release_file(w->fs, n, O_WRONLY);
	assert_int_equal(fs_getattr(w->fs, n, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1234567890);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	assert_int_equal(st.st_size, 5 * sizeof(block));
	fs_forget(w->fs, n, 1);
}

struct hammer {
	struct world *w;
	unsigned id;
};

static void *hammer_main(void *arg)
{
	struct hammer *h = arg;
	struct world *w = h->w;
	struct node *root = fs_root(w->fs);
	char name[32], other[32];
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "t%u-%d", h->id, i % 7);
		snprintf(other, sizeof(other), "r%u-%d", h->id, i % 7);
		done(w, mk(w, root, name, name));
		expect(w, root, name, name);
		assert_int_equal(fs_rename(w->fs, root, name, root, other, 0), 0);
		expect(w, root, other, name);
		if (i % 3 == 0)
			assert_int_equal(fs_checkpoint(w->fs), 0);
		assert_int_equal(fs_unlink(w->fs, root, other), 0);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct world *w = *state;
	pthread_t t[4];
	struct hammer h[4];
	for (unsigned i = 0; i < 4; i++) {
		h[i] = (struct hammer){w, i};
		assert_int_equal(pthread_create(&t[i], NULL, hammer_main, &h[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	struct fs_stats stats;
	fs_stats(w->fs, &stats);
	assert_int_equal(stats.nodes, 1);
	assert_int_equal(stats.damage, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_files_survive),
		T(test_deep_tree),
		T(test_unlinked_open_files),
		T(test_replaced_while_open),
		T(test_hard_links),
		T(test_very_many_links),
		T(test_directories),
		T(test_symlinks),
		T(test_readdir),
		T(test_xattrs_and_times),
		T(test_mtime_of_grown_file),
		T(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
