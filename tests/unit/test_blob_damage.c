/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What storage may do to a blob between two mounts: after a clean end every change gives the same
 * bytes or -EBADMSG, and a report that names it; never other bytes. And what is cut or missing
 * after an unclean end.
 */
#include <unistd.h>
#include "blob_world.h"
#include "blob/blob_impl.h"
#include "blob/epoch_file.h"

#define NAME "blob"

struct sample {
	struct world *w;
	uint8_t *mem, *raw, *copy;
	size_t size, len;
};

/* A closed blob of `size` bytes; with a hole from record 1 up to its last record if sparse. */
static struct sample sample_make(size_t size, bool sparse)
{
	struct sample s = {.w = world_new(), .size = size};
	struct blob *b = world_create(s.w, NAME);
	struct rng rng = {size};

	s.w->may_damage = true;
	s.mem = calloc(1, size + 1);
	rng_fill(&rng, s.mem, size);
	if (sparse)
		memset(s.mem + 1000, 0, record_start(records_for(size) - 1) - 1000);
	if (sparse) {
		uint64_t last = record_start(records_for(size) - 1);

		assert_int_equal(blob_write(b, s.mem, 1000, 0), 0);
		assert_int_equal(blob_write(b, s.mem + last, size - last, last), 0);
	} else {
		assert_int_equal(blob_write(b, s.mem, size, 0), 0);
	}
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	world_unmount(s.w, true);
	world_mount(s.w, false);
	s.raw = world_slurp(s.w, NAME, &s.len);
	s.copy = malloc(s.len + 3 * RECORD_SIZE);
	memcpy(s.copy, s.raw, s.len);
	return s;
}

static void sample_drop(struct sample *s)
{
	free(s->mem);
	free(s->raw);
	free(s->copy);
	world_free(s->w);
}

/* Reads the file as a program would, in pieces. True if all of it was as it should be. */
static bool read_all(struct sample *s)
{
	static uint8_t buf[200000];
	struct blob *b = world_open(s->w, NAME, false);
	bool whole = true;

	for (size_t at = 0; at < s->size; at += 1000) {
		size_t want = s->size - at < 1000 ? s->size - at : 1000;
		ssize_t got = blob_read(b, buf, 1000, at);

		assert_true(got == -EBADMSG || got == (ssize_t)want);
		whole = whole && got >= 0;
		if (got > 0)
			assert_memory_equal(buf, s->mem + at, want);
	}
	if (whole)
		assert_int_equal(blob_size(b), s->size);
	blob_close(b);
	return whole;
}

/* The file with this content: all there, or damaged and reported. */
static bool survives(struct sample *s, const uint8_t *raw, size_t len)
{
	int before = s->w->damaged;
	bool whole;

	world_spill(s->w, NAME, raw, len);
	whole = read_all(s);
	assert_int_equal(whole, s->w->damaged == before);
	return whole;
}

static void check_bytes(size_t size)
{
	struct sample s = sample_make(size, false);
	size_t covered = s.len / RECORD_SIZE * RECORD_SIZE;

	for (size_t i = 0; i < s.len; i++) {
		s.copy[i] ^= (uint8_t)(1 << i % 8);
		/* Behind the last record lies a hole that nobody reads. */
		assert_int_equal(survives(&s, s.copy, s.len), i >= covered);
		s.copy[i] ^= (uint8_t)(1 << i % 8);
	}
	sample_drop(&s);
}

static void test_every_byte(void **state)
{
	(void)state;
	check_bytes(1);
	check_bytes(5000);
	check_bytes(8000);
}

static void test_every_length(void **state)
{
	struct sample s = sample_make(8000, false);

	(void)state;
	/* Length 0 is a legal empty file: only a seal could tell. */
	for (size_t len = 1; len < s.len; len++)
		assert_false(survives(&s, s.raw, len));
	assert_true(survives(&s, s.raw, s.len));
	for (size_t more = 1; more < 2 * RECORD_SIZE; more++) {
		s.copy[s.len + more - 1] = (uint8_t)more;
		assert_false(survives(&s, s.copy, s.len + more));
	}
	sample_drop(&s);
}

static void test_records_exchanged(void **state)
{
	struct sample s = sample_make(30000, false);
	size_t records = s.len / RECORD_SIZE;

	(void)state;
	for (size_t a = 0; a < records; a++)
		for (size_t c = 0; c < records; c++) {
			if (a == c)
				continue;
			memcpy(s.copy + a * RECORD_SIZE, s.raw + c * RECORD_SIZE, RECORD_SIZE);
			assert_false(survives(&s, s.copy, s.len));
			memcpy(s.copy + a * RECORD_SIZE, s.raw + a * RECORD_SIZE, RECORD_SIZE);
		}
	sample_drop(&s);
}

/* The same place in another file of the same repository. */
static void test_records_of_another(void **state)
{
	struct sample s = sample_make(30000, false);
	struct blob *b;
	uint8_t *other;
	size_t len;

	(void)state;
	b = world_create(s.w, "other");
	assert_int_equal(blob_write(b, s.mem, s.size, 0), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	other = world_slurp(s.w, "other", &len);
	assert_int_equal(len, s.len);
	for (size_t k = 1; k < s.len / RECORD_SIZE; k++) {
		memcpy(s.copy + k * RECORD_SIZE, other + k * RECORD_SIZE, RECORD_SIZE);
		assert_false(survives(&s, s.copy, s.len));
		/* With its clear header, as far as one goes, too. */
		if (k == 1) {
			memcpy(s.copy + RECORD_SIZE, s.raw + RECORD_SIZE, CLEAR_HEADER_LEN);
			assert_false(survives(&s, s.copy, s.len));
		}
		memcpy(s.copy + k * RECORD_SIZE, s.raw + k * RECORD_SIZE, RECORD_SIZE);
	}
	free(other);
	sample_drop(&s);
}

static void test_zeroed_records(void **state)
{
	struct sample s = sample_make(30000, false);

	(void)state;
	for (size_t k = 0; k < s.len / RECORD_SIZE; k++) {
		memset(s.copy + k * RECORD_SIZE, 0, RECORD_SIZE);
		assert_false(survives(&s, s.copy, s.len));
		assert_int_equal(s.w->damaged_record, k);
		memcpy(s.copy + k * RECORD_SIZE, s.raw + k * RECORD_SIZE, RECORD_SIZE);
	}
	sample_drop(&s);
}

/* A file with holes keeps its end; its first and last record are never holes. */
static void test_sparse(void **state)
{
	struct sample s = sample_make(60000, true);
	size_t records = s.len / RECORD_SIZE;

	(void)state;
	assert_true(survives(&s, s.raw, s.len));
	for (size_t i = 0; i < 2; i++) {
		size_t k = i ? records - 1 : 0;

		memset(s.copy + k * RECORD_SIZE, 0, RECORD_SIZE);
		assert_false(survives(&s, s.copy, s.len));
		memcpy(s.copy + k * RECORD_SIZE, s.raw + k * RECORD_SIZE, RECORD_SIZE);
	}
	for (size_t k = 1; k < records; k++) {
		s.copy[k * RECORD_SIZE + 2000] ^= 1;
		assert_false(survives(&s, s.copy, s.len));
		s.copy[k * RECORD_SIZE + 2000] ^= 1;
	}
	for (size_t k = 1; k <= records; k++)
		assert_false(survives(&s, s.raw, k * RECORD_SIZE));
	assert_false(survives(&s, s.copy, s.len + 1));
	sample_drop(&s);
}

/* A record of an older state of the same file, which was shorter or longer. */
static void test_older_end(void **state)
{
	struct sample s = sample_make(30000, false);
	struct blob *b;
	uint8_t *now;
	size_t len;

	(void)state;
	b = world_open(s.w, NAME, true);
	assert_int_equal(blob_truncate(b, 29000), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	now = world_slurp(s.w, NAME, &len);
	s.size = 29000;
	/* The old last record, and the old length. */
	memcpy(s.copy, now, len);
	memcpy(s.copy + (len / RECORD_SIZE - 1) * RECORD_SIZE,
		s.raw + (len / RECORD_SIZE - 1) * RECORD_SIZE, RECORD_SIZE);
	assert_false(survives(&s, s.copy, len));
	assert_false(survives(&s, s.copy, s.len));
	assert_true(survives(&s, now, len));
	free(now);
	sample_drop(&s);
}

/* Reports come once per record; other records stay readable; emptying heals. */
static void test_reports(void **state)
{
	struct sample s = sample_make(30000, false);
	uint8_t buf[100], *again;
	struct blob *b;
	size_t len;

	(void)state;
	s.copy[3 * RECORD_SIZE + 500] ^= 1;
	world_spill(s.w, NAME, s.copy, s.len);
	b = world_open(s.w, NAME, true);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(blob_read(b, buf, 100, record_start(3)), -EBADMSG);
	assert_int_equal(s.w->damaged, 1);
	assert_int_equal(s.w->damaged_record, 3);
	assert_string_equal(s.w->damaged_reason, "not authentic");
	assert_int_equal(blob_read(b, buf, 100, record_start(4)), 100);
	assert_memory_equal(buf, s.mem + record_start(4), 100);
	assert_false(blob_damaged(b));
	/* In part it cannot be overwritten, as a whole it can. */
	assert_int_equal(blob_write(b, buf, 10, record_start(3) + 5), -EBADMSG);
	assert_int_equal(blob_write(b, s.mem + record_start(3), CAP_RECORD, record_start(3)), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	assert_true(read_all(&s));
	/* One that cannot be read at all. */
	again = world_slurp(s.w, NAME, &len);
	again[10] ^= 0xff;
	world_spill(s.w, NAME, again, len);
	free(again);
	b = world_open(s.w, NAME, true);
	assert_true(blob_damaged(b));
	assert_int_equal(blob_size(b), s.size);
	assert_int_equal(blob_read(b, buf, 100, 0), -EBADMSG);
	assert_int_equal(blob_write(b, buf, 100, 0), -EBADMSG);
	assert_int_equal(blob_punch(b, 0, 100), -EBADMSG);
	assert_int_equal(blob_allocate(b, 0, 100000, false), -EBADMSG);
	assert_int_equal(blob_seek(b, 0, SEEK_DATA), -EBADMSG);
	assert_int_equal(blob_truncate(b, 100), -EBADMSG);
	assert_int_equal(blob_finish(b), 0);
	assert_int_equal(blob_sync(b, true), 0);
	assert_int_equal(blob_truncate(b, 0), 0);
	assert_false(blob_damaged(b));
	assert_int_equal(blob_write(b, "good", 4, 0), 0);
	assert_int_equal(blob_read(b, buf, 100, 0), 4);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	sample_drop(&s);
}

static void test_foreign_generation(void **state)
{
	struct sample s = sample_make(5000, false);

	(void)state;
	s.copy[16] = 9;
	assert_false(survives(&s, s.copy, s.len));
	assert_non_null(strstr(s.w->damaged_reason, "generation"));
	s.copy[16] = 1;
	s.copy[8] = 2;
	assert_false(survives(&s, s.copy, s.len));
	assert_non_null(strstr(s.w->damaged_reason, "newer"));
	sample_drop(&s);
}

/* ---- after an unclean end ---- */

/* The session in which the blob was written did not end, and the machine was started anew. */
static void crash(struct world *w)
{
	struct epoch_state *st = calloc(1, sizeof(*st));
	uint8_t *out = malloc(EPOCH_FILE_MAX), *in;
	size_t in_len;
	int len;

	world_unmount(w, false);
	in = world_slurp(w, "state/epoch", &in_len);
	assert_int_equal(epoch_file_decode(in, in_len, w->keys, st), 0);
	memset(st->boot, 0, sizeof(st->boot));
	len = epoch_file_encode(st, w->keys, out);
	assert_true(len > 0);
	world_spill(w, "state/epoch", out, (size_t)len);
	free(in);
	free(out);
	free(st);
	world_mount(w, true);
}

/* A file whose record 0 is of the broken epoch, with records 4 to 6 lost on the way. */
static void test_lost_records(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t mem[40000], back[40000], *raw;
	struct rng rng = {5};
	struct stat before, after;
	size_t len;

	(void)state;
	rng_fill(&rng, mem, sizeof(mem));
	assert_int_equal(blob_write(b, mem, sizeof(mem), 0), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	raw = world_slurp(w, NAME, &len);
	memset(raw + 4 * RECORD_SIZE, 0, 3 * RECORD_SIZE);
	crash(w);
	world_spill(w, NAME, raw, len);
	b = world_open(w, NAME, true);
	assert_int_equal(w->recovered, 1);
	assert_int_equal(blob_size(b), record_start(4));
	assert_int_equal(blob_read(b, back, sizeof(back), 0), record_start(4));
	assert_memory_equal(back, mem, record_start(4));
	/* Reading cuts nothing, the first write does, durably before anything is appended. */
	assert_int_equal(fstat(blob_fd(b), &before), 0);
	assert_int_equal(before.st_size, len);
	assert_int_equal(blob_write(b, "new", 3, record_start(4)), 0);
	assert_int_equal(fstat(blob_fd(b), &after), 0);
	assert_int_equal(after.st_size, length_for(record_start(4) + 3));
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	/* From here on it is strict again. */
	w->may_damage = true;
	world_unmount(w, true);
	world_mount(w, false);
	b = world_open(w, NAME, false);
	assert_false(blob_damaged(b));
	assert_int_equal(blob_size(b), record_start(4) + 3);
	blob_close(b);
	free(raw);
	raw = world_slurp(w, NAME, &len);
	world_spill(w, NAME, raw, length_for(record_start(4)));
	b = world_open(w, NAME, false);
	assert_true(blob_damaged(b));
	blob_close(b);
	free(raw);
	world_free(w);
}

/* Complete up to a size, appended to in a broken epoch: what was complete must be there. */
static void test_complete_part(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t mem[40000], back[40000], *raw, *copy;
	struct rng rng = {6};
	size_t len;

	(void)state;
	rng_fill(&rng, mem, sizeof(mem));
	assert_int_equal(blob_write(b, mem, 20000, 0), 0);
	assert_int_equal(blob_finish(b), 0);
	assert_int_equal(epochs_turn(w->epochs), 0);
	assert_int_equal(epochs_commit(w->epochs), 0);
	/* Not record 0: it stays of the complete epoch. */
	assert_int_equal(blob_write(b, mem + 20000, 20000, 20000), 0);
	blob_close(b);
	raw = world_slurp(w, NAME, &len);
	copy = malloc(len);
	crash(w);
	w->may_damage = true;
	for (uint64_t k = 0; k < len / RECORD_SIZE; k++) {
		uint64_t complete = record_of(20000 - 1), size;

		memcpy(copy, raw, len);
		memset(copy + k * RECORD_SIZE + 300, 0x77, 100);
		world_spill(w, NAME, copy, len);
		b = world_open(w, NAME, false);
		size = blob_size(b);
		if (k == 0 || k == complete) {
			assert_true(blob_damaged(b));
		} else if (k < complete) {
			assert_int_equal(size, 40000);
			assert_int_equal(blob_read(b, back, 10, record_start(k)), -EBADMSG);
		} else {
			assert_int_equal(size, record_start(k));
			assert_int_equal(blob_read(b, back, sizeof(back), 0), size);
			assert_memory_equal(back, mem, size);
		}
		blob_close(b);
	}
	/* Cut below the complete size, at any place. */
	for (uint64_t size = 0; size < 20000; size += 501) {
		world_spill(w, NAME, raw, length_for(size));
		b = world_open(w, NAME, false);
		assert_true(blob_damaged(b));
		blob_close(b);
	}
	for (uint64_t size = 20000; size < 40000; size += 501) {
		world_spill(w, NAME, raw, length_for(size));
		b = world_open(w, NAME, false);
		assert_int_equal(blob_size(b), size);
		assert_int_equal(blob_read(b, back, sizeof(back), 0), size);
		assert_memory_equal(back, mem, size);
		blob_close(b);
	}
	free(copy);
	free(raw);
	world_free(w);
}

/* Record 0 never reached the disk. */
static void test_no_first_record(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t mem[20000] = {1}, *raw;
	size_t len;

	(void)state;
	assert_int_equal(blob_write(b, mem, sizeof(mem), 0), 0);
	blob_close(b);
	raw = world_slurp(w, NAME, &len);
	memset(raw, 0, RECORD_SIZE);
	crash(w);
	world_spill(w, NAME, raw, len);
	b = world_open(w, NAME, true);
	assert_false(blob_damaged(b));
	assert_int_equal(w->recovered, 1);
	assert_int_equal(blob_size(b), 0);
	assert_int_equal(blob_read(b, mem, 10, 0), 0);
	assert_int_equal(blob_write(b, "fresh", 5, 0), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	b = world_open(w, NAME, false);
	assert_int_equal(blob_size(b), 5);
	blob_close(b);
	free(raw);
	world_free(w);
}

/* The daemon was killed, the machine went on: nothing is lost, and a gap is a gap. */
static void test_killed(void **state)
{
	struct world *w = world_new();
	struct blob *b = world_create(w, NAME);
	uint8_t buf[10], zeros[10] = {0};

	(void)state;
	assert_int_equal(blob_write(b, "begin", 5, 0), 0);
	assert_int_equal(blob_write(b, "middle", 6, 30000), 0);
	assert_int_equal(blob_write(b, "end", 3, 500000), 0);
	blob_close(b);
	world_unmount(w, false);
	world_mount(w, true);
	b = world_open(w, NAME, true);
	assert_int_equal(blob_size(b), 500003);
	assert_int_equal(blob_read(b, buf, 6, 30000), 6);
	assert_memory_equal(buf, "middle", 6);
	assert_int_equal(blob_read(b, buf, 10, 20000), 10);
	assert_memory_equal(buf, zeros, 10);
	assert_int_equal(blob_write(b, "x", 1, 40000), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	world_unmount(w, true);
	world_mount(w, false);
	b = world_open(w, NAME, false);
	assert_int_equal(blob_size(b), 500003);
	assert_int_equal(blob_read(b, buf, 3, 500000), 3);
	assert_memory_equal(buf, "end", 3);
	blob_close(b);
	world_free(w);
}

/* state/ is lost: no file is. */
static void test_state_lost(void **state)
{
	struct sample s = sample_make(30000, false);
	struct err err = ERR_INIT;
	bool lost = false;
	struct blob *b;

	(void)state;
	world_unmount(s.w, false);
	assert_int_equal(unlinkat(store_root(s.w->st), "state/epoch", 0), 0);
	assert_int_equal(epochs_load(s.w->st, s.w->keys, &s.w->epochs, &lost, &err), 0);
	assert_true(lost);
	assert_int_equal(epochs_begin(s.w->epochs), 0);
	s.w->env.epochs = s.w->epochs;
	assert_true(read_all(&s));
	b = world_open(s.w, NAME, true);
	assert_int_equal(blob_write(b, "x", 1, s.size), 0);
	assert_int_equal(blob_finish(b), 0);
	blob_close(b);
	assert_int_equal(s.w->damaged, 0);
	sample_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_records_exchanged),
		cmocka_unit_test(test_records_of_another),
		cmocka_unit_test(test_zeroed_records),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_older_end),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_foreign_generation),
		cmocka_unit_test(test_lost_records),
		cmocka_unit_test(test_complete_part),
		cmocka_unit_test(test_no_first_record),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_state_lost),
	};

	return cmocka_run_group_tests_name("blob_damage", tests, NULL, NULL);
}
