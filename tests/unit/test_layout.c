/* SPDX-License-Identifier: Apache-2.0 */

/* The arithmetic of blobs, and the small structures under them: gaps, sets of records, range locks.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob/dirty.h"
#include "blob/gaps.h"
#include "blob/layout.h"
#include "blob/range.h"
#include "blob/blob.h"

static void test_records(void **state)
{
	(void)state;
	assert_int_equal(record_capacity(0), 3906);
	assert_int_equal(record_capacity(1), 3938);
	assert_int_equal(record_capacity(2), 4066);
	assert_int_equal(record_capacity(UINT64_C(1) << 50), 4066);
	for (uint64_t k = 0; k < 5000; k++) {
		assert_int_equal(record_start(k) + record_capacity(k), record_start(k + 1));
		assert_int_equal(record_of(record_start(k)), k);
		assert_int_equal(record_of(record_start(k + 1) - 1), k);
	}
	assert_int_equal(records_for(0), 1);
	assert_int_equal(records_for(1), 1);
	assert_int_equal(records_for(3906), 1);
	assert_int_equal(records_for(3907), 2);
	assert_int_equal(records_for(7844), 2);
	assert_int_equal(records_for(7845), 3);
	assert_int_equal(records_for(11910), 3);
	assert_int_equal(records_for(11911), 4);
}

static void check_size(uint64_t size)
{
	uint64_t length = length_for(size), back = 7;

	assert_int_equal(length / RECORD_SIZE, records_for(size));
	assert_true(size_from_length(length, &back));
	assert_int_equal(back, size);
	assert_int_equal(size_floor_from_length(length), size);
	assert_int_equal(blob_size_from_stat(length), size);
	assert_true(length <= INT64_MAX);
}

static void test_sizes(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < 30000; size++)
		check_size(size);
	for (unsigned shift = 15; shift < 62; shift++)
		for (int d = -5000; d < 5000; d += 7)
			check_size((UINT64_C(1) << shift) + (uint64_t)(int64_t)d);
	check_size(SIZE_MAX_PLAIN);
}

/* Every length is either that of exactly one size, or of none; the floor is the largest that fits.
 */
static void test_lengths(void **state)
{
	uint64_t size, floor = 0;

	(void)state;
	assert_true(size_from_length(0, &size));
	assert_int_equal(size, 0);
	for (uint64_t length = 1; length < 60000; length++) {
		uint64_t before = size = UINT64_MAX;

		if (size_from_length(length, &size)) {
			assert_int_equal(length_for(size), length);
			floor = size;
		} else {
			assert_int_equal(size, before);
		}
		assert_int_equal(size_floor_from_length(length), floor);
	}
	for (uint64_t length = UINT64_MAX - 20000; length < UINT64_MAX; length++) {
		assert_false(size_from_length(length, &size));
		assert_int_equal(size_floor_from_length(length), SIZE_MAX_PLAIN);
	}
	assert_false(size_from_length(length_for(SIZE_MAX_PLAIN) + 1, &size));
}

/* ---- gaps, against a list of what is on the disk ---- */

#define RECORDS 60u

struct disk {
	int32_t len[RECORDS]; /* GAP_MISSING, or bytes */
	uint64_t n;
};

static void compare_gaps(const struct gaps *g, const struct disk *d)
{
	for (uint64_t k = 0; k + 1 < d->n; k++)
		if (gaps_len(g, k, (int32_t)record_capacity(k)) != d->len[k])
			fail_msg("record %" PRIu64 ": %d, not %d", k,
				gaps_len(g, k, (int32_t)record_capacity(k)), d->len[k]);
	for (size_t i = 0; i < g->n; i++) {
		assert_true(g->v[i].end > g->v[i].rec);
		assert_true(g->v[i].end < d->n || g->v[i].end == g->v[i].rec + 1);
		assert_true(i == 0 || g->v[i - 1].end <= g->v[i].rec);
	}
}

static void test_gaps(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned round = 0; round < 2000; round++) {
		struct gaps g = {.v = NULL};
		struct disk d = {.len = {3906}, .n = 1};

		for (unsigned i = 0; i < 40; i++) {
			uint64_t first = (uint64_t)rand_r(&seed) % (RECORDS - 6);
			uint64_t last = first + (uint64_t)rand_r(&seed) % 5;
			bool at_end = last >= d.n - 1;
			uint32_t len = record_capacity(last);

			assert_int_equal(gaps_reserve(&g, 2), 0);
			if (rand_r(&seed) % 8 == 0 && first < d.n && first > 0 &&
				d.len[first] != GAP_MISSING) {
				gaps_cut(&g, first);
				d.n = first + 1;
				compare_gaps(&g, &d);
				continue;
			}
			if (rand_r(&seed) % 2)
				len = 1 + (uint32_t)rand_r(&seed) % len;
			if (first >= d.n) {
				gaps_jump(&g, d.n - 1, (uint32_t)d.len[d.n - 1], first);
				for (uint64_t k = d.n; k < first; k++)
					d.len[k] = GAP_MISSING;
			}
			gaps_written(&g, first, last, len, at_end);
			for (uint64_t k = first; k < last; k++)
				d.len[k] = (int32_t)record_capacity(k);
			d.len[last] = (int32_t)len;
			d.n = at_end ? last + 1 : d.n;
			compare_gaps(&g, &d);
			if (g.n > 0)
				assert_int_equal(
					gaps_prefix(&g), record_start(g.v[0].rec) + g.v[0].len);
		}
		gaps_free(&g);
	}
}

/* ---- sets of records ---- */

static void test_dirty(void **state)
{
	static bool model[100000];
	unsigned seed = (unsigned)time(NULL);
	struct dirty d = {.slots = NULL};

	(void)state;
	print_message("seed %u\n", seed);
	assert_false(dirty_has(&d, 0));
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t k = (uint64_t)rand_r(&seed) % 100000;

		assert_true(dirty_add(&d, k));
		model[k] = true;
	}
	for (uint64_t k = 0; k < 100000; k++)
		assert_int_equal(dirty_has(&d, k), model[k]);
	dirty_clear(&d);
	for (uint64_t k = 0; k < 100000; k++)
		assert_false(dirty_has(&d, k));
	/* Bounded: what does not fit is refused, what is in stays. */
	for (uint64_t i = 0; i < DIRTY_CHUNKS_MAX; i++)
		assert_true(dirty_add(&d, i * 12345678 * DIRTY_CHUNK_RECORDS));
	assert_false(dirty_add(&d, UINT64_MAX / 2));
	assert_true(dirty_add(&d, 12345678 * DIRTY_CHUNK_RECORDS + 5));
	assert_true(dirty_has(&d, 12345678 * DIRTY_CHUNK_RECORDS + 5));
	assert_false(dirty_has(&d, 12345678 * DIRTY_CHUNK_RECORDS + 6));
	dirty_clear(&d);
}

/* ---- range locks: threads that would see each other if the lock let them ---- */

#define CELLS 32
#define THREADS 4

static struct {
	struct range_lock lock;
	int readers[CELLS], writers[CELLS]; /* changed with atomics */
	int clashes;
} field;

static void *use_field(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < 4000; i++) {
		uint64_t first = (uint64_t)rand_r(&seed) % CELLS;
		uint64_t last = first + (uint64_t)rand_r(&seed) % (CELLS - first);
		bool exclusive = rand_r(&seed) % 2;
		struct range r;

		range_lock(
			&field.lock, &r, first, rand_r(&seed) % 50 ? last : UINT64_MAX, exclusive);
		for (uint64_t k = first; k <= last; k++) {
			__atomic_add_fetch(exclusive ? &field.writers[k] : &field.readers[k], 1,
				__ATOMIC_SEQ_CST);
			if (__atomic_load_n(&field.writers[k], __ATOMIC_SEQ_CST) > exclusive ||
				(exclusive &&
					__atomic_load_n(&field.readers[k], __ATOMIC_SEQ_CST) > 0))
				__atomic_add_fetch(&field.clashes, 1, __ATOMIC_SEQ_CST);
		}
		for (uint64_t k = first; k <= last; k++)
			__atomic_sub_fetch(exclusive ? &field.writers[k] : &field.readers[k], 1,
				__ATOMIC_SEQ_CST);
		range_unlock(&field.lock, &r);
	}
	return NULL;
}

static void test_range_lock(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	range_init(&field.lock);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, use_field, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(field.clashes, 0);
	assert_null(field.lock.head);
	range_destroy(&field.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_range_lock),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
