/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_HEADER_H
#define COFFER_BLOB_HEADER_H

/* The two headers of a blob, in memory and on the disk. Pure functions. */
#include "blob/layout.h"
#include "crypto/crypto.h"

#define WRAPPED_KEY_LEN (KEY_LEN + KEYWRAP_EXTRA)

/*
 * At the start of records 0 and 1, in clear but authenticated by their tags:
 *   magic 8 | format version 4 | flags 4 (none defined) | generation 4 | wrapped file key 40 |
 *   second generation 4 (0: none) | second wrapped file key 40 | zeros 24
 */
struct clear_header {
	uint32_t generation; /* of the DEK; >= 1 */
	uint8_t wrapped[WRAPPED_KEY_LEN];
	uint32_t second_generation; /* while a blob is re-encrypted; else 0 and zeros */
	uint8_t second_wrapped[WRAPPED_KEY_LEN];
};

void clear_header_encode(const struct clear_header *h, uint8_t out[CLEAR_HEADER_LEN]);
/*
 * -EBADMSG: not a header of this format (magic, bytes that must be zero). -EPROTONOSUPPORT: made by
 * a version of the format, or with flags, that this program does not know.
 */
int clear_header_decode(const uint8_t in[CLEAR_HEADER_LEN], struct clear_header *ret);

/* There are holes: records that are all zero read as zeros. */
#define INNER_SPARSE 1u

/*
 * Encrypted at the start of record 0:
 *   size 8 | epoch 8 | flags 4 | record writes 8 | zeros 4
 */
struct inner_header {
	uint64_t size;  /* of the file when this record 0 was written; never above SIZE_MAX_PLAIN */
	uint64_t epoch; /* in which that was */
	uint32_t flags; /* INNER_... */
	uint64_t writes; /* of records under this file key, rounded up */
};

void inner_header_encode(const struct inner_header *h, uint8_t out[INNER_HEADER_LEN]);
/* -EBADMSG and -EPROTONOSUPPORT as above. */
int inner_header_decode(const uint8_t in[INNER_HEADER_LEN], struct inner_header *ret);

#endif
