/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Power cuts, simulated. What a workload does to the disk is recorded; then at every point the
 * machine dies. The simulated disk may keep or lose, each on its own, every page that was written
 * since the last sync, in any of its versions; of changes of the length any number in their order
 * (they are journaled). A page that was changed while it may have been in write-back (written
 * before, and neither synced nor settled since) may be torn. What the last sync covered is there.
 * What was written after the file was emptied is lost if the emptying is: its blocks are other
 * ones.
 *
 * Also, at every point the daemon alone is killed: everything that was done is there.
 *
 * On each image the contract is checked: the blob opens; nothing acknowledged is missing; each
 * record holds what it held at one moment since the last sync; and one can go on writing.
 */
#include <unistd.h>
#include "blob_world.h"
#include "blob/blob_impl.h"
#include "blob/epoch_file.h"

#define NAME "blob"
#define MOST 60000u
#define PAGES 20u
#define ENTRIES 2000u
#define STATES 200u

enum kind { WRITE, LENGTH, PUNCH, SETTLE, SYNC, EPOCH };

struct entry {
	enum kind kind;
	uint64_t page, length, pages;
	uint8_t *data; /* WRITE: a page; EPOCH: the file */
	size_t data_len;
	bool torn_ok; /* WRITE: the page may be torn by it */
};

/* What the file held after an operation. */
struct moment {
	size_t entry; /* entries that were in the log by then */
	uint64_t size;
	uint8_t *mem;
	bool synced; /* all of it is acknowledged */
};

static struct log {
	ino_t ino;
	struct entry v[ENTRIES];
	size_t n;
	bool open_write[PAGES]; /* written since the last sync or settling */
	bool since[PAGES];      /* written since the last sync began */
	bool first_there;       /* record 0 was written since the file was empty */
	bool first_acked;       /* and holds something acknowledged */
} rec;

static struct entry *record(enum kind kind)
{
	assert_true(rec.n < ENTRIES);
	rec.v[rec.n] = (struct entry){.kind = kind};
	return &rec.v[rec.n++];
}

static bool is_ours(int fd)
{
	struct stat sb;

	return fstat(fd, &sb) == 0 && sb.st_ino == rec.ino;
}

static ssize_t rec_pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	assert_int_equal(n, 1);
	if (!is_ours(fd))
		return pwritev(fd, iov, n, off);
	assert_true(off % RECORD_SIZE == 0 && iov->iov_len % RECORD_SIZE == 0);
	for (size_t i = 0; i < iov->iov_len / RECORD_SIZE; i++) {
		struct entry *e = record(WRITE);

		e->page = (uint64_t)off / RECORD_SIZE + i;
		assert_true(e->page < PAGES);
		e->data = malloc(RECORD_SIZE);
		memcpy(e->data, (uint8_t *)iov->iov_base + i * RECORD_SIZE, RECORD_SIZE);
		/* The first writes of a new file's record 0 come before the kernel's timers. */
		e->torn_ok = rec.open_write[e->page] && (e->page > 0 || rec.first_acked);
		rec.open_write[e->page] = rec.since[e->page] = true;
		rec.first_there |= e->page == 0;
	}
	return pwritev(fd, iov, n, off);
}

static int rec_ftruncate(int fd, off_t len)
{
	if (is_ours(fd)) {
		record(LENGTH)->length = (uint64_t)len;
		for (uint64_t k = (uint64_t)len / RECORD_SIZE; k < PAGES; k++)
			rec.open_write[k] = false;
		if (len == 0)
			rec.first_there = rec.first_acked = false;
	}
	return ftruncate(fd, len);
}

static int rec_fallocate(int fd, int mode, off_t off, off_t len)
{
	if (is_ours(fd)) {
		struct entry *e = record(PUNCH);

		e->page = (uint64_t)off / RECORD_SIZE;
		e->pages = (uint64_t)len / RECORD_SIZE;
		for (uint64_t k = 0; k < e->pages; k++)
			rec.open_write[e->page + k] = rec.since[e->page + k] = false;
	}
	return fallocate(fd, mode, off, len);
}

static void sync_begins(void)
{
	record(SYNC);
	memset(rec.since, 0, sizeof(rec.since));
	rec.first_acked = rec.first_there;
}

static void sync_ends(void)
{
	memcpy(rec.open_write, rec.since, sizeof(rec.open_write));
}

static int rec_sync(int fd)
{
	if (is_ours(fd)) {
		sync_begins();
		sync_ends();
	}
	return 0;
}

static int rec_settle(int fd, off_t off, off_t len, unsigned flags)
{
	struct entry *e;

	(void)flags;
	if (!is_ours(fd))
		return 0;
	e = record(SETTLE);
	e->page = (uint64_t)off / RECORD_SIZE;
	e->pages = (uint64_t)len / RECORD_SIZE;
	for (uint64_t k = 0; k < e->pages; k++)
		rec.open_write[e->page + k] = false;
	return 0;
}

static const struct store_ops recording = {
	.pwritev = rec_pwritev,
	.ftruncate = rec_ftruncate,
	.fallocate = rec_fallocate,
	.fsync = rec_sync,
	.fdatasync = rec_sync,
	.sync_file_range = rec_settle,
};

/* Checking images needs no real disk. */
static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

/* ext4 flushes a file that is renamed over another one. */
static int quiet_rename(int olddir, const char *old, int newdir, const char *new, unsigned flags)
{
	(void)unlinkat(newdir, new, 0);
	return renameat2(olddir, old, newdir, new, flags);
}

static const struct store_ops quiet = {
	.fsync = no_sync, .fdatasync = no_sync, .renameat2 = quiet_rename};

/* ---- the workload ---- */

struct run {
	struct world *w;
	struct blob *b;
	struct rng rng;
	struct moment v[STATES];
	size_t n;
	uint8_t mem[MOST];
	uint64_t size;
	bool holes;     /* the workload makes some */
	bool unordered; /* parts come before what is in front of them */
};

static void remember_moment(struct run *r, bool synced)
{
	struct moment *m = &r->v[r->n++];

	assert_true(r->n < STATES);
	*m = (struct moment){
		.entry = rec.n, .size = r->size, .mem = malloc(MOST), .synced = synced};
	memcpy(m->mem, r->mem, MOST);
}

static void record_epoch(struct run *r)
{
	struct entry *e = record(EPOCH);

	e->data = world_slurp(r->w, "state/epoch", &e->data_len);
}

static void do_write(struct run *r, uint64_t off, uint64_t len)
{
	uint8_t buf[MOST];

	len = off + len > MOST ? MOST - off : len;
	rng_fill(&r->rng, buf, len);
	assert_int_equal(blob_write(r->b, buf, len, off), 0);
	memcpy(r->mem + off, buf, len);
	r->size = off + len > r->size ? off + len : r->size;
	remember_moment(r, false);
}

static void do_truncate(struct run *r, uint64_t size)
{
	assert_int_equal(blob_truncate(r->b, size), 0);
	if (size < r->size)
		memset(r->mem + size, 0, r->size - size);
	r->size = size;
	remember_moment(r, false);
}

static void do_sync(struct run *r)
{
	assert_int_equal(blob_sync(r->b, true), 0);
	remember_moment(r, true);
}

static void do_finish(struct run *r)
{
	assert_int_equal(blob_finish(r->b), 0);
	remember_moment(r, false);
}

/* A checkpoint, with or without a write between turn and commit: that one is not covered. */
static void do_checkpoint(struct run *r, bool write_within)
{
	assert_int_equal(blob_finish(r->b), 0);
	assert_int_equal(epochs_turn(r->w->epochs), 0);
	sync_begins();
	remember_moment(r, true);
	/* The syncfs may still be writing pages out. */
	if (write_within)
		do_write(r, rng_offset(&r->rng, r->size < MOST ? r->size : MOST - 1), 5000);
	sync_ends();
	assert_int_equal(epochs_commit(r->w->epochs), 0);
	record_epoch(r);
	blob_checkpointed(r->b);
}

static void do_reopen(struct run *r)
{
	assert_int_equal(blob_finish(r->b), 0);
	remember_moment(r, false);
	blob_close(r->b);
	assert_int_equal(
		blob_open(&r->w->env, world_fd(r->w, NAME, O_RDWR), true, true, r->w, &r->b), 0);
	assert_false(blob_damaged(r->b));
	assert_int_equal(blob_size(r->b), r->size);
}

static void do_punch(struct run *r)
{
	uint64_t off = rng_offset(&r->rng, r->size), len = 1 + rng_offset(&r->rng, 20000);

	len = off + len > r->size ? r->size - off : len;
	if (len == 0)
		return;
	assert_int_equal(blob_punch(r->b, off, len), 0);
	memset(r->mem + off, 0, len);
	remember_moment(r, false);
}

static void random_step(struct run *r, bool shrinks)
{
	uint64_t len = rng_offset(&r->rng, 12000);

	switch (rng_below(&r->rng, r->holes ? 16 : 14)) {
	case 0 ... 3:
		do_write(r, r->size < MOST ? r->size : MOST - 1, len + 1);
		break;
	case 4 ... 6:
		do_write(r, rng_offset(&r->rng, r->size < MOST ? r->size : MOST - 1), len + 1);
		break;
	case 7 ... 8:
		if (shrinks)
			do_truncate(r, rng_offset(&r->rng, r->size));
		if (rng_below(&r->rng, 3) == 0)
			do_reopen(r);
		break;
	case 9 ... 10:
		do_sync(r);
		break;
	case 11:
		do_finish(r);
		break;
	case 12:
		do_checkpoint(r, rng_below(&r->rng, 2));
		break;
	case 13:
		do_reopen(r);
		break;
	default:
		do_punch(r);
	}
}

/* ---- the images ---- */

struct image {
	uint8_t page[PAGES][RECORD_SIZE];
	uint64_t length;
};

static void set_length(struct image *im, uint64_t length)
{
	if (length < im->length)
		for (uint64_t k = length / RECORD_SIZE; k < PAGES; k++) {
			uint64_t from = k == length / RECORD_SIZE ? length % RECORD_SIZE : 0;

			memset(im->page[k] + from, 0, RECORD_SIZE - from);
		}
	im->length = length;
}

static void change(struct image *im, const struct entry *e)
{
	if (e->kind == PUNCH)
		memset(im->page[e->page], 0, e->pages * RECORD_SIZE);
	else
		set_length(im, e->length);
}

/* The entries from first to end (exclusive), as one crash may leave them. luck: 0 nothing, 1
 * everything, else random. */
static void apply(struct image *im, size_t first, size_t end, struct rng *rng, unsigned luck)
{
	size_t changes = 0, kept, seen = 0;

	for (size_t i = first; i < end; i++)
		changes += rec.v[i].kind == LENGTH || rec.v[i].kind == PUNCH;
	kept = luck == 0 ? 0 : luck == 1 ? changes : rng_below(rng, changes + 1);
	for (size_t i = first; i < end; i++) {
		struct entry *e = &rec.v[i];

		if (e->kind == LENGTH || e->kind == PUNCH) {
			if (seen++ < kept)
				change(im, e);
			else if (e->kind == LENGTH && e->length == 0)
				break;
		}
		if (e->kind != WRITE || luck == 0)
			continue;
		if (luck == 1 || rng_below(rng, 2)) {
			memcpy(im->page[e->page], e->data, RECORD_SIZE);
		} else if (e->torn_ok && rng_below(rng, 2)) {
			size_t at = 512 * (1 + rng_below(rng, 7));

			memcpy(im->page[e->page], e->data, at);
		}
	}
}

static void make_image(struct image *im, size_t end, struct rng *rng, unsigned luck)
{
	size_t synced = 0;

	memset(im, 0, sizeof(*im));
	for (size_t i = 0; i < end; i++)
		if (rec.v[i].kind == SYNC)
			synced = i;
	apply(im, 0, synced, rng, 1);
	apply(im, synced, end, rng, luck);
}

/* state/epoch as it was, and unless only the daemon was killed, as a machine sees it that was
 * started anew. */
static void put_epoch(struct world *w, size_t end, bool killed)
{
	struct epoch_state *s = calloc(1, sizeof(*s));
	uint8_t *out = malloc(EPOCH_FILE_MAX);
	size_t at = 0;
	int len;

	for (size_t i = 0; i < end; i++)
		if (rec.v[i].kind == EPOCH)
			at = i;
	assert_int_equal(epoch_file_decode(rec.v[at].data, rec.v[at].data_len, w->keys, s), 0);
	if (!killed)
		memset(s->boot, 0, sizeof(s->boot));
	len = epoch_file_encode(s, w->keys, out);
	assert_true(len > 0);
	world_spill(w, "state/epoch", out, (size_t)len);
	free(out);
	free(s);
}

/* ---- the contract ---- */

/* The bytes from start to stop are those of m. In a file with holes, zeros may stand for what is
 * not there yet. */
static bool is_like(const struct run *r, const struct moment *m, uint64_t start, uint64_t stop,
	const uint8_t *mem)
{
	uint64_t common = m->size < start ? start : m->size < stop ? m->size : stop;

	if (common < stop && !r->holes)
		return false;
	for (uint64_t i = common; i < stop; i++)
		if (mem[i] != 0)
			return false;
	return memcmp(m->mem + start, mem + start, common - start) == 0;
}

/* Record k of the image's content is what it was at some moment from `from` to `to`. */
static bool was_so(
	const struct run *r, size_t from, size_t to, uint64_t k, const uint8_t *mem, uint64_t size)
{
	uint64_t start = record_start(k), stop = record_start(k + 1);

	stop = stop < size ? stop : size;
	/* Of the first part of the record, its writer had said nothing yet. */
	while (r->unordered && start < stop && mem[start] == 0)
		start++;
	for (size_t i = from; i <= to && i < r->n; i++)
		if (is_like(r, &r->v[i], start, stop, mem))
			return true;
	/* A record that was lost before a later one is a hole there. */
	while (r->holes && start < stop && mem[start] == 0)
		start++;
	return start == stop;
}

/* What came behind a truncate, and what it dropped, are not there together. */
static void check_no_ghosts(
	const struct run *r, size_t from, size_t to, const uint8_t *mem, uint64_t size)
{
	bool old = true, new = true;
	size_t least = from;

	for (size_t i = from; i <= to && i < r->n; i++)
		least = r->v[i].size < r->v[least].size ? i : least;
	for (uint64_t k = records_for(r->v[least].size); k < records_for(size); k++) {
		old = old && was_so(r, from, least, k, mem, size);
		new = new &&was_so(r, least, to, k, mem, size);
	}
	if (!old && !new)
		fail_msg("records from before and after moment %zu", least);
}

static void check_image(
	struct run *r, size_t end, const struct image *im, bool killed, const char *what)
{
	static uint8_t mem[MOST], again[MOST], more[5000];
	size_t from = 0, to = 0;
	uint64_t least, size;
	struct world *w = r->w;
	struct blob *b;

	/* From the last moment that a sync acknowledged to the one that the crash may have begun.
	 */
	for (size_t i = 0; i < r->n && r->v[i].entry <= end; i++) {
		to = i + 1;
		/* Killed, it loses nothing but the operation that it was at. */
		if (r->v[i].synced || killed)
			from = i;
	}
	least = r->v[from].size;
	for (size_t i = from; i <= to && i < r->n; i++)
		least = r->v[i].size < least ? r->v[i].size : least;
	world_spill(w, "crashed", im->page, im->length);
	put_epoch(w, end, killed);
	world_mount(w, true);
	b = world_open(w, "crashed", true);
	size = blob_size(b);
	if (size < least)
		fail_msg("%s at %zu: %" PRIu64 " bytes of at least %" PRIu64, what, end, size,
			least);
	assert_int_equal(blob_read(b, mem, MOST, 0), size);
	for (uint64_t k = 0; k < records_for(size) && size > 0; k++)
		if (!was_so(r, from, to, k, mem, size))
			fail_msg("%s at %zu: record %" PRIu64 " of %" PRIu64
				 " bytes holds what it never held (moments %zu to %zu)",
				what, end, k, size, from, to);
	check_no_ghosts(r, from, to, mem, size);
	/* Life goes on. */
	memset(more, 0x5a, sizeof(more));
	assert_int_equal(blob_write(b, more, sizeof(more), size), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	world_unmount(w, true);
	world_mount(w, false);
	b = world_open(w, "crashed", false);
	assert_int_equal(blob_size(b), size + sizeof(more));
	assert_int_equal(blob_read(b, again, size, 0), size);
	assert_memory_equal(again, mem, size);
	assert_int_equal(blob_read(b, more, sizeof(more), size), sizeof(more));
	for (size_t i = 0; i < sizeof(more); i++)
		assert_int_equal(more[i], 0x5a);
	blob_close(b);
	world_unmount(w, false);
}

static void begin(struct run *r, uint64_t seed)
{
	struct stat sb;

	memset(&rec, 0, sizeof(rec));
	memset(r, 0, sizeof(*r));
	r->rng.x = seed;
	r->w = world_new();
	/* Also on a file system that does not need it. */
	((struct store_traits *)store_traits(r->w->st))->stable_pages = false;
	r->b = world_create(r->w, NAME);
	assert_int_equal(fstat(blob_fd(r->b), &sb), 0);
	rec.ino = sb.st_ino;
	store_set_ops(r->w->st, &recording);
	record_epoch(r);
	remember_moment(r, true);
}

static void end(struct run *r, unsigned images, const char *what)
{
	static struct image im;
	bool holes = r->holes;

	blob_close(r->b);
	world_unmount(r->w, false);
	store_set_ops(r->w->st, &quiet);
	for (size_t at = 1; at <= rec.n; at++) {
		for (unsigned luck = 0; luck < images; luck++) {
			make_image(&im, at, &r->rng, luck);
			check_image(r, at, &im, false, what);
		}
		if (r->unordered)
			continue;
		make_image(&im, at, &r->rng, 1);
		r->holes = false;
		check_image(r, at, &im, true, "killed");
		r->holes = holes;
	}
	for (size_t i = 0; i < rec.n; i++)
		free(rec.v[i].data);
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].mem);
	/* world_free wants a session to free. */
	world_mount(r->w, false);
	world_free(r->w);
}

/* ---- the workloads ---- */

static void check_random(uint64_t seed, bool shrinks, bool holes, const char *what)
{
	static struct run r;

	begin(&r, seed);
	r.holes = holes;
	for (unsigned i = 0; i < 25; i++)
		random_step(&r, shrinks);
	end(&r, 8, what);
}

static void test_append_and_overwrite(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		check_random(seed + i, false, false, "append and overwrite");
}

static void test_shrink(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		check_random(seed + i, true, false, "shrink");
}

static void test_holes(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		check_random(seed + i, true, true, "holes");
}

/* A file that is written anew over and over, each time under another key. */
static void test_overwritten_files(void **state)
{
	static struct run r;

	(void)state;
	begin(&r, test_seed());
	for (unsigned i = 0; i < 6; i++) {
		do_truncate(&r, 0);
		do_write(&r, 0, 1 + rng_below(&r.rng, 30000));
		do_write(&r, r.size, 1 + rng_below(&r.rng, 10000));
		do_finish(&r);
		if (i % 2)
			do_sync(&r);
		if (i % 3 == 2)
			do_checkpoint(&r, true);
		do_reopen(&r);
	}
	end(&r, 10, "overwritten files");
}

/*
 * Parts of one sequential writer that arrive in any order. After a crash the file is a beginning of
 * what was written, but for one thing: of a record that a later part began in its middle, the first
 * part may be zeros.
 */
static void test_out_of_order(void **state)
{
	static struct run r;
	static uint8_t all[MOST];
	uint64_t chunk = 4096, chunks = 12;

	(void)state;
	begin(&r, test_seed());
	r.unordered = true;
	rng_fill(&r.rng, all, MOST);
	for (uint64_t i = 0; i < chunks; i++) {
		static const uint8_t order[] = {3, 1, 0, 2};
		uint64_t at = (i / 4 * 4 + order[i % 4]) * chunk;

		assert_int_equal(blob_write(r.b, all + at, chunk, at), 0);
	}
	memcpy(r.mem, all, MOST);
	/* One moment that has everything: prefixes of it are all that may be seen. */
	r.size = chunks * chunk;
	remember_moment(&r, false);
	r.v[r.n - 1].entry = 0;
	end(&r, 12, "out of order");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_overwrite),
		cmocka_unit_test(test_shrink),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_overwritten_files),
		cmocka_unit_test(test_out_of_order),
	};

	return cmocka_run_group_tests_name("blob_crash", tests, NULL, NULL);
}
