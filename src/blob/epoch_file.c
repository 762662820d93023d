/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/epoch_file.h"
#include "util/bytes.h"

#define MAGIC "COFFEREP"
#define MAGIC_LEN 8
#define FORMAT_VERSION 1u
#define FLAG_OPEN 1u
#define HEAD_LEN 64u
#define RANGE_LEN 32u
#define RANGE_SOFT 1u

int epoch_file_encode(
	const struct epoch_state *s, const struct keyring *k, uint8_t out[EPOCH_FILE_MAX])
{
	uint32_t generation = keyring_current(k);
	uint8_t *p = out + HEAD_LEN;
	int r;

	if (s->n > EPOCH_RANGES_MAX)
		return -EINVAL;
	memcpy(out, MAGIC, MAGIC_LEN);
	put_le32(out + 8, FORMAT_VERSION);
	put_le32(out + 12, s->open ? FLAG_OPEN : 0);
	put_le32(out + 16, generation);
	put_le32(out + 20, s->n);
	put_le64(out + 24, s->current);
	put_le64(out + 32, (uint64_t)s->clean_end);
	put_le64(out + 40, (uint64_t)s->start);
	memcpy(out + 48, s->boot, BOOT_ID_LEN);
	for (uint32_t i = 0; i < s->n; i++, p += RANGE_LEN) {
		put_le64(p, s->ranges[i].first);
		put_le64(p + 8, s->ranges[i].last);
		put_le64(p + 16, (uint64_t)s->ranges[i].start);
		put_le32(p + 24, s->ranges[i].soft ? RANGE_SOFT : 0);
		put_le32(p + 28, 0);
	}
	r = keyring_mac_state(k, generation, out, (size_t)(p - out), p);
	return r < 0 ? r : (int)(p - out) + HASH_LEN;
}

static int check_mac(const uint8_t *in, size_t len, const struct keyring *k)
{
	uint8_t mac[HASH_LEN];
	int r;

	r = keyring_mac_state(k, get_le32(in + 16), in, len - HASH_LEN, mac);
	if (r < 0)
		return r;
	return bytes_equal_ct(mac, in + len - HASH_LEN, HASH_LEN) ? 0 : -EBADMSG;
}

static bool ranges_fit(const struct epoch_state *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct epoch_range *g = &s->ranges[i];

		if (g->first > g->last || g->last >= s->current)
			return false;
		if (i > 0 && g->first <= s->ranges[i - 1].last)
			return false;
	}
	return true;
}

int epoch_file_decode(
	const uint8_t *in, size_t len, const struct keyring *k, struct epoch_state *ret)
{
	const uint8_t *p = in + HEAD_LEN;
	uint32_t flags;
	int r;

	if (len < HEAD_LEN + HASH_LEN || len > EPOCH_FILE_MAX || memcmp(in, MAGIC, MAGIC_LEN) != 0)
		return -EBADMSG;
	if (get_le32(in + 8) != FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	flags = get_le32(in + 12);
	ret->n = get_le32(in + 20);
	if ((flags & ~FLAG_OPEN) || ret->n > EPOCH_RANGES_MAX ||
		len != HEAD_LEN + (size_t)ret->n * RANGE_LEN + HASH_LEN)
		return -EBADMSG;
	r = k ? check_mac(in, len, k) : 0;
	if (r < 0)
		return r;
	ret->open = flags & FLAG_OPEN;
	ret->current = get_le64(in + 24);
	ret->clean_end = (int64_t)get_le64(in + 32);
	ret->start = (int64_t)get_le64(in + 40);
	memcpy(ret->boot, in + 48, BOOT_ID_LEN);
	for (uint32_t i = 0; i < ret->n; i++, p += RANGE_LEN) {
		ret->ranges[i] = (struct epoch_range){.first = get_le64(p),
			.last = get_le64(p + 8),
			.start = (int64_t)get_le64(p + 16),
			.soft = get_le32(p + 24) & RANGE_SOFT};
		if ((get_le32(p + 24) & ~RANGE_SOFT) || get_le32(p + 28) != 0)
			return -EBADMSG;
	}
	/* Room above for the jumps that a start after a crash makes. */
	if (ret->current == 0 || ret->current > UINT64_MAX / 2 || !ranges_fit(ret))
		return -EBADMSG;
	return 0;
}
