/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/record.h"
#include "util/bytes.h"

#define AT_LENGTH NONCE_LEN
#define AT_TAG (NONCE_LEN + 2)
#define AT_TEXT RECORD_OVERHEAD
#define AAD_MAX (8 + 2 + CLEAR_HEADER_LEN)
_Static_assert(AT_TAG + TAG_LEN == RECORD_OVERHEAD, "record");
_Static_assert(RECORD_OVERHEAD + CAP_RECORD == RECORD_SIZE, "record");
_Static_assert(CLEAR_HEADER_LEN + RECORD_OVERHEAD + CAP_RECORD1 == RECORD_SIZE, "record 1");
_Static_assert(CLEAR_HEADER_LEN + RECORD_OVERHEAD + INNER_HEADER_LEN + CAP_RECORD0 == RECORD_SIZE,
	"record 0");

static size_t clear_len(uint64_t k)
{
	return k < 2 ? CLEAR_HEADER_LEN : 0;
}

static size_t inner_len(uint64_t k)
{
	return k == 0 ? INNER_HEADER_LEN : 0;
}

static size_t make_aad(
	uint64_t k, uint32_t len, const uint8_t clear[CLEAR_HEADER_LEN], uint8_t aad[AAD_MAX])
{
	put_le64(aad, k);
	put_le16(aad + 8, (uint16_t)len);
	if (k < 2)
		memcpy(aad + 10, clear, CLEAR_HEADER_LEN);
	return 10 + clear_len(k);
}

uint32_t record_length(uint64_t k, const uint8_t rec[RECORD_SIZE])
{
	return get_le16(rec + clear_len(k) + AT_LENGTH);
}

int record_seal(const struct aead *key, uint64_t k, const uint8_t clear[CLEAR_HEADER_LEN],
	const struct inner_header *inner, const uint8_t nonce[NONCE_LEN], const void *data,
	uint32_t len, uint8_t rec[RECORD_SIZE])
{
	uint8_t *body = rec + clear_len(k), *text = body + AT_TEXT, aad[AAD_MAX];
	const void *plain = data;
	size_t text_len = inner_len(k) + len;

	if (len > record_capacity(k))
		return -EINVAL;
	if (k < 2)
		memcpy(rec, clear, CLEAR_HEADER_LEN);
	memcpy(body, nonce, NONCE_LEN);
	put_le16(body + AT_LENGTH, (uint16_t)len);
	if (k == 0) {
		/* Two pieces, sealed where they come to lie. */
		inner_header_encode(inner, text);
		memcpy(text + INNER_HEADER_LEN, data, len);
		plain = text;
	}
	memset(text + text_len, 0, (size_t)(rec + RECORD_SIZE - text) - text_len);
	return aead_seal(key, nonce, aad, make_aad(k, len, clear, aad), plain, text_len, text,
		body + AT_TAG);
}

static int open_first(const struct aead *key, const uint8_t *body, const uint8_t *aad,
	size_t aad_len, uint32_t len, void *data, struct inner_header *inner)
{
	uint8_t plain[INNER_HEADER_LEN + CAP_RECORD0];
	int r;

	r = aead_open(key, body, aad, aad_len, body + AT_TEXT, INNER_HEADER_LEN + (size_t)len,
		plain, body + AT_TAG);
	if (r == 0)
		r = inner_header_decode(plain, inner);
	if (r == 0)
		memcpy(data, plain + INNER_HEADER_LEN, len);
	return r;
}

int record_open(const struct aead *key, uint64_t k, const uint8_t rec[RECORD_SIZE], uint32_t len,
	void *data, struct inner_header *inner)
{
	const uint8_t *body = rec + clear_len(k), *text = body + AT_TEXT;
	size_t text_len = inner_len(k) + len, aad_len;
	uint8_t aad[AAD_MAX];

	if (len > record_capacity(k) || record_length(k, rec) != len)
		return -EBADMSG;
	/* Not authenticated, so they must be what we wrote: a flipped bit is to be found. */
	if (!bytes_are_zero(text + text_len, (size_t)(rec + RECORD_SIZE - text) - text_len))
		return -EBADMSG;
	aad_len = make_aad(k, len, rec, aad);
	if (k == 0)
		return open_first(key, body, aad, aad_len, len, data, inner);
	return aead_open(key, body, aad, aad_len, text, len, data, body + AT_TAG);
}
