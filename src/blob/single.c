/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/blob_impl.h"
#include "util/bytes.h"

/* ---- reading ---- */

int bl_unseal(struct blob *b, uint64_t k, const uint8_t *rec, int32_t len, bool may_be_hole,
	uint8_t *data, uint32_t *ret_len)
{
	struct inner_header inner;
	uint32_t has = record_length(k, rec);
	int r;

	if (has == 0 && bytes_are_zero(rec, RECORD_SIZE)) {
		if (!may_be_hole)
			return bl_damage(b, k, "missing");
		*ret_len = 0;
		return 0;
	}
	r = record_open(b->key, k, rec, (uint32_t)len, data, &inner);
	if (r == -EBADMSG)
		return bl_damage(b, k,
			has == (uint32_t)len ? "not authentic"
					     : "it holds more or less than its place demands");
	if (r == -EPROTONOSUPPORT)
		return bl_damage(b, k, "it has flags of a newer version of the format");
	if (r == 0)
		*ret_len = (uint32_t)len;
	return r;
}

int bl_load(struct blob *b, uint64_t k, uint8_t *plain, bool *ret_hole)
{
	uint8_t rec[RECORD_SIZE];
	const struct cached *c;
	uint32_t got = 0;
	bool may_be_hole;
	int32_t len;
	ssize_t n;
	int r;

	pthread_mutex_lock(&b->lock);
	len = bl_disk_len(b, k);
	may_be_hole = bl_may_be_hole(b, k);
	c = len == GAP_MISSING ? NULL : bl_cache_find(b, k);
	if (c)
		memcpy(plain, c->data, record_capacity(k));
	pthread_mutex_unlock(&b->lock);
	if (!c && len != GAP_MISSING) {
		n = st_pread(b->env->store, b->fd, rec, RECORD_SIZE, (off_t)(k * RECORD_SIZE));
		if (n < 0)
			return (int)n;
		if (n < (ssize_t)RECORD_SIZE)
			return bl_damage(b, k, "cut");
		r = bl_unseal(b, k, rec, len, may_be_hole, plain, &got);
		if (r < 0)
			return r;
	}
	if (!c)
		memset(plain + got, 0, record_capacity(k) - got);
	if (ret_hole)
		*ret_hole = !c && got == 0 && k != 0;
	return 0;
}

/* ---- writing ---- */

uint64_t bl_writes_shown(const struct blob *b)
{
	return (b->writes / WRITES_AHEAD + 2) * WRITES_AHEAD;
}

int bl_use_key(struct blob *b, uint64_t n)
{
	bool tell = false, used_up;

	pthread_mutex_lock(&b->lock);
	used_up = b->writes + n > b->writes_limit;
	if (used_up) {
		tell = !b->limit_told;
		b->limit_told = true;
	} else {
		b->writes += n;
	}
	pthread_mutex_unlock(&b->lock);
	if (tell)
		bl_recovered(b, "its key has sealed as many records as it may: writing is refused; "
				"copy the "
				"file, or empty it, and go on with a new key");
	return used_up ? -EIO : 0;
}

/* The record may come to lie inside the file with less than its capacity. */
static int reserve_gaps(struct blob *b, uint64_t more)
{
	int r;

	pthread_mutex_lock(&b->lock);
	r = gaps_reserve(&b->gaps, more + 2 * (size_t)b->writers);
	pthread_mutex_unlock(&b->lock);
	return r;
}

static int put(struct blob *b, uint64_t k, const uint8_t rec[RECORD_SIZE])
{
	return st_pwrite(b->env->store, b->fd, rec, RECORD_SIZE, (off_t)(k * RECORD_SIZE));
}

/* lock held: record k has len bytes now. */
static void note(struct blob *b, uint64_t epoch, uint64_t k, const uint8_t *plain, uint32_t len)
{
	bool last = k == bl_records(b) - 1;

	gaps_written(&b->gaps, k, k, len, last);
	if (last)
		b->last_disk = len;
	bl_clean_written(b, epoch, k, k);
	bl_cache_drop(b, k, k);
	if (plain)
		bl_cache_put(b, k, plain, len);
}

static void note_failed(struct blob *b, uint64_t epoch, uint64_t k)
{
	pthread_mutex_lock(&b->lock);
	bl_clean_written(b, epoch, k, k);
	bl_cache_drop(b, k, k);
	pthread_mutex_unlock(&b->lock);
	bl_probe(b, k, k);
}

int bl_store(struct blob *b, uint64_t epoch, uint64_t k, const uint8_t *plain, uint32_t len)
{
	uint8_t rec[RECORD_SIZE], nonce[NONCE_LEN];
	int r;

	r = bl_use_key(b, 1);
	if (r == 0)
		r = random_bytes(nonce, sizeof(nonce));
	if (r == 0)
		r = record_seal(b->key, k, b->clear, NULL, nonce, plain, len, rec);
	if (r == 0)
		r = reserve_gaps(b, 2);
	if (r == 0)
		r = bl_clean_range(b, k, k);
	if (r < 0)
		return r;
	r = put(b, k, rec);
	if (r < 0) {
		note_failed(b, epoch, k);
		return r;
	}
	pthread_mutex_lock(&b->lock);
	note(b, epoch, k, NULL, len);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

void bl_first_written(struct blob *b, const struct inner_header *h, bool done)
{
	struct first_record *f = &b->first;

	if (!done && !f->there)
		return;
	if (!f->there || f->largest < h->size)
		f->largest = h->size;
	if (!f->there || f->oldest > h->epoch)
		f->oldest = h->epoch;
	f->version++;
	f->unsure = !done;
	if (!done)
		return;
	f->there = true;
	f->size = h->size;
	f->epoch = h->epoch;
	f->writes = h->writes;
	f->flags = h->flags;
}

void bl_first_durable(struct blob *b)
{
	if (b->first.unsure)
		return;
	b->first.largest = b->first.size;
	b->first.oldest = b->first.epoch;
}

int bl_store_first(struct blob *b, uint64_t epoch, const uint8_t *plain, uint32_t len,
	uint64_t size, uint32_t flags)
{
	uint8_t rec[RECORD_SIZE], nonce[NONCE_LEN];
	struct inner_header inner = {.size = size, .epoch = epoch, .flags = flags};
	int r;

	pthread_mutex_lock(&b->lock);
	/* Not refused at the limit, which keeps some in hand for this. */
	b->writes++;
	inner.writes = bl_writes_shown(b);
	pthread_mutex_unlock(&b->lock);
	r = random_bytes(nonce, sizeof(nonce));
	if (r == 0)
		r = record_seal(b->key, 0, b->clear, &inner, nonce, plain, len, rec);
	if (r == 0)
		r = reserve_gaps(b, 2);
	if (r == 0)
		r = bl_clean_range(b, 0, 0);
	if (r < 0)
		return r;
	r = put(b, 0, rec);
	if (r < 0 && b->first.there) {
		pthread_mutex_lock(&b->lock);
		bl_first_written(b, &inner, false);
		pthread_mutex_unlock(&b->lock);
		note_failed(b, epoch, 0);
	}
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	bl_first_written(b, &inner, true);
	note(b, epoch, 0, plain, len);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* ---- after a failed write ---- */

/* Bytes that record k holds on the disk, -ENODATA if it is not there or not authentic; or -errno.
 */
static int probe_len(struct blob *b, uint64_t k)
{
	uint8_t rec[RECORD_SIZE], plain[CAP_RECORD];
	struct inner_header inner;
	uint32_t len;
	ssize_t n;
	int r;

	n = st_pread(b->env->store, b->fd, rec, RECORD_SIZE, (off_t)(k * RECORD_SIZE));
	if (n < (ssize_t)RECORD_SIZE)
		return n < 0 ? (int)n : -ENODATA;
	len = record_length(k, rec);
	r = record_open(b->key, k, rec, len, plain, &inner);
	if (r < 0)
		return r == -EBADMSG || r == -EPROTONOSUPPORT ? -ENODATA : r;
	return (int)len;
}

static void note_probed(struct blob *b, uint64_t k, uint32_t len)
{
	bool last = k == bl_records(b) - 1;

	gaps_written(&b->gaps, k, k, len, last);
	if (!last)
		return;
	b->last_disk = len;
	if (len != bl_tail(b))
		b->must_cut = true;
}

static int probe(struct blob *b, uint64_t first, uint64_t last)
{
	for (uint64_t k = first; k <= last; k++) {
		bool there;
		int len;

		pthread_mutex_lock(&b->lock);
		there = k < bl_records(b);
		pthread_mutex_unlock(&b->lock);
		if (!there)
			return 0;
		len = probe_len(b, k);
		if (len == -ENODATA)
			continue;
		if (len < 0)
			return len;
		pthread_mutex_lock(&b->lock);
		note_probed(b, k, (uint32_t)len);
		pthread_mutex_unlock(&b->lock);
	}
	return 0;
}

void bl_probe(struct blob *b, uint64_t first, uint64_t last)
{
	if (probe(b, first, last) == 0)
		return;
	pthread_mutex_lock(&b->lock);
	if (!b->unprobed || first < b->unprobed_first)
		b->unprobed_first = first;
	if (!b->unprobed || last > b->unprobed_last)
		b->unprobed_last = last;
	b->unprobed = true;
	pthread_mutex_unlock(&b->lock);
}

int bl_probe_again(struct blob *b)
{
	int r;

	if (!b->unprobed)
		return 0;
	r = reserve_gaps(b, b->unprobed_last - b->unprobed_first + 1);
	if (r == 0)
		r = probe(b, b->unprobed_first, b->unprobed_last);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	b->unprobed = false;
	pthread_mutex_unlock(&b->lock);
	return 0;
}
