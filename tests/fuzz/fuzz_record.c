/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a record or header. The first byte says what: raw bytes as record 0 to 3; a change
 * of a sealed record, which must then not open; or an inner header under a good tag, so that its
 * decoder is reached.
 */
#include <stdlib.h>
#include <string.h>
#include "blob/record.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t nonce[NONCE_LEN] = "fuzzed nonce";
static uint8_t clear[CLEAR_HEADER_LEN];

static const struct aead *fuzz_key(void)
{
	static const uint8_t bytes[KEY_LEN] = "a fixed key, good for nothing...";
	static struct aead *key;

	if (!key && aead_new(bytes, &key) < 0)
		abort();
	return key;
}

static void try_clear(const uint8_t *data, size_t size)
{
	uint8_t in[CLEAR_HEADER_LEN] = {0}, out[CLEAR_HEADER_LEN];
	struct clear_header h;

	memcpy(in, data, size < sizeof(in) ? size : sizeof(in));
	if (clear_header_decode(in, &h) < 0)
		return;
	/* What is accepted has one form only. */
	clear_header_encode(&h, out);
	if (memcmp(in, out, sizeof(in)) != 0)
		abort();
}

static void try_raw(uint64_t k, const uint8_t *data, size_t size)
{
	uint8_t rec[RECORD_SIZE] = {0}, plain[CAP_RECORD];
	struct inner_header inner;

	memcpy(rec, data, size < sizeof(rec) ? size : sizeof(rec));
	/* Nobody guesses a tag. */
	if (record_open(fuzz_key(), k, rec, record_length(k, rec), plain, &inner) == 0)
		abort();
}

static void try_changed(uint64_t k, const uint8_t *data, size_t size)
{
	static const struct inner_header inner = {.size = 100, .epoch = 1};
	static const uint8_t content[100] = "content";
	uint8_t rec[RECORD_SIZE], good[RECORD_SIZE], plain[CAP_RECORD];
	struct inner_header back;
	int r;

	if (record_seal(fuzz_key(), k, clear, &inner, nonce, content, sizeof(content), rec) < 0)
		abort();
	memcpy(good, rec, sizeof(good));
	for (size_t i = 0; i + 3 <= size; i += 3)
		rec[get_le16(data + i) % RECORD_SIZE] ^= data[i + 2];
	r = record_open(fuzz_key(), k, rec, record_length(k, rec), plain, &back);
	if ((r == 0) != (memcmp(rec, good, sizeof(rec)) == 0))
		abort();
	if (r == 0 && memcmp(plain, content, sizeof(content)) != 0)
		abort();
}

static void try_inner(const uint8_t *data, size_t size)
{
	uint8_t in[INNER_HEADER_LEN] = {0}, out[INNER_HEADER_LEN];
	struct inner_header h;

	memcpy(in, data, size < sizeof(in) ? size : sizeof(in));
	if (inner_header_decode(in, &h) < 0)
		return;
	if (h.size > SIZE_MAX_PLAIN)
		abort();
	inner_header_encode(&h, out);
	if (memcmp(in, out, sizeof(in)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t k;

	if (size == 0)
		return 0;
	k = data[0] / 4 % 4;
	switch (data[0] % 4) {
	case 0:
		try_raw(k, data + 1, size - 1);
		break;
	case 1:
		try_changed(k, data + 1, size - 1);
		break;
	case 2:
		try_inner(data + 1, size - 1);
		break;
	default:
		try_clear(data + 1, size - 1);
	}
	return 0;
}
