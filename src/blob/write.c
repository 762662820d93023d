/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/blob_impl.h"

/*
 * One request: records first to last, written whole. What of the first and the last is not in the
 * request is merged from the cache or the disk; records that are covered are never read.
 */
struct step {
	const uint8_t *buf;
	uint64_t offset, end;
	uint64_t first, last;
	unsigned n;
	uint32_t last_len; /* bytes that the last record will have */
	bool load_first, load_last;
	bool extends; /* when it began */
	uint64_t epoch;
	struct inner_header inner;
	uint8_t edge_first[CAP_RECORD], edge_last[CAP_RECORD];
	const uint8_t *data_first, *data_last; /* edge_..., or into buf */
};

/* Bytes of record k that are there now and keep their places. lock held. */
static uint32_t present(const struct blob *b, uint64_t k)
{
	int32_t len = k < bl_records(b) ? bl_disk_len(b, k) : GAP_MISSING;

	if (len == GAP_MISSING)
		return 0;
	/* More than that is a leftover. */
	return k == bl_records(b) - 1 ? bl_tail(b) : (uint32_t)len;
}

/* True if the request leaves some of the `have` bytes of record k as they are. */
static bool keeps_some(const struct step *s, uint64_t k, uint32_t have)
{
	uint64_t start = record_start(k);

	return have > 0 && (s->offset > start || s->end < start + have);
}

static int plan(struct blob *b, struct step *s)
{
	uint64_t size = b->size > s->end ? b->size : s->end;
	uint32_t have = present(b, s->last), reach = (uint32_t)(s->end - record_start(s->last));

	s->extends = s->end > b->size;
	s->load_first = keeps_some(s, s->first, present(b, s->first));
	s->load_last = s->last != s->first && keeps_some(s, s->last, have);
	/*
	 * Inside a gap a record ends with what is known of it: if a crash comes now, the file must
	 * not end with zeros that nobody wrote.
	 */
	if (s->last == records_for(size) - 1)
		s->last_len = (uint32_t)(size - record_start(s->last));
	else
		s->last_len = have > reach ? have : reach;
	/* Only what is complete may be claimed: gaps, and a jump over one, end it. */
	s->inner = (struct inner_header){
		.epoch = s->epoch,
		.flags = b->sparse ? INNER_SPARSE : 0,
		.writes = bl_writes_shown(b),
		.size = b->gaps.n > 0         ? gaps_prefix(&b->gaps)
			: s->offset > b->size ? b->size
					      : size,
	};
	if (b->gaps.n > 0 || b->writers > 0 || s->offset > b->size) {
		int r = gaps_reserve(&b->gaps, 2 * ((size_t)b->writers + 1));

		if (r < 0)
			return r;
	}
	b->writers++;
	return 0;
}

/* Puts the part of the request that belongs to record k over what the record holds. */
static int merge(struct blob *b, struct step *s, uint64_t k, bool load, uint8_t *edge)
{
	uint64_t start = record_start(k), stop = record_start(k + 1);
	uint64_t from = start > s->offset ? start : s->offset, to = stop < s->end ? stop : s->end;
	int r;

	if (load) {
		r = bl_load(b, k, edge, NULL);
		if (r < 0)
			return r;
	} else {
		memset(edge, 0, record_capacity(k));
	}
	memcpy(edge + (from - start), s->buf + (from - s->offset), to - from);
	return 0;
}

/* Bytes that record k will have. */
static uint32_t len_of(const struct step *s, uint64_t k)
{
	return k == s->last ? s->last_len : record_capacity(k);
}

static bool is_covered(const struct step *s, uint64_t k)
{
	return s->offset <= record_start(k) && s->end >= record_start(k) + len_of(s, k);
}

static int merge_edges(struct blob *b, struct step *s)
{
	int r = 0;

	s->data_first = s->buf;
	if (s->last != s->first)
		s->data_last = s->buf + (record_start(s->last) - s->offset);
	if (!is_covered(s, s->first)) {
		r = merge(b, s, s->first, s->load_first, s->edge_first);
		s->data_first = s->edge_first;
	}
	if (s->last == s->first) {
		s->data_last = s->data_first;
	} else if (r == 0 && !is_covered(s, s->last)) {
		r = merge(b, s, s->last, s->load_last, s->edge_last);
		s->data_last = s->edge_last;
	}
	return r;
}

static const uint8_t *data_of(const struct step *s, uint64_t k)
{
	if (k == s->first)
		return s->data_first;
	return k == s->last ? s->data_last : s->buf + (record_start(k) - s->offset);
}

static int seal(struct blob *b, const struct step *s, uint8_t *recs)
{
	uint8_t nonces[STEP_RECORDS][NONCE_LEN];
	int r;

	r = random_bytes(nonces, (size_t)s->n * NONCE_LEN);
	for (unsigned i = 0; i < s->n && r == 0; i++) {
		uint64_t k = s->first + i;

		r = record_seal(b->key, k, b->clear, &s->inner, nonces[i], data_of(s, k),
			len_of(s, k), recs + (size_t)i * RECORD_SIZE);
	}
	return r;
}

/* The length before the records inside it: the other order makes xfs and NFS write synchronously.
 */
static int grow(struct blob *b, uint64_t size)
{
	uint64_t length = length_for(size);
	int r = 0;

	pthread_mutex_lock(&b->grow);
	if (length > b->length) {
		r = st_ftruncate(b->env->store, b->fd, (off_t)length);
		if (r == 0)
			b->length = length;
	}
	pthread_mutex_unlock(&b->grow);
	return r;
}

/* lock held. */
static void keep_plaintexts(struct blob *b, const struct step *s)
{
	bl_cache_drop(b, s->first, s->last);
	if (s->first == 0)
		bl_cache_put(b, 0, s->data_first, len_of(s, 0));
	/* Whoever writes on from here begins with this record. */
	if (s->last > 0 && s->end < record_start(s->last + 1))
		bl_cache_put(b, s->last, s->data_last, s->last_len);
}

static void written(struct blob *b, const struct step *s)
{
	bool at_end;

	pthread_mutex_lock(&b->lock);
	at_end = s->end > b->size || s->last == bl_records(b) - 1;
	if (s->end > b->size) {
		if (b->first.there && s->first >= bl_records(b))
			gaps_jump(&b->gaps, bl_records(b) - 1, b->last_disk, s->first);
		b->size = s->end;
	}
	if (s->first == 0)
		bl_first_written(b, &s->inner, true);
	gaps_written(&b->gaps, s->first, s->last, s->last_len, at_end);
	if (at_end)
		b->last_disk = s->last_len;
	keep_plaintexts(b, s);
	bl_clean_written(b, s->epoch, s->first, s->last);
	b->writers--;
	pthread_mutex_unlock(&b->lock);
}

/* Each record is the old or the new one; those behind the end must go. */
static void failed(struct blob *b, const struct step *s)
{
	pthread_mutex_lock(&b->lock);
	bl_cache_drop(b, s->first, s->last);
	if (s->first == 0)
		bl_first_written(b, &s->inner, false);
	bl_clean_written(b, s->epoch, s->first, s->last);
	if (s->extends)
		b->must_cut = true;
	pthread_mutex_unlock(&b->lock);
	bl_probe(b, s->first, s->last);
	pthread_mutex_lock(&b->lock);
	b->writers--;
	pthread_mutex_unlock(&b->lock);
}

static void not_begun(struct blob *b)
{
	pthread_mutex_lock(&b->lock);
	b->writers--;
	pthread_mutex_unlock(&b->lock);
}

static int run(struct blob *b, struct step *s)
{
	uint8_t *recs = scratch_get();
	int r;

	if (!recs)
		return -ENOMEM;
	r = bl_use_key(b, s->n);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	r = plan(b, s);
	pthread_mutex_unlock(&b->lock);
	if (r < 0)
		return r;
	r = merge_edges(b, s);
	if (r == 0)
		r = seal(b, s, recs);
	if (r == 0)
		r = bl_clean_range(b, s->first, s->last);
	if (r == 0 && s->extends)
		r = grow(b, s->end);
	if (r < 0) {
		not_begun(b);
		return r;
	}
	r = st_pwrite(b->env->store, b->fd, recs, (size_t)s->n * RECORD_SIZE,
		(off_t)(s->first * RECORD_SIZE));
	if (r < 0)
		failed(b, s);
	else
		written(b, s);
	return r;
}

int bl_write_step(struct blob *b, const uint8_t *buf, size_t len, uint64_t offset)
{
	struct step s = {.buf = buf, .offset = offset, .end = offset + len};
	int r;

	s.first = record_of(offset);
	s.last = record_of(s.end - 1);
	s.n = (unsigned)(s.last - s.first + 1);
	s.epoch = bl_enter(b);
	r = run(b, &s);
	bl_leave(b, s.epoch);
	return r;
}

/* Takes the records of a step, in a blob that is ready for it. */
static int lock_step(struct blob *b, struct range *range, uint64_t offset, uint64_t end)
{
	for (;;) {
		bool unprepared;
		int r;

		range_lock(&b->ranges, range, record_of(offset), record_of(end - 1), true);
		pthread_mutex_lock(&b->lock);
		unprepared = bl_unprepared(b, offset, end);
		pthread_mutex_unlock(&b->lock);
		if (!unprepared)
			return 0;
		range_unlock(&b->ranges, range);
		range_lock(&b->ranges, range, WHOLE_FIRST, WHOLE_LAST, true);
		r = bl_prepare(b, offset, end);
		range_unlock(&b->ranges, range);
		if (r < 0)
			return r;
	}
}

/* What a failed write left behind the end goes at once, if it can; else the next write tries. */
static void clean_up(struct blob *b)
{
	struct range all;

	range_lock(&b->ranges, &all, WHOLE_FIRST, WHOLE_LAST, true);
	if (b->must_cut && !b->damaged) {
		uint64_t epoch = bl_enter(b);

		(void)bl_cut(b, epoch);
		bl_leave(b, epoch);
	}
	range_unlock(&b->ranges, &all);
}

int blob_write(struct blob *b, const void *buf, size_t len, uint64_t offset)
{
	uint64_t end = offset + len;
	struct range range;

	if (!b->writable)
		return -EBADF;
	if (len > SIZE_MAX_PLAIN || offset > SIZE_MAX_PLAIN - len)
		return -EFBIG;
	for (uint64_t at = offset, stop; at < end; at = stop) {
		int r;

		stop = record_start(record_of(at) + STEP_RECORDS);
		stop = stop < end ? stop : end;
		r = lock_step(b, &range, at, stop);
		if (r < 0)
			return r;
		r = bl_write_step(b, (const uint8_t *)buf + (at - offset), stop - at, at);
		range_unlock(&b->ranges, &range);
		if (r < 0) {
			clean_up(b);
			return r;
		}
	}
	return 0;
}
