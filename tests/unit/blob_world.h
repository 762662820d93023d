/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_BLOB_WORLD_H
#define TESTS_UNIT_BLOB_WORLD_H

/* A repository with nothing but what blobs need, in a scratch directory. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "blob/blob.h"
#include "ring.h"
#include "scratch.h"

struct world {
	char *path;
	struct store *st;
	struct keyring *keys;
	struct epochs *epochs;
	struct blob_env env;
	atomic_int damaged;
	uint64_t damaged_record; /* the last one told */
	char damaged_reason[128];
	atomic_int recovered;
	bool may_damage; /* else a report fails the test */
};

static inline void world_damage(void *cookie, uint64_t record, const char *reason)
{
	struct world *w = cookie;

	if (!w->may_damage) {
		print_error("damage: record %" PRIu64 ": %s\n", record, reason);
		abort();
	}
	w->damaged++;
	w->damaged_record = record;
	snprintf(w->damaged_reason, sizeof(w->damaged_reason), "%s", reason);
}

static inline void world_recovered(void *cookie, const char *what)
{
	struct world *w = cookie;

	(void)what;
	w->recovered++;
}

static inline void world_open_store(struct world *w)
{
	struct err err = ERR_INIT;

	if (store_open(w->path, false, &w->st, &err) < 0 || store_probe_static(w->st, NULL, 0) < 0)
		fail_msg("%s", err.text);
}

/* A session; `begin` false: only looking, as a read-only mount. */
static inline void world_mount(struct world *w, bool begin)
{
	struct err err = ERR_INIT;
	bool lost;

	if (epochs_load(w->st, w->keys, &w->epochs, &lost, &err) < 0)
		fail_msg("%s", err.text);
	if (begin)
		assert_int_equal(epochs_begin(w->epochs), 0);
	w->env = (struct blob_env){.store = w->st,
		.keys = w->keys,
		.epochs = w->epochs,
		.damage = world_damage,
		.recovered = world_recovered};
}

/* The end of a session: clean, or as if the daemon were killed. Blobs are closed. */
static inline void world_unmount(struct world *w, bool clean)
{
	if (clean)
		assert_int_equal(epochs_end(w->epochs), 0);
	epochs_free(w->epochs);
	w->epochs = NULL;
}

static inline struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->path = scratch_make();
	w->keys = ring_make(7);
	assert_true(w->path && w->keys);
	world_open_store(w);
	assert_int_equal(epochs_create(w->st, w->keys), 0);
	world_mount(w, true);
	return w;
}

static inline void world_free(struct world *w)
{
	epochs_free(w->epochs);
	store_close(w->st);
	keyring_free(w->keys);
	scratch_remove(w->path);
	free(w);
}

static inline int world_fd(struct world *w, const char *name, int flags)
{
	int fd = openat(store_root(w->st), name, flags | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static inline struct blob *world_create(struct world *w, const char *name)
{
	struct blob *b = NULL;

	assert_int_equal(
		blob_create(&w->env, world_fd(w, name, O_RDWR | O_CREAT | O_TRUNC), w, &b), 0);
	return b;
}

static inline struct blob *world_open(struct world *w, const char *name, bool writable)
{
	int fd = world_fd(w, name, writable ? O_RDWR : O_RDONLY);
	struct blob *b = NULL;

	assert_int_equal(blob_open(&w->env, fd, writable, false, w, &b), 0);
	return b;
}

/* The bytes of a file of the store; the caller frees them. */
static inline uint8_t *world_slurp(struct world *w, const char *name, size_t *ret_len)
{
	int fd = world_fd(w, name, O_RDONLY);
	struct stat sb;
	uint8_t *buf;

	assert_int_equal(fstat(fd, &sb), 0);
	buf = malloc((size_t)sb.st_size + 1);
	assert_non_null(buf);
	assert_int_equal(pread(fd, buf, (size_t)sb.st_size, 0), sb.st_size);
	close(fd);
	*ret_len = (size_t)sb.st_size;
	return buf;
}

/* Makes a file of these bytes, without emptying it first: ext4 would flush it each time. */
static inline void world_spill(struct world *w, const char *name, const void *buf, size_t len)
{
	int fd = world_fd(w, name, O_WRONLY | O_CREAT);

	assert_int_equal(pwrite(fd, buf, len, 0), (ssize_t)len);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

/* ---- numbers that can be had again ---- */

struct rng {
	uint64_t x;
};

/* splitmix64 (Vigna, public domain) */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

static inline void rng_fill(struct rng *r, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		/* No zero bytes: a lost byte shows. */
		buf[i] = (uint8_t)(rng_next(r) % 255 + 1);
}

/* An offset up to max, often at or beside the border of a record or page. */
static inline uint64_t rng_offset(struct rng *r, uint64_t max)
{
	uint64_t at = rng_below(r, max + 1);
	int64_t off;

	switch (rng_below(r, 4)) {
	case 0:
		return at;
	case 1:
		off = (int64_t)(at / 4096 * 4096);
		break;
	default:
		off = (int64_t)record_start(record_of(at));
	}
	off += (int64_t)rng_below(r, 3) - 1;
	return off < 0 ? 0 : (uint64_t)off > max ? max : (uint64_t)off;
}

/* The seed of random tests: COFFER_TEST_SEED, or new ones each time; printed. */
static inline uint64_t test_seed(void)
{
	const char *given = getenv("COFFER_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 0;

	if (!given)
		assert_int_equal(random_bytes(&seed, sizeof(seed)), 0);
	print_message("COFFER_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

#endif
