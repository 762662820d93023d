/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/blob_impl.h"

/* What a request for [offset, end) has to know of the records that it touches, first to last. */
struct view {
	uint64_t offset, end;
	uint64_t first;
	unsigned n;
	bool sparse;
	uint64_t file_last;
	int32_t len[STEP_RECORDS];
};

static void look(struct blob *b, struct view *v)
{
	pthread_mutex_lock(&b->lock);
	v->sparse = b->sparse;
	v->file_last = bl_records(b) - 1;
	for (unsigned i = 0; i < v->n; i++)
		v->len[i] = bl_disk_len(b, v->first + i);
	pthread_mutex_unlock(&b->lock);
}

/* The part of record k that is wanted goes to where it belongs in buf, which stands for the offset.
 */
static int deliver(
	struct blob *b, const struct view *v, unsigned i, const uint8_t *rec, uint8_t *buf)
{
	uint64_t k = v->first + i, start = record_start(k), stop = record_start(k + 1);
	uint64_t from = start > v->offset ? start : v->offset, to = stop < v->end ? stop : v->end;
	bool may_be_hole = v->sparse && k != 0 && k != v->file_last;
	uint8_t plain[CAP_RECORD], *out = buf + (from - v->offset);
	uint32_t got = 0, skip = (uint32_t)(from - start), want = (uint32_t)(to - from);
	bool direct = skip == 0 && v->len[i] <= (int32_t)want;
	int r;

	if (v->len[i] != GAP_MISSING) {
		r = bl_unseal(b, k, rec, v->len[i], may_be_hole, direct ? out : plain, &got);
		if (r < 0)
			return r;
	}
	if (!direct) {
		uint32_t have = got > skip ? got - skip : 0;

		have = have < want ? have : want;
		memcpy(out, plain + skip, have);
		got = have;
	}
	memset(out + got, 0, want - got);
	return 0;
}

static int read_step(struct blob *b, uint8_t *buf, uint64_t offset, uint64_t end)
{
	struct view v = {.offset = offset, .end = end, .first = record_of(offset)};
	uint8_t *recs = scratch_get();
	ssize_t got;

	if (!recs)
		return -ENOMEM;
	v.n = (unsigned)(record_of(end - 1) - v.first + 1);
	look(b, &v);
	got = st_pread(b->env->store, b->fd, recs, (size_t)v.n * RECORD_SIZE,
		(off_t)(v.first * RECORD_SIZE));
	if (got < 0)
		return (int)got;
	for (unsigned i = 0; i < v.n; i++) {
		int r;

		if ((size_t)got < (size_t)(i + 1) * RECORD_SIZE && v.len[i] != GAP_MISSING)
			return bl_damage(b, v.first + i, "cut");
		r = deliver(b, &v, i, recs + (size_t)i * RECORD_SIZE, buf);
		if (r < 0)
			return r;
	}
	return 0;
}

static ssize_t read_locked(struct blob *b, uint8_t *buf, size_t len, uint64_t offset)
{
	uint64_t size = blob_size(b), end = offset + len;

	if (b->damaged)
		return -EBADMSG;
	if (offset >= size)
		return 0;
	end = end < size ? end : size;
	for (uint64_t at = offset, stop; at < end; at = stop) {
		int r;

		stop = record_start(record_of(at) + STEP_RECORDS);
		stop = stop < end ? stop : end;
		r = read_step(b, buf + (at - offset), at, stop);
		if (r < 0)
			return r;
	}
	return (ssize_t)(end - offset);
}

/* Takes the records of a request, once it is known what is on the disk of each. */
static int lock_to_read(struct blob *b, struct range *range, uint64_t first, uint64_t last)
{
	for (;;) {
		bool unprobed;
		int r;

		range_lock(&b->ranges, range, first, last, false);
		pthread_mutex_lock(&b->lock);
		unprobed = b->unprobed;
		pthread_mutex_unlock(&b->lock);
		if (!unprobed)
			return 0;
		range_unlock(&b->ranges, range);
		range_lock(&b->ranges, range, WHOLE_FIRST, WHOLE_LAST, true);
		r = bl_probe_again(b);
		range_unlock(&b->ranges, range);
		if (r < 0)
			return r;
	}
}

ssize_t blob_read(struct blob *b, void *buf, size_t len, uint64_t offset)
{
	struct range range;
	ssize_t r;

	if (len == 0 || offset >= SIZE_MAX_PLAIN)
		return 0;
	if (len > SIZE_MAX_PLAIN - offset)
		len = SIZE_MAX_PLAIN - offset;
	r = lock_to_read(b, &range, record_of(offset), record_of(offset + len - 1));
	if (r < 0)
		return r;
	r = read_locked(b, buf, len, offset);
	range_unlock(&b->ranges, &range);
	return r;
}
