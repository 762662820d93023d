/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Blobs against a model in memory: random operations, several seeds. Errors, damage and crashes
 * have tests of their own (test_blob_damage, test_blob_faults, test_blob_crash).
 */
#include "blob_world.h"
#include "blob/blob_impl.h"

#define MOST (600u * 1024)
#define NAME "blob"

struct model {
	struct world *w;
	struct blob *b;
	struct rng rng;
	uint8_t *mem; /* MOST bytes, zeros behind size */
	uint8_t *buf;
	uint64_t size;
	unsigned sessions;
};

static void compare(struct model *m)
{
	assert_int_equal(blob_size(m->b), m->size);
	memset(m->buf, 0xee, MOST);
	assert_int_equal(blob_read(m->b, m->buf, MOST, 0), m->size);
	if (memcmp(m->buf, m->mem, m->size) != 0) {
		uint64_t i = 0;

		while (m->buf[i] == m->mem[i])
			i++;
		fail_msg("byte %" PRIu64 " (record %" PRIu64 ") of %" PRIu64 ": %d, not %d", i,
			record_of(i), m->size, m->buf[i], m->mem[i]);
	}
}

static void op_write(struct model *m)
{
	uint64_t off = rng_offset(&m->rng, rng_below(&m->rng, 3) ? m->size : MOST - 1);
	uint64_t len = rng_offset(&m->rng, rng_below(&m->rng, 8) ? 20000 : MOST);

	if (rng_below(&m->rng, 4) == 0)
		off = m->size < MOST ? m->size : MOST - 1;
	len = off + len > MOST ? MOST - off : len;
	rng_fill(&m->rng, m->buf, len);
	assert_int_equal(blob_write(m->b, m->buf, len, off), 0);
	memcpy(m->mem + off, m->buf, len);
	if (len > 0 && off + len > m->size)
		m->size = off + len;
}

static void op_truncate(struct model *m)
{
	uint64_t size = rng_offset(&m->rng, rng_below(&m->rng, 2) ? m->size : MOST);

	if (rng_below(&m->rng, 12) == 0)
		size = 0;
	assert_int_equal(blob_truncate(m->b, size), 0);
	if (size < m->size)
		memset(m->mem + size, 0, m->size - size);
	m->size = size;
}

static void op_zero(struct model *m)
{
	uint64_t off = rng_offset(&m->rng, MOST - 2), len = rng_offset(&m->rng, 60000) + 1;
	bool keep = rng_below(&m->rng, 2);
	int r;

	len = off + len > MOST ? MOST - off : len;
	switch (rng_below(&m->rng, 3)) {
	case 0:
		r = blob_punch(m->b, off, len);
		keep = true;
		break;
	case 1:
		r = blob_zero_range(m->b, off, len, keep);
		break;
	default:
		assert_int_equal(blob_allocate(m->b, off, len, keep), 0);
		if (!keep && off + len > m->size)
			m->size = off + len;
		return;
	}
	assert_int_equal(r, 0);
	if (off < m->size)
		memset(m->mem + off, 0, off + len < m->size ? len : m->size - off);
	if (!keep && off + len > m->size)
		m->size = off + len;
}

static void op_read(struct model *m)
{
	uint64_t off = rng_offset(&m->rng, MOST), len = rng_offset(&m->rng, 30000), want;

	want = off >= m->size ? 0 : m->size - off < len ? m->size - off : len;
	assert_int_equal(blob_read(m->b, m->buf, len, off), want);
	assert_memory_equal(m->buf, m->mem + off, want);
}

static void op_seek(struct model *m)
{
	uint64_t off = rng_offset(&m->rng, MOST);
	int64_t data = blob_seek(m->b, off, SEEK_DATA), hole = blob_seek(m->b, off, SEEK_HOLE);

	if (off >= m->size) {
		assert_int_equal(data, -ENXIO);
		assert_int_equal(hole, -ENXIO);
		return;
	}
	assert_true(data == -ENXIO || (data >= (int64_t)off && data < (int64_t)m->size));
	assert_true(hole >= (int64_t)off && hole <= (int64_t)m->size);
	/* What is skipped as a hole must be zeros; whether zeros are holes is not promised. */
	for (uint64_t i = off; i < (data < 0 ? m->size : (uint64_t)data); i++)
		assert_int_equal(m->mem[i], 0);
}

static void op_reopen(struct model *m, bool writable)
{
	bool finished = rng_below(&m->rng, 3) > 0, unfinished;
	uint64_t stat_size;
	struct stat sb;

	if (finished) {
		assert_int_equal(blob_finish(m->b), 0);
		assert_false(blob_unfinished(m->b));
		assert_int_equal(fstat(blob_fd(m->b), &sb), 0);
		stat_size = blob_size_from_stat((uint64_t)sb.st_size);
		assert_int_equal(stat_size, m->size);
	}
	unfinished = blob_unfinished(m->b);
	blob_close(m->b);
	/* Without the record 0 that was due, the session must end as if the daemon were killed. */
	if (unfinished || rng_below(&m->rng, 2)) {
		m->sessions++;
		world_unmount(m->w, !unfinished && rng_below(&m->rng, 2));
		world_mount(m->w, true);
	}
	m->b = world_open(m->w, NAME, writable);
	if (!writable) {
		compare(m);
		assert_int_equal(blob_write(m->b, "x", 1, 0), -EBADF);
		assert_int_equal(blob_upgrade(m->b, world_fd(m->w, NAME, O_RDWR)), 0);
	}
}

static void op_checkpoint(struct model *m)
{
	assert_int_equal(blob_finish(m->b), 0);
	assert_int_equal(epochs_turn(m->w->epochs), 0);
	if (rng_below(&m->rng, 4) == 0)
		op_write(m); /* between turn and commit */
	if (rng_below(&m->rng, 8) == 0)
		return;
	assert_int_equal(epochs_commit(m->w->epochs), 0);
	blob_checkpointed(m->b);
}

static void step(struct model *m)
{
	switch (rng_below(&m->rng, 30)) {
	case 0 ... 13:
		op_write(m);
		break;
	case 14 ... 17:
		op_truncate(m);
		break;
	case 18 ... 20:
		op_zero(m);
		break;
	case 21 ... 23:
		op_read(m);
		break;
	case 24:
		op_seek(m);
		break;
	case 25:
		assert_int_equal(blob_sync(m->b, rng_below(&m->rng, 2)), 0);
		assert_false(blob_unsynced(m->b));
		break;
	case 26:
		assert_int_equal(blob_finish(m->b), 0);
		break;
	case 27:
		op_checkpoint(m);
		break;
	default:
		op_reopen(m, rng_below(&m->rng, 2));
	}
}

static void check_seed(uint64_t seed, unsigned steps)
{
	struct model m = {.w = world_new(), .rng = {seed}};

	m.mem = calloc(1, MOST);
	m.buf = malloc(MOST);
	assert_true(m.mem && m.buf);
	m.b = world_create(m.w, NAME);
	for (unsigned i = 0; i < steps; i++) {
		step(&m);
		if (i % 4 == 0)
			compare(&m);
	}
	assert_int_equal(blob_finish(m.b), 0);
	blob_close(m.b);
	world_unmount(m.w, true);
	world_mount(m.w, false);
	m.b = world_open(m.w, NAME, false);
	compare(&m);
	blob_close(m.b);
	free(m.mem);
	free(m.buf);
	world_free(m.w);
}

static void test_random(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		check_seed(seed + i, 500);
}

/* ---- sizes ---- */

static void test_written_in_one_go(void **state)
{
	static const uint64_t sizes[] = {1, 2, 3905, 3906, 3907, 7843, 7844, 7845, 11909, 11910,
		11911, 1048575, 1048576, 1048577, 3000000};
	struct world *w = world_new();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *buf = malloc(sizes[i]), *back = malloc(sizes[i] + 1);
		struct rng rng = {i};
		struct blob *b = world_create(w, NAME);
		struct stat sb;

		rng_fill(&rng, buf, sizes[i]);
		assert_int_equal(blob_write(b, buf, sizes[i], 0), 0);
		assert_int_equal(fstat(blob_fd(b), &sb), 0);
		assert_int_equal(sb.st_size, length_for(sizes[i]));
		/* One request of up to 1 MiB leaves nothing to do. */
		if (sizes[i] <= 1048576)
			assert_false(blob_unfinished(b));
		assert_int_equal(blob_finish(b), 0);
		blob_close(b);
		b = world_open(w, NAME, false);
		assert_int_equal(blob_read(b, back, sizes[i] + 1, 0), sizes[i]);
		assert_memory_equal(buf, back, sizes[i]);
		blob_close(b);
		free(buf);
		free(back);
	}
	world_free(w);
}

static void test_limits(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint64_t most = SIZE_MAX_PLAIN;
	uint8_t c = 1;

	(void)state;
	assert_int_equal(blob_read(b, &c, 1, 0), 0);
	assert_int_equal(blob_write(b, &c, 0, 5), 0);
	assert_int_equal(blob_size(b), 0);
	assert_int_equal(blob_write(b, &c, 1, most), -EFBIG);
	assert_int_equal(blob_write(b, &c, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(blob_truncate(b, most + 1), -EFBIG);
	assert_int_equal(blob_punch(b, UINT64_MAX, 2), -EFBIG);
	assert_int_equal(blob_punch(b, 0, 0), -EINVAL);
	assert_int_equal(blob_read(b, &c, 1, UINT64_MAX), 0);
	assert_int_equal(blob_seek(b, 0, SEEK_DATA), -ENXIO);
	assert_int_equal(blob_seek(b, 0, SEEK_SET), -EINVAL);
	/* A sparse file of 16 GiB. */
	assert_int_equal(blob_truncate(b, UINT64_C(1) << 34), 0);
	assert_int_equal(blob_write(b, &c, 1, UINT64_C(1) << 33), 0);
	assert_int_equal(blob_sync(b, true), 0);
	assert_int_equal(
		blob_seek(b, 10000, SEEK_DATA), record_start(record_of(UINT64_C(1) << 33)));
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	b = world_open(w, NAME, false);
	assert_int_equal(blob_size(b), UINT64_C(1) << 34);
	assert_int_equal(blob_read(b, &c, 1, (UINT64_C(1) << 33) + 1), 1);
	assert_int_equal(c, 0);
	assert_int_equal(blob_read(b, &c, 1, UINT64_C(1) << 33), 1);
	assert_int_equal(c, 1);
	blob_close(b);
	world_free(w);
}

/* ---- gaps ---- */

static bool is_sparse(struct world *w)
{
	struct blob *b = world_open(w, NAME, false);
	bool sparse = b->first.flags & INNER_SPARSE;

	blob_close(b);
	return sparse;
}

#define CHUNK (64u * 1024)
#define CHUNKS 24u

/* The requests of one sequential writer, in the order in which write-back may bring them. */
static void check_order(struct world *w, const unsigned *order)
{
	uint8_t *all = malloc(CHUNK * CHUNKS), *back = malloc(CHUNK * CHUNKS);
	struct blob *b = world_create(w, NAME);
	struct rng rng = {1};

	rng_fill(&rng, all, CHUNK * CHUNKS);
	for (unsigned i = 0; i < CHUNKS; i++)
		assert_int_equal(
			blob_write(b, all + order[i] * CHUNK, CHUNK, (uint64_t)order[i] * CHUNK),
			0);
	assert_int_equal(blob_sync(b, true), 0);
	assert_int_equal(b->gaps.n, 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	assert_false(is_sparse(w));
	b = world_open(w, NAME, false);
	assert_int_equal(blob_read(b, back, CHUNK * CHUNKS, 0), CHUNK * CHUNKS);
	assert_memory_equal(all, back, CHUNK * CHUNKS);
	blob_close(b);
	free(all);
	free(back);
}

static void test_out_of_order(void **state)
{
	struct world *w = world_new();
	struct rng rng = {test_seed()};
	unsigned order[CHUNKS];

	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++)
		order[i] = CHUNKS - 1 - i;
	check_order(w, order);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = CHUNKS - 1; i > 0; i--) {
			unsigned j = (unsigned)rng_below(&rng, i + 1), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		check_order(w, order);
	}
	world_free(w);
}

static void test_gaps_become_holes(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t buf[100], zeros[100] = {0};

	(void)state;
	assert_int_equal(blob_write(b, "head", 4, 0), 0);
	assert_int_equal(blob_write(b, "tail", 4, 100000), 0);
	assert_int_equal(b->gaps.n, 1);
	assert_int_equal(blob_read(b, buf, 100, 4), 100);
	assert_memory_equal(buf, zeros, 100);
	assert_false(b->first.flags & INNER_SPARSE);
	assert_true(blob_unfinished(b));
	assert_int_equal(blob_sync(b, true), 0);
	assert_int_equal(b->gaps.n, 0);
	assert_true(b->first.flags & INNER_SPARSE);
	assert_int_equal(b->first.size, 100004);
	blob_close(b);
	assert_true(is_sparse(w));
	b = world_open(w, NAME, false);
	assert_int_equal(blob_read(b, buf, 100, 50000), 100);
	assert_memory_equal(buf, zeros, 100);
	assert_int_equal(blob_seek(b, 0, SEEK_HOLE), CAP_RECORD0);
	assert_int_equal(blob_seek(b, 5000, SEEK_DATA), record_start(record_of(100000)));
	blob_close(b);
	world_free(w);
}

static void test_extend_and_fill_is_not_sparse(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t buf[50000];
	struct rng rng = {3};

	(void)state;
	rng_fill(&rng, buf, sizeof(buf));
	assert_int_equal(blob_truncate(b, sizeof(buf)), 0);
	for (size_t at = 0; at < sizeof(buf); at += 5000)
		assert_int_equal(blob_write(b, buf + at, 5000, at), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	assert_false(is_sparse(w));
	world_free(w);
}

static void test_many_gaps(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t c;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		c = (uint8_t)(i | 1);
		assert_int_equal(blob_write(b, &c, 1, i * 20000), 0);
		assert_true(b->gaps.n <= GAPS_MAX + 2);
	}
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	b = world_open(w, NAME, false);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(blob_read(b, &c, 1, i * 20000), 1);
		assert_int_equal(c, (uint8_t)(i | 1));
		assert_int_equal(blob_read(b, &c, 1, i * 20000 + 1), i < 999);
		assert_true(i == 999 || c == 0);
	}
	blob_close(b);
	world_free(w);
}

/* ---- what a sequential writer costs ---- */

static struct counts {
	atomic_int preadv, pwritev, ftruncate, settle, sync;
} counts;

static ssize_t count_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	counts.preadv++;
	return preadv(fd, iov, n, off);
}
static ssize_t count_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	counts.pwritev++;
	return pwritev(fd, iov, n, off);
}
static int count_ftruncate(int fd, off_t len)
{
	counts.ftruncate++;
	return ftruncate(fd, len);
}
static int count_settle(int fd, off_t off, off_t len, unsigned flags)
{
	(void)fd, (void)off, (void)len, (void)flags;
	counts.settle++;
	return 0;
}
static int count_sync(int fd)
{
	(void)fd;
	counts.sync++;
	return 0;
}
static const struct store_ops counting = {
	.preadv = count_preadv,
	.pwritev = count_pwritev,
	.ftruncate = count_ftruncate,
	.sync_file_range = count_settle,
	.fsync = count_sync,
	.fdatasync = count_sync,
};

static void reset(void)
{
	memset(&counts, 0, sizeof(counts));
}

static void test_calls(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t *buf = calloc(1, 1 << 20);

	(void)state;
	store_set_ops(w->st, &counting);
	reset();
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(blob_write(b, buf, 1 << 20, i << 20), 0);
	/* Nothing is read back, nothing written twice. */
	assert_int_equal(counts.preadv, 0);
	assert_int_equal(counts.pwritev, 8);
	assert_int_equal(counts.ftruncate, 8);
	assert_int_equal(counts.sync, 0);
	assert_int_equal(counts.settle, 0);
	assert_int_equal(blob_finish(b), 0);
	assert_int_equal(counts.preadv, 0);
	assert_int_equal(counts.pwritev, 9);
	assert_int_equal(blob_finish(b), 0);
	assert_int_equal(counts.pwritev, 9);
	reset();
	assert_int_equal(blob_read(b, buf, 1 << 20, 1 << 20), 1 << 20);
	assert_int_equal(counts.preadv, 1);
	blob_close(b);
	store_set_ops(w->st, NULL);
	free(buf);
	world_free(w);
}

/* Torn pages: what was acknowledged is rewritten a second time only after it was made clean. */
static void test_clean_before_rewrite(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t *buf = calloc(1, 100000);
	int each = store_traits(w->st)->stable_pages ? 0 : 1;

	(void)state;
	store_set_ops(w->st, &counting);
	reset();
	assert_int_equal(blob_write(b, buf, 100000, 0), 0);
	assert_int_equal(blob_write(b, buf, 100, 20000), 0);
	assert_int_equal(blob_write(b, buf, 100, 20000), 0);
	assert_int_equal(counts.settle, 0); /* nothing is acknowledged */
	assert_int_equal(blob_sync(b, true), 0);
	assert_int_equal(blob_write(b, buf, 100, 20000), 0);
	assert_int_equal(counts.settle, 0); /* the sync cleaned it */
	assert_int_equal(blob_write(b, buf, 100, 20000), 0);
	assert_int_equal(counts.settle, each);
	assert_int_equal(blob_write(b, buf, 100, 30000), 0);
	assert_int_equal(counts.settle, each); /* another record */
	/* Three neighbours, of which the middle one was rewritten; then all at once. */
	assert_int_equal(blob_write(b, buf, 3 * CAP_RECORD, record_start(3)), 0);
	assert_int_equal(counts.settle, 2 * each);
	assert_int_equal(blob_write(b, buf, 3 * CAP_RECORD, record_start(3)), 0);
	assert_int_equal(counts.settle, 3 * each);
	/* Appending: the tail was acknowledged, what follows was not. */
	assert_int_equal(blob_write(b, buf, 10, 100000), 0);
	assert_int_equal(counts.settle, 3 * each);
	assert_int_equal(blob_write(b, buf, 10, 100010), 0);
	assert_int_equal(counts.settle, 4 * each);
	assert_int_equal(blob_sync(b, false), 0);
	assert_int_equal(blob_write(b, buf, 10, 100010), 0);
	assert_int_equal(counts.settle, 4 * each);
	/* A checkpoint acknowledges too: everything, from its turn to its commit. */
	assert_int_equal(blob_finish(b), 0);
	reset();
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(blob_write(b, buf, 10, 50000), 0);
	assert_int_equal(counts.settle, each);
	assert_int_equal(epochs_commit(w->epochs), 0);
	assert_int_equal(blob_write(b, buf, 10, 60000), 0);
	assert_int_equal(counts.settle, each);
	assert_int_equal(blob_write(b, buf, 10, 50000), 0);
	assert_int_equal(counts.settle, 2 * each);
	blob_close(b);
	store_set_ops(w->st, NULL);
	free(buf);
	world_free(w);
}

/* ---- the key's limit ---- */

static void test_writes_limit(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t buf[50] = {1};

	(void)state;
	b->writes_limit = 20;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(blob_write(b, buf, 50, 100), 0);
	assert_int_equal(w->recovered, 0);
	assert_int_equal(blob_write(b, buf, 50, 100), -EIO);
	assert_int_equal(blob_write(b, buf, 50, 100), -EIO);
	assert_int_equal(w->recovered, 1);
	assert_int_equal(blob_read(b, buf, 50, 100), 50);
	assert_int_equal(blob_finish(b), 0);
	assert_int_equal(blob_truncate(b, 0), 0);
	assert_int_equal(blob_write(b, buf, 50, 100), 0);
	/* The number survives, rounded up. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(blob_write(b, buf, 50, 100), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	b = world_open(w, NAME, true);
	assert_true(b->writes >= 11);
	assert_true(b->first.writes > b->writes);
	blob_close(b);
	world_free(w);
}

static void test_new_key_after_emptying(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t clear[CLEAR_HEADER_LEN];
	size_t len;
	uint8_t *raw;

	(void)state;
	assert_int_equal(blob_write(b, "a", 1, 5000), 0);
	memcpy(clear, b->clear, sizeof(clear));
	assert_int_equal(blob_finish(b), 0);
	/* Record 1 repeats the header. */
	raw = world_slurp(w, NAME, &len);
	assert_memory_equal(raw, clear, sizeof(clear));
	assert_memory_equal(raw + RECORD_SIZE, clear, sizeof(clear));
	free(raw);
	assert_int_equal(blob_truncate(b, 0), 0);
	assert_int_equal(blob_write(b, "b", 1, 0), 0);
	assert_memory_not_equal(b->clear, clear, sizeof(clear));
	blob_close(b);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_in_one_go),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_gaps_become_holes),
		cmocka_unit_test(test_extend_and_fill_is_not_sparse),
		cmocka_unit_test(test_many_gaps),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_clean_before_rewrite),
		cmocka_unit_test(test_writes_limit),
		cmocka_unit_test(test_new_key_after_emptying),
	};

	return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
