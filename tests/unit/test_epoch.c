/* SPDX-License-Identifier: Apache-2.0 */

/* state/epoch: its bytes, sessions that end well and badly, checkpoints with writers in flight. */
#include <pthread.h>
#include <sched.h>
#include "blob_world.h"
#include "blob/epoch_file.h"

static struct epoch_state *some_state(void)
{
	struct epoch_state *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->open = true;
	s->current = 5000;
	s->clean_end = 1234567890;
	s->start = 1234560000;
	memset(s->boot, 3, sizeof(s->boot));
	s->n = 3;
	s->ranges[0] = (struct epoch_range){.first = 0, .last = 9, .start = INT64_MIN};
	s->ranges[1] = (struct epoch_range){.first = 11, .last = 11, .start = 77, .soft = true};
	s->ranges[2] = (struct epoch_range){.first = 100, .last = 4999, .start = 78};
	return s;
}

static void test_file(void **state)
{
	struct keyring *keys = ring_make(1), *others = ring_make(2);
	struct epoch_state *s = some_state(), *back = calloc(1, sizeof(*back));
	uint8_t *buf = malloc(EPOCH_FILE_MAX + 1);
	int len = epoch_file_encode(s, keys, buf);

	(void)state;
	assert_int_equal(len, 64 + 3 * 32 + 32);
	assert_int_equal(epoch_file_decode(buf, (size_t)len, keys, back), 0);
	assert_memory_equal(s, back, sizeof(*s));
	assert_int_equal(epoch_file_decode(buf, (size_t)len, others, back), -EBADMSG);
	for (int i = 0; i < len; i++) {
		int want = i >= 8 && i < 12    ? -EPROTONOSUPPORT
			   : i >= 16 && i < 20 ? -ENOKEY
					       : -EBADMSG;

		buf[i] ^= 0x80;
		assert_int_equal(epoch_file_decode(buf, (size_t)len, keys, back), want);
		buf[i] ^= 0x80;
		assert_int_equal(epoch_file_decode(buf, (size_t)i, keys, back), -EBADMSG);
	}
	assert_int_equal(epoch_file_decode(buf, (size_t)len + 1, keys, back), -EBADMSG);
	/* What is authentic is still checked. */
	s->ranges[1].first = 9;
	len = epoch_file_encode(s, keys, buf);
	assert_int_equal(epoch_file_decode(buf, (size_t)len, keys, back), -EBADMSG);
	s->ranges[1].first = 11;
	s->current = 4999;
	len = epoch_file_encode(s, keys, buf);
	assert_int_equal(epoch_file_decode(buf, (size_t)len, keys, back), -EBADMSG);
	s->n = EPOCH_RANGES_MAX + 1;
	assert_int_equal(epoch_file_encode(s, keys, buf), -EINVAL);
	free(s);
	free(back);
	free(buf);
	keyring_free(keys);
	keyring_free(others);
}

static void test_clean_sessions(void **state)
{
	struct world *w = world_new();
	struct epochs_clear clear;
	struct timespec now;

	(void)state;
	assert_int_equal(epochs_current(w->epochs), 1);
	assert_false(epochs_last_unclean(w->epochs));
	assert_int_equal(epochs_peek(w->st, &clear), 0);
	assert_true(clear.open);
	for (uint64_t i = 1; i < 10; i++) {
		assert_int_equal(epochs_current(w->epochs), i);
		assert_false(epochs_complete(w->epochs, i));
		assert_false(epochs_broken(w->epochs, i));
		assert_true(i == 1 || epochs_complete(w->epochs, i - 1));
		assert_int_equal(epochs_clean_end(w->epochs), 0);
		world_unmount(w, true);
		world_mount(w, false);
		assert_true(epochs_complete(w->epochs, i));
		assert_true(epochs_clean_end(w->epochs) > 0);
		assert_int_equal(epochs_peek(w->st, &clear), 0);
		assert_false(clear.open);
		assert_int_equal(clear.clean_end, epochs_clean_end(w->epochs));
		assert_int_equal(epochs_begin(w->epochs), 0);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	assert_int_equal(epochs_broken_count(w->epochs), 0);
	assert_false(epochs_suspect(w->epochs, &now));
	assert_false(epochs_broken_after(w->epochs, 0));
	/* A number that nobody can have written yet: state/epoch was put back. Cuts stay damage. */
	assert_false(epochs_broken(w->epochs, epochs_current(w->epochs) + 1));
	assert_false(epochs_complete(w->epochs, epochs_current(w->epochs) + 1));
	world_free(w);
}

static void test_unclean(void **state)
{
	struct world *w = world_new();
	struct timespec now, before;
	uint64_t cut, next;

	(void)state;
	world_unmount(w, true);
	world_mount(w, true);
	cut = epochs_current(w->epochs);
	clock_gettime(CLOCK_REALTIME, &now);
	before = (struct timespec){.tv_sec = now.tv_sec - 1000};
	world_unmount(w, false);
	/* Looking at it changes nothing. */
	for (unsigned i = 0; i < 2; i++) {
		world_mount(w, false);
		assert_true(epochs_last_unclean(w->epochs));
		assert_true(epochs_broken(w->epochs, cut));
		assert_true(epochs_broken(w->epochs, cut + 1));
		assert_true(epochs_broken_after(w->epochs, cut - 1));
		assert_true(epochs_complete(w->epochs, cut - 1));
		assert_true(epochs_suspect(w->epochs, &now));
		assert_false(epochs_suspect(w->epochs, &before));
		assert_true(epochs_soft(w->epochs, cut - 1));
		assert_int_equal(epochs_broken_count(w->epochs), 1);
		next = epochs_current(w->epochs);
		assert_true(next > cut + 1);
		/* Nor this one, but after a crash state/epoch may be older than the rest. */
		assert_true(epochs_broken(w->epochs, next + 1));
		assert_false(epochs_broken(w->epochs, next));
		assert_false(epochs_broken_after(w->epochs, next));
		world_unmount(w, false);
	}
	world_mount(w, true);
	next = epochs_current(w->epochs);
	world_unmount(w, true);
	world_mount(w, true);
	assert_false(epochs_last_unclean(w->epochs));
	assert_true(epochs_broken(w->epochs, cut));
	assert_true(epochs_complete(w->epochs, next));
	assert_true(epochs_suspect(w->epochs, &now));
	world_free(w);
}

/* More unclean ends than the list takes: it stays bounded, and forgets none. */
static void test_many_unclean(void **state)
{
	struct keyring *keys = ring_make(7);
	struct world *w = world_new();
	struct epoch_state *s = calloc(1, sizeof(*s));
	uint8_t *buf = malloc(EPOCH_FILE_MAX);
	int len;

	(void)state;
	world_unmount(w, true);
	s->open = true;
	s->current = 10 * EPOCH_RANGES_MAX;
	s->n = EPOCH_RANGES_MAX;
	for (uint32_t i = 0; i < s->n; i++)
		s->ranges[i] = (struct epoch_range){
			.first = 10 * i, .last = 10 * i + 3, .start = 5000 - i};
	len = epoch_file_encode(s, keys, buf);
	assert_int_equal(len, EPOCH_FILE_MAX);
	world_spill(w, "state/epoch", buf, (size_t)len);
	world_mount(w, true);
	assert_int_equal(epochs_broken_count(w->epochs), EPOCH_RANGES_MAX);
	for (uint32_t i = 0; i < s->n; i++)
		assert_true(epochs_broken(w->epochs, 10 * i + 3));
	assert_true(epochs_broken(w->epochs, 10 * EPOCH_RANGES_MAX));
	/* The two oldest became one, with what lies between. */
	assert_true(epochs_broken(w->epochs, 5));
	assert_true(epochs_complete(w->epochs, 15));
	free(s);
	free(buf);
	keyring_free(keys);
	world_free(w);
}

static void check_lost(struct world *w)
{
	struct err err = ERR_INIT;
	bool lost = false;
	uint64_t now;

	assert_int_equal(epochs_load(w->st, w->keys, &w->epochs, &lost, &err), 0);
	assert_true(lost);
	assert_true(epochs_last_unclean(w->epochs));
	now = epochs_current(w->epochs);
	assert_true(epochs_broken(w->epochs, 1));
	assert_true(epochs_broken(w->epochs, now - 1));
	assert_true(epochs_broken_after(w->epochs, 1));
	assert_true(epochs_suspect(w->epochs, &(struct timespec){.tv_sec = 1}));
	assert_false(epochs_soft(w->epochs, 1));
	assert_int_equal(epochs_begin(w->epochs), 0);
	world_unmount(w, true);
	world_mount(w, false);
	assert_true(epochs_complete(w->epochs, now));
	assert_true(epochs_broken(w->epochs, 1));
	epochs_free(w->epochs);
	w->epochs = NULL;
}

static void test_lost(void **state)
{
	struct world *w = world_new();
	struct epochs_clear clear;

	(void)state;
	world_unmount(w, true);
	world_spill(w, "state/epoch", "", 0);
	check_lost(w);
	world_spill(w, "state/epoch", "COFFEREPnonsense", 16);
	check_lost(w);
	assert_int_equal(unlinkat(store_root(w->st), "state/epoch", 0), 0);
	assert_int_equal(epochs_peek(w->st, &clear), -ENOENT);
	check_lost(w);
	assert_int_equal(unlinkat(store_root(w->st), "state/epoch", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", store_root(w->st), "state/epoch"), 0);
	check_lost(w);
	assert_int_equal(unlinkat(store_root(w->st), "state/epoch", 0), 0);
	assert_int_equal(unlinkat(store_root(w->st), "state", AT_REMOVEDIR), 0);
	check_lost(w);
	world_free(w);
}

/* A newer version is not a loss: refused. */
static void test_newer(void **state)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct epochs *e = NULL;
	bool lost = false;
	uint8_t *raw;
	size_t len;

	(void)state;
	raw = world_slurp(w, "state/epoch", &len);
	raw[8] = 2;
	world_spill(w, "state/epoch", raw, len);
	assert_int_equal(epochs_load(w->st, w->keys, &e, &lost, &err), -EPROTONOSUPPORT);
	assert_int_equal(err.code, EXIT_REPO_VERSION);
	assert_false(lost);
	assert_null(e);
	free(raw);
	world_free(w);
}

static void test_checkpoint(void **state)
{
	struct world *w = world_new();
	uint64_t first = epochs_current(w->epochs), e;

	(void)state;
	assert_int_equal(epochs_turn(w->epochs), 0);
	e = epochs_enter(w->epochs);
	assert_int_equal(e, first + 1);
	assert_int_equal(epochs_durable(w->epochs), first);
	assert_false(epochs_complete(w->epochs, first));
	assert_false(epochs_broken(w->epochs, first));
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_true(epochs_complete(w->epochs, first));
	assert_int_equal(epochs_durable(w->epochs), first + 1);
	epochs_leave(w->epochs, e);
	/* A commit that is left out: the next one makes up for it. */
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(epochs_current(w->epochs), first + 2);
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_true(epochs_complete(w->epochs, first + 1));
	/* Killed between turn and commit: both numbers are broken. */
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(epochs_current(w->epochs), first + 3);
	world_unmount(w, false);
	world_mount(w, true);
	assert_true(epochs_complete(w->epochs, first + 1));
	assert_true(epochs_broken(w->epochs, first + 2));
	assert_true(epochs_broken(w->epochs, first + 3));
	world_free(w);
}

static void test_spoiled(void **state)
{
	struct world *w = world_new();
	uint64_t first = epochs_current(w->epochs);

	(void)state;
	epochs_spoil(w->epochs);
	assert_true(epochs_broken(w->epochs, first));
	assert_true(epochs_broken_after(w->epochs, 0));
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_true(epochs_broken(w->epochs, first));
	assert_false(epochs_broken(w->epochs, first + 1));
	assert_true(epochs_soft(w->epochs, first));
	/* After the turn: it counts to the next number as well. */
	assert_int_equal(epochs_turn(w->epochs), 0);
	epochs_spoil(w->epochs);
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_true(epochs_broken(w->epochs, first + 1));
	assert_true(epochs_broken(w->epochs, first + 2));
	world_unmount(w, true);
	world_mount(w, true);
	assert_true(epochs_broken(w->epochs, first + 2));
	assert_false(epochs_last_unclean(w->epochs));
	assert_false(epochs_broken(w->epochs, epochs_current(w->epochs)));
	world_free(w);
}

/* ---- writers in flight ---- */

static struct {
	struct epochs *e;
	atomic_uint_fast64_t lowest[4]; /* what each writer is in, 0: none */
	atomic_bool stop;
} flight;

static void *fly(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	while (!flight.stop) {
		uint64_t e = epochs_enter(flight.e);

		flight.lowest[i] = e;
		sched_yield();
		flight.lowest[i] = 0;
		epochs_leave(flight.e, e);
	}
	return NULL;
}

static void test_turn_waits(void **state)
{
	struct world *w = world_new();
	pthread_t t[4];

	(void)state;
	memset(&flight, 0, sizeof(flight));
	flight.e = w->epochs;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fly, (void *)i), 0);
	for (unsigned n = 0; n < 200; n++) {
		uint64_t now;

		assert_int_equal(epochs_turn(w->epochs), 0);
		now = epochs_current(w->epochs);
		for (unsigned i = 0; i < 4; i++) {
			uint64_t in = flight.lowest[i];

			assert_true(in == 0 || in >= now);
		}
		assert_int_equal(epochs_commit(w->epochs), 0);
	}
	flight.stop = true;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	world_free(w);
}

/* ---- the disk fails ---- */

static int fail_fsync(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}
static const struct store_ops failing = {.fsync = fail_fsync};

static void test_failing_disk(void **state)
{
	struct world *w = world_new();
	uint64_t first = epochs_current(w->epochs);

	(void)state;
	assert_int_equal(epochs_turn(w->epochs), 0);
	store_set_ops(w->st, &failing);
	assert_int_equal(epochs_commit(w->epochs), -EIO);
	assert_false(epochs_complete(w->epochs, first));
	assert_int_equal(epochs_durable(w->epochs), first);
	assert_int_equal(epochs_end(w->epochs), -EIO);
	assert_false(epochs_complete(w->epochs, first));
	store_set_ops(w->st, NULL);
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_true(epochs_complete(w->epochs, first));
	world_free(w);
}

static void test_read_only(void **state)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store *ro = NULL;
	struct epochs *e = NULL;
	uint8_t *before, *after;
	size_t len, len2;
	bool lost;

	(void)state;
	before = world_slurp(w, "state/epoch", &len);
	assert_int_equal(store_open(w->path, true, &ro, &err), 0);
	assert_int_equal(epochs_load(ro, w->keys, &e, &lost, &err), 0);
	assert_true(epochs_last_unclean(e));
	assert_int_equal(epochs_begin(e), -EROFS);
	epochs_free(e);
	store_close(ro);
	after = world_slurp(w, "state/epoch", &len2);
	assert_int_equal(len, len2);
	assert_memory_equal(before, after, len);
	free(before);
	free(after);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_clean_sessions),
		cmocka_unit_test(test_unclean),
		cmocka_unit_test(test_many_unclean),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_checkpoint),
		cmocka_unit_test(test_spoiled),
		cmocka_unit_test(test_turn_waits),
		cmocka_unit_test(test_failing_disk),
		cmocka_unit_test(test_read_only),
	};

	return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
