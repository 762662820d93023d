/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The store fails: at the first call, the second, the third... of a scripted workload, until a run
 * needs no more calls. Once, or from there on for a while; with nothing done, or a part. What must
 * hold: the error reaches the caller; each record is the old or the new one; later operations work;
 * and after a clean end the file is whole.
 */
#include <errno.h>
#include <unistd.h>
#include "blob_world.h"
#include "blob/blob_impl.h"

#define NAME "blob"
#define MOST 120000u

enum call { PREADV = 1, PWRITEV = 2, FTRUNCATE = 4, FALLOCATE = 8, SYNC = 16, SETTLE = 32 };

static struct {
	unsigned which;   /* calls that can fail */
	unsigned at;      /* the first one that does, from 1 */
	unsigned lasting; /* how many do, from there on */
	unsigned seen;
	int error;
	bool partly; /* a write gets as far as its first pages */
} fault;

static bool fails(enum call call)
{
	if (!(fault.which & call))
		return false;
	fault.seen++;
	if (fault.seen < fault.at || fault.seen >= fault.at + fault.lasting)
		return false;
	errno = fault.error;
	return true;
}

static ssize_t faulty_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	return fails(PREADV) ? -1 : preadv(fd, iov, n, off);
}
static ssize_t faulty_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	if (!fails(PWRITEV))
		return pwritev(fd, iov, n, off);
	if (fault.partly && iov->iov_len > RECORD_SIZE) {
		int error = errno;

		assert_int_equal(pwrite(fd, iov->iov_base,
					 iov->iov_len / 2 / RECORD_SIZE * RECORD_SIZE, off),
			iov->iov_len / 2 / RECORD_SIZE * RECORD_SIZE);
		errno = error;
	} else if (fault.partly) {
		/* The record is there, and the caller does not know. */
		assert_int_equal(pwritev(fd, iov, n, off), (ssize_t)iov->iov_len);
		errno = fault.error;
	}
	return -1;
}
static int faulty_ftruncate(int fd, off_t len)
{
	return fails(FTRUNCATE) ? -1 : ftruncate(fd, len);
}
static int faulty_fallocate(int fd, int mode, off_t off, off_t len)
{
	return fails(FALLOCATE) ? -1 : fallocate(fd, mode, off, len);
}
static int faulty_sync(int fd)
{
	(void)fd;
	return fails(SYNC) ? -1 : 0;
}
static int faulty_settle(int fd, off_t off, off_t len, unsigned flags)
{
	(void)fd, (void)off, (void)len, (void)flags;
	return fails(SETTLE) ? -1 : 0;
}

static const struct store_ops faulty = {
	.preadv = faulty_preadv,
	.pwritev = faulty_pwritev,
	.ftruncate = faulty_ftruncate,
	.fallocate = faulty_fallocate,
	.fsync = faulty_sync,
	.fdatasync = faulty_sync,
	.sync_file_range = faulty_settle,
};

struct file {
	uint8_t mem[MOST];
	uint64_t size;
};

static struct {
	struct world *w;
	struct blob *b;
	struct file now, tried; /* as it is, and as the last operation that failed wanted it */
	unsigned failures;
	struct file uncut; /* the file before it, if */
	bool deferred; /* a truncate counted as done, and left the last record to be shortened */
	char what[64];
} t;

/* Reads the file; the fault may strike here too, once. */
static void read_back(struct file *ret)
{
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	ret->size = blob_size(t.b);
	assert_true(ret->size <= MOST);
	for (unsigned i = 0;; i++) {
		n = blob_read(t.b, ret->mem, MOST, 0);
		if (n >= 0)
			break;
		if (n != -fault.error || i > 3)
			fail_msg("%s: reading failed: %zd", t.what, n);
		t.failures++;
		fault.lasting = 0;
	}
	assert_int_equal(n, ret->size);
}

static void check(int r, const struct file *new)
{
	struct file *back = malloc(sizeof(*back));

	if (r == 0) {
		t.now = *new;
	} else if (r != -fault.error) {
		fail_msg("%s: failed with %d", t.what, r);
	} else {
		t.failures++;
		t.tried = *new;
	}
	read_back(back);
	if (back->size != t.now.size && back->size != new->size &&
		!(t.deferred && back->size > t.now.size &&
			back->size <= record_start(records_for(t.now.size))))
		fail_msg("%s: size %" PRIu64 ", before %" PRIu64, t.what, back->size, t.now.size);
	for (uint64_t k = 0; back->size > 0 && k < records_for(back->size); k++) {
		uint64_t start = record_start(k), stop = record_start(k + 1);

		stop = stop < back->size ? stop : back->size;
		if (memcmp(back->mem + start, t.now.mem + start, stop - start) != 0 &&
			memcmp(back->mem + start, new->mem + start, stop - start) != 0 &&
			!(t.deferred &&
				memcmp(back->mem + start, t.uncut.mem + start, stop - start) == 0))
			fail_msg("%s: record %" PRIu64 " is neither old nor new (failed: %d)",
				t.what, k, r < 0);
	}
	t.now = *back;
	free(back);
}

static void do_write(uint64_t off, uint64_t len, uint8_t with)
{
	struct file *new = malloc(sizeof(*new));

	snprintf(t.what, sizeof(t.what), "call %u: write %" PRIu64 "+%" PRIu64, fault.at, off, len);
	*new = t.now;
	for (uint64_t i = 0; i < len; i++)
		new->mem[off + i] = (uint8_t)(with + i % 31);
	if (off + len > new->size)
		new->size = off + len;
	check(blob_write(t.b, new->mem + off, len, off), new);
	free(new);
}

static void do_truncate(uint64_t size)
{
	struct file *new = malloc(sizeof(*new)), *old = malloc(sizeof(*old));
	bool before = fault.seen < fault.at;
	int r;

	snprintf(t.what, sizeof(t.what), "call %u: truncate %" PRIu64, fault.at, size);
	*new = *old = t.now;
	if (size < new->size)
		memset(new->mem + size, 0, new->size - size);
	new->size = size;
	r = blob_truncate(t.b, size);
	check(r, new);
	if (r == 0 && before && fault.seen >= fault.at) {
		t.deferred = true;
		t.uncut = *old;
	}
	free(new);
	free(old);
}

static void do_punch(uint64_t off, uint64_t len)
{
	struct file *new = malloc(sizeof(*new));

	snprintf(t.what, sizeof(t.what), "call %u: punch %" PRIu64 "+%" PRIu64, fault.at, off, len);
	*new = t.now;
	if (off < new->size)
		memset(new->mem + off, 0, off + len < new->size ? len : new->size - off);
	check(blob_punch(t.b, off, len), new);
	free(new);
}

static void do_allocate(uint64_t off, uint64_t len)
{
	struct file *new = malloc(sizeof(*new));

	snprintf(t.what, sizeof(t.what), "call %u: allocate", fault.at);
	*new = t.now;
	if (off + len > new->size)
		new->size = off + len;
	check(blob_allocate(t.b, off, len, false), new);
	free(new);
}

static void do_sync(void)
{
	snprintf(t.what, sizeof(t.what), "call %u: sync", fault.at);
	check(blob_sync(t.b, true), &t.now);
}

static void do_finish(void)
{
	snprintf(t.what, sizeof(t.what), "call %u: finish", fault.at);
	check(blob_finish(t.b), &t.now);
}

/*
 * A descriptor is lost, and the object with it. If it could not be finished, what a failed write
 * left is there after all; the epoch is spoiled, so that this is no damage.
 */
static void do_reopen(void)
{
	unsigned which = fault.which;
	int r;

	snprintf(t.what, sizeof(t.what), "call %u: reopen", fault.at);
	r = blob_finish(t.b);
	blob_close(t.b);
	fault.which = 0;
	assert_int_equal(
		blob_open(&t.w->env, world_fd(t.w, NAME, O_RDWR), true, true, t.w, &t.b), 0);
	fault.which = which;
	check(r, r < 0 ? &t.tried : &t.now);
}

static void small_file(void)
{
	do_write(0, 100, 1);
	do_write(50, 100, 2);
	do_finish();
	do_write(100, 3000, 3);
	do_truncate(70);
	do_finish();
	do_sync();
	do_write(60, 20, 4);
	do_write(60, 20, 5);
	do_truncate(0);
	do_write(10, 50, 6);
	do_reopen();
	do_write(0, 200, 7);
}

static void large_file(void)
{
	do_write(0, 50000, 1);
	do_write(50000, 30000, 2);
	do_sync();
	do_write(20000, 10000, 3);
	do_write(20000, 10000, 4);
	do_write(79000, 5000, 5);
	do_finish();
	do_truncate(40000);
	do_write(40000, 20000, 6);
	do_sync();
	do_truncate(30001);
	do_finish();
	do_reopen();
	do_write(30001, 1, 7);
	do_write(3900, 20, 8);
}

static void holes(void)
{
	do_write(30000, 3000, 1);
	do_write(70000, 10, 2);
	do_write(50000, 5000, 3);
	do_write(0, 100, 4);
	do_write(33000, 17000, 5);
	do_sync();
	do_write(90000, 10000, 6);
	do_reopen();
	do_punch(10000, 30000);
	do_truncate(110000);
	do_write(105000, 10, 7);
	do_punch(60000, 60000);
	do_truncate(35000);
	do_allocate(20000, 60000);
	do_finish();
	do_punch(0, 80000);
	do_write(100, 40000, 8);
}

static void run(void (*workload)(void), const char *name, unsigned which, unsigned lasting,
	int error, bool partly)
{
	for (unsigned at = 1;; at++) {
		memset(&fault, 0, sizeof(fault));
		memset(&t, 0, sizeof(t));
		fault.which = which;
		fault.at = at;
		fault.lasting = lasting;
		fault.error = error;
		fault.partly = partly;
		t.w = world_new();
		((struct store_traits *)store_traits(t.w->st))->stable_pages = false;
		t.b = world_create(t.w, NAME);
		store_set_ops(t.w->st, &faulty);
		workload();
		/* All is well again. */
		fault.which = 0;
		snprintf(t.what, sizeof(t.what), "%s, call %u: the end", name, at);
		check(blob_finish(t.b), &t.now);
		assert_false(blob_unfinished(t.b));
		blob_close(t.b);
		world_unmount(t.w, true);
		world_mount(t.w, true);
		t.b = world_open(t.w, NAME, true);
		assert_false(blob_damaged(t.b));
		check(0, &t.now);
		do_write(t.now.size, 5000, 9);
		check(blob_finish(t.b), &t.now);
		blob_close(t.b);
		store_set_ops(t.w->st, NULL);
		world_free(t.w);
		if (fault.seen < at)
			break;
		/* What a truncate may leave for later was done later; nothing else goes unnoticed.
		 */
		if (t.failures == 0 && !t.deferred && !(which & FTRUNCATE))
			fail_msg("%s: call %u failed and nobody said so", name, at);
	}
	assert_true(fault.at > 3);
}

static void run_all(unsigned which, unsigned lasting, int error, bool partly)
{
	run(small_file, "small file", which, lasting, error, partly);
	run(large_file, "large file", which, lasting, error, partly);
	run(holes, "holes", which, lasting, error, partly);
}

static void test_reads(void **state)
{
	(void)state;
	run_all(PREADV, 1, EIO, false);
}
static void test_writes(void **state)
{
	(void)state;
	run_all(PWRITEV, 1, EIO, false);
	run_all(PWRITEV, 1, ENOSPC, true);
}
static void test_disk_full(void **state)
{
	(void)state;
	run_all(PWRITEV | FALLOCATE, 7, ENOSPC, false);
	run_all(PWRITEV | FALLOCATE, 7, ENOSPC, true);
	run(small_file, "small file", PWRITEV | FTRUNCATE, 5, EDQUOT, true);
}
static void test_lengths(void **state)
{
	(void)state;
	run_all(FTRUNCATE, 1, EIO, false);
	run_all(FTRUNCATE, 3, EFBIG, false);
}
static void test_syncs(void **state)
{
	(void)state;
	run(large_file, "large file", SYNC | SETTLE, 1, EIO, false);
	run(holes, "holes", SYNC | SETTLE, 2, EIO, false);
}
static void test_anything(void **state)
{
	(void)state;
	run_all(~0u, 1, EIO, false);
	run_all(~0u, 2, EIO, true);
	run_all(~0u, 4, EIO, true);
}

/* A blob that cannot be opened for a reason that is not its own is not damaged. */
static void test_open(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	int fd;

	(void)state;
	assert_int_equal(blob_write(b, "x", 1, 0), 0);
	blob_close(b);
	store_set_ops(w->st, &faulty);
	memset(&fault, 0, sizeof(fault));
	fault.which = PREADV;
	fault.at = fault.lasting = 1;
	fault.error = EIO;
	fd = world_fd(w, NAME, O_RDWR);
	b = NULL;
	assert_int_equal(blob_open(&w->env, fd, true, false, w, &b), -EIO);
	assert_null(b);
	/* The descriptor is still ours. */
	assert_int_equal(blob_open(&w->env, fd, true, false, w, &b), 0);
	blob_close(b);
	fd = world_fd(w, ".", O_RDONLY | O_DIRECTORY);
	assert_int_equal(blob_open(&w->env, fd, false, false, w, &b), -EINVAL);
	close(fd);
	store_set_ops(w->st, NULL);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_syncs),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests_name("blob_faults", tests, NULL, NULL);
}
