/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Where a file ends that a crash may have caught: at its first record that is missing, zero, short
 * or not authentic; a sparse one after its last record that is authentic, and what is not authentic
 * before it is a hole. So does one that was caught by the end of the daemon alone: what the kernel
 * was given is all there, and records missing inside are gaps. Nothing is changed here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "blob/blob_impl.h"
#include "util/bytes.h"

/* More than a crash can leave; what is beyond reads as damage. */
#define GAPS_SETTLED_MAX 4096

struct scan {
	uint64_t from;      /* first record looked at */
	uint64_t available; /* records that the length has room for */
	bool sparse, gaps_ok, found, ended;
	bool torn;     /* there was a record that is not authentic, since the last that is */
	uint64_t last; /* the last authentic one, and its bytes */
	uint32_t len;
};

enum kind { AUTHENTIC, ZERO, BAD };

/* Which it is (*ret_len: its bytes), or -errno. */
static int classify(struct blob *b, uint64_t k, const uint8_t *rec, uint32_t *ret_len)
{
	uint8_t plain[CAP_RECORD];
	struct inner_header inner;
	uint32_t len = record_length(k, rec);
	int r;

	if (len == 0 && bytes_are_zero(rec, RECORD_SIZE))
		return ZERO;
	if (len == 0 && k > 0)
		return BAD;
	r = record_open(b->key, k, rec, len, plain, &inner);
	if (r == -EBADMSG)
		return BAD;
	*ret_len = len;
	return r < 0 ? r : AUTHENTIC;
}

static int scan_record(struct blob *b, struct scan *s, uint64_t k, const uint8_t *rec)
{
	uint32_t len = 0;
	int r = classify(b, k, rec, &len);

	if (r < 0)
		return r;
	if (r != AUTHENTIC) {
		/* What must be there can still have become a hole, if more came behind it. */
		if (k == s->from)
			s->ended = !s->sparse || r != ZERO;
		else
			s->ended = !s->sparse && (!s->gaps_ok || r != ZERO);
		s->torn |= r == BAD && !s->gaps_ok;
		return 0;
	}
	/* The one before was not the last after all. */
	if (k > s->from && b->gaps.n < GAPS_SETTLED_MAX) {
		/* What was torn counts as missing, like what is. Holes need not be remembered. */
		uint64_t next = s->sparse && !s->torn ? s->last + 1 : k;

		r = gaps_reserve(&b->gaps, 1);
		if (r < 0)
			return r;
		gaps_jump(&b->gaps, s->last, s->len, next);
	}
	b->torn |= s->torn;
	s->torn = false;
	s->found = true;
	s->last = k;
	s->len = len;
	s->ended = !s->sparse && !s->gaps_ok && len < record_capacity(k);
	return 0;
}

/* The next record at or after k that is not in a hole of the backing file. */
static uint64_t skip_hole(struct blob *b, uint64_t k)
{
	off_t pos = st_lseek(b->env->store, b->fd, (off_t)(k * RECORD_SIZE), SEEK_DATA);

	if (pos == -ENXIO)
		return UINT64_MAX;
	return pos < 0 || (uint64_t)pos / RECORD_SIZE < k ? k : (uint64_t)pos / RECORD_SIZE;
}

static int scan(struct blob *b, struct scan *s)
{
	uint8_t *buf = scratch_get();
	uint64_t k = s->from;

	if (!buf)
		return -ENOMEM;
	/* Below `from`, records are full or holes. */
	if (k > 0) {
		s->last = k - 1;
		s->len = record_capacity(k - 1);
	}
	while (k < s->available && !s->ended) {
		uint64_t n = s->available - k < STEP_RECORDS ? s->available - k : STEP_RECORDS;
		ssize_t got;

		got = st_pread(
			b->env->store, b->fd, buf, n * RECORD_SIZE, (off_t)(k * RECORD_SIZE));
		if (got < 0)
			return (int)got;
		n = (uint64_t)got / RECORD_SIZE;
		for (uint64_t i = 0; i < n && !s->ended; i++) {
			int r = scan_record(b, s, k + i, buf + i * RECORD_SIZE);

			if (r < 0)
				return r;
		}
		if (n == 0)
			break;
		k += n;
		if ((s->sparse || s->gaps_ok) && k < s->available && !s->ended)
			k = skip_hole(b, k);
	}
	return 0;
}

int bl_settle(struct blob *b, uint64_t from, uint32_t least)
{
	struct scan s = {
		.from = from,
		.available = b->length / RECORD_SIZE,
		.sparse = b->sparse,
		.gaps_ok = epochs_soft(b->env->epochs, b->first.epoch),
	};
	uint64_t rest = b->length % RECORD_SIZE, told;
	char text[120];
	uint32_t tail;
	int r;

	r = scan(b, &s);
	if (r < 0)
		return r;
	if (!s.found || (s.last == from && s.len < least))
		return bl_damage(b, from,
			s.found ? "it holds less than its last complete size demands"
				: "not authentic, or missing, below its last complete size");
	/* A length that tells of no bytes in the last record is the first step of shrinking. */
	tail = s.last + 1 == s.available && rest > 0 && rest < s.len ? (uint32_t)rest : s.len;
	b->size = record_start(s.last) + tail;
	b->last_disk = s.len;
	b->must_cut = b->length != length_for(b->size) || tail != s.len || b->torn;
	if (!size_from_length(b->length, &told) || told != b->size) {
		snprintf(text, sizeof(text),
			"an unclean end left %" PRIu64 " of %" PRIu64 " bytes of it", b->size,
			size_floor_from_length(b->length));
		bl_recovered(b, text);
	}
	return 0;
}
