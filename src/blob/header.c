/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blob/header.h"
#include "util/bytes.h"

#define MAGIC "COFFERBL"
#define MAGIC_LEN 8
#define FORMAT_VERSION 1u

#define AT_VERSION 8
#define AT_FLAGS 12
#define AT_GENERATION 16
#define AT_WRAPPED 20
#define AT_GENERATION2 60
#define AT_WRAPPED2 64
#define AT_ZEROS 104
_Static_assert(AT_GENERATION2 == AT_WRAPPED + WRAPPED_KEY_LEN, "clear header");
_Static_assert(AT_ZEROS == AT_WRAPPED2 + WRAPPED_KEY_LEN, "clear header");

void clear_header_encode(const struct clear_header *h, uint8_t out[CLEAR_HEADER_LEN])
{
	memset(out, 0, CLEAR_HEADER_LEN);
	memcpy(out, MAGIC, MAGIC_LEN);
	put_le32(out + AT_VERSION, FORMAT_VERSION);
	put_le32(out + AT_GENERATION, h->generation);
	memcpy(out + AT_WRAPPED, h->wrapped, WRAPPED_KEY_LEN);
	put_le32(out + AT_GENERATION2, h->second_generation);
	memcpy(out + AT_WRAPPED2, h->second_wrapped, WRAPPED_KEY_LEN);
}

int clear_header_decode(const uint8_t in[CLEAR_HEADER_LEN], struct clear_header *ret)
{
	struct clear_header h;

	if (memcmp(in, MAGIC, MAGIC_LEN) != 0)
		return -EBADMSG;
	if (get_le32(in + AT_VERSION) != FORMAT_VERSION || get_le32(in + AT_FLAGS) != 0)
		return -EPROTONOSUPPORT;
	h.generation = get_le32(in + AT_GENERATION);
	memcpy(h.wrapped, in + AT_WRAPPED, WRAPPED_KEY_LEN);
	h.second_generation = get_le32(in + AT_GENERATION2);
	memcpy(h.second_wrapped, in + AT_WRAPPED2, WRAPPED_KEY_LEN);
	if (h.generation == 0 || !bytes_are_zero(in + AT_ZEROS, CLEAR_HEADER_LEN - AT_ZEROS))
		return -EBADMSG;
	if (h.second_generation == 0 && !bytes_are_zero(h.second_wrapped, WRAPPED_KEY_LEN))
		return -EBADMSG;
	*ret = h;
	return 0;
}

void inner_header_encode(const struct inner_header *h, uint8_t out[INNER_HEADER_LEN])
{
	put_le64(out, h->size);
	put_le64(out + 8, h->epoch);
	put_le32(out + 16, h->flags);
	put_le64(out + 20, h->writes);
	put_le32(out + 28, 0);
}

int inner_header_decode(const uint8_t in[INNER_HEADER_LEN], struct inner_header *ret)
{
	struct inner_header h = {
		.size = get_le64(in),
		.epoch = get_le64(in + 8),
		.flags = get_le32(in + 16),
		.writes = get_le64(in + 20),
	};

	if (h.size > SIZE_MAX_PLAIN || get_le32(in + 28) != 0)
		return -EBADMSG;
	if (h.flags & ~INNER_SPARSE)
		return -EPROTONOSUPPORT;
	*ret = h;
	return 0;
}
