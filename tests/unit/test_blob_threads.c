/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Threads on one blob: each owns a part of the file and compares it with its own memory, while
 * others write, extend, sync, finish and make checkpoints. And one sequential writer whose requests
 * several threads carry out, as the kernel's write-back does. Meant to be run under TSan and ASan
 * too.
 */
#include <pthread.h>
#include <unistd.h>
#include "blob_world.h"
#include "blob/blob_impl.h"

#define NAME "blob"
#define THREADS 4u
#define PART 60000u /* bytes that a thread owns: borders lie inside records */
#define STEPS 300u

static struct {
	struct world *w;
	struct blob *b;
	uint64_t seed;
	atomic_bool stop;
	atomic_uint next; /* chunk to write */
	uint8_t *all;
} t;

static void *own_part(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	struct rng rng = {t.seed + me};
	uint8_t *mem = calloc(1, PART), *buf = malloc(PART);
	uint64_t base = me * PART;

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t off = rng_offset(&rng, PART - 1), len = 1 + rng_offset(&rng, 9000);
		ssize_t n;

		len = off + len > PART ? PART - off : len;
		if (rng_below(&rng, 2)) {
			rng_fill(&rng, mem + off, len);
			if (blob_write(t.b, mem + off, len, base + off) != 0)
				abort();
		} else {
			memset(buf, 0, len);
			n = blob_read(t.b, buf, len, base + off);
			/* What lies behind the end of the file is zeros in memory too. */
			if (n < 0 || memcmp(buf, mem + off, len) != 0)
				abort();
		}
		if (rng_below(&rng, 40) == 0 && blob_sync(t.b, true) != 0)
			abort();
	}
	free(buf);
	return mem;
}

/* Checkpoints and last closes, all the time. */
static void *disturb(void *arg)
{
	(void)arg;
	while (!t.stop) {
		if (blob_finish(t.b) != 0 || epochs_turn(t.w->epochs) != 0 ||
			epochs_commit(t.w->epochs) != 0)
			abort();
		blob_checkpointed(t.b);
		(void)blob_size(t.b);
		(void)blob_unsynced(t.b);
		(void)blob_unfinished(t.b);
		usleep(500);
	}
	return NULL;
}

static void test_parts(void **state)
{
	pthread_t threads[THREADS], other;
	uint8_t *mem[THREADS], *back = malloc(PART);

	(void)state;
	memset(&t, 0, sizeof(t));
	t.seed = test_seed();
	t.w = world_new();
	((struct store_traits *)store_traits(t.w->st))->stable_pages = false;
	t.b = world_create(t.w, NAME);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, own_part, (void *)i), 0);
	assert_int_equal(pthread_create(&other, NULL, disturb, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], (void **)&mem[i]), 0);
	t.stop = true;
	pthread_join(other, NULL);
	assert_int_equal(blob_finish(t.b), 0);
	blob_close(t.b);
	world_unmount(t.w, true);
	world_mount(t.w, false);
	t.b = world_open(t.w, NAME, false);
	for (unsigned i = 0; i < THREADS; i++) {
		memset(back, 0, PART);
		assert_true(blob_read(t.b, back, PART, (uint64_t)i * PART) >= 0);
		assert_memory_equal(back, mem[i], PART);
		free(mem[i]);
	}
	blob_close(t.b);
	free(back);
	world_free(t.w);
}

#define CHUNK 65536u
#define CHUNKS 64u

static void *carry_out(void *arg)
{
	unsigned i;

	(void)arg;
	while ((i = t.next++) < CHUNKS)
		if (blob_write(t.b, t.all + (size_t)i * CHUNK, CHUNK, (uint64_t)i * CHUNK) != 0)
			abort();
	return NULL;
}

static void test_one_writer(void **state)
{
	uint8_t *back = malloc((size_t)CHUNK * CHUNKS);
	struct rng rng = {test_seed()};
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		memset(&t, 0, sizeof(t));
		t.all = malloc((size_t)CHUNK * CHUNKS);
		rng_fill(&rng, t.all, (size_t)CHUNK * CHUNKS);
		t.w = world_new();
		t.b = world_create(t.w, NAME);
		for (uintptr_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, carry_out, NULL), 0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(t.b->gaps.n, 0);
		assert_int_equal(t.b->writers, 0);
		assert_false(t.b->sparse);
		assert_int_equal(blob_finish(t.b), 0);
		blob_close(t.b);
		t.b = world_open(t.w, NAME, false);
		assert_false(t.b->first.flags & INNER_SPARSE);
		assert_int_equal(
			blob_read(t.b, back, (size_t)CHUNK * CHUNKS, 0), (ssize_t)CHUNK * CHUNKS);
		assert_memory_equal(back, t.all, (size_t)CHUNK * CHUNKS);
		blob_close(t.b);
		world_free(t.w);
		free(t.all);
	}
	free(back);
}

/* Truncating, punching and reading against each other: every byte that is read is zero or what was
 * written. */
static void *shake(void *arg)
{
	struct rng rng = {t.seed + (uint64_t)(uintptr_t)arg};
	uint8_t buf[20000];

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t off = rng_offset(&rng, 100000),
			 len = 1 + rng_offset(&rng, sizeof(buf) - 1);
		ssize_t n = 0;
		int r = 0;

		switch (rng_below(&rng, 6)) {
		case 0:
			r = blob_truncate(t.b, off);
			break;
		case 1:
			r = blob_punch(t.b, off, len);
			break;
		case 2:
			r = blob_allocate(t.b, off, len, false);
			break;
		case 3:
			memset(buf, 0x5a, len);
			r = blob_write(t.b, buf, len, off);
			break;
		case 4:
			r = (int)blob_seek(t.b, off, SEEK_DATA);
			r = r == -ENXIO || r > 0 ? 0 : r;
			break;
		default:
			n = blob_read(t.b, buf, len, off);
			r = n < 0 ? (int)n : 0;
		}
		if (r != 0)
			abort();
		for (ssize_t j = 0; j < n; j++)
			if (buf[j] != 0 && buf[j] != 0x5a)
				abort();
	}
	return NULL;
}

static void test_shaken(void **state)
{
	pthread_t threads[THREADS], other;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.seed = test_seed();
	t.w = world_new();
	t.b = world_create(t.w, NAME);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake, (void *)i), 0);
	assert_int_equal(pthread_create(&other, NULL, disturb, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	t.stop = true;
	pthread_join(other, NULL);
	assert_int_equal(blob_finish(t.b), 0);
	blob_close(t.b);
	world_unmount(t.w, true);
	world_mount(t.w, false);
	t.b = world_open(t.w, NAME, false);
	assert_false(blob_damaged(t.b));
	blob_close(t.b);
	world_free(t.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_one_writer),
		cmocka_unit_test(test_shaken),
	};

	return cmocka_run_group_tests_name("blob_threads", tests, NULL, NULL);
}
