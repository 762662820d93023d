/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_LAYOUT_H
#define COFFER_BLOB_LAYOUT_H

/*
 * The arithmetic of a blob: pure functions, tested at every boundary. "Offset" and "size" are of
 * the plaintext file, "length" is of the blob in the backing store. record 0: 3906 bytes of the
 * file (after 32 bytes of inner header), 1: 3938, k >= 2: 4066. length = 4096 * records + bytes of
 * the file in the last record; 0 for an empty file without any record. An empty file that has a
 * record 0 has length 4096.
 */
#include <stdbool.h>
#include <stdint.h>

#define RECORD_SIZE 4096u
#define CLEAR_HEADER_LEN 128u
#define INNER_HEADER_LEN 32u
#define RECORD_OVERHEAD 30u /* nonce 12, length 2, tag 16 */
#define CAP_RECORD0 3906u
#define CAP_RECORD1 3938u
#define CAP_RECORD 4066u
/* Largest plaintext size: its blob's length still fits in a signed 64-bit offset. */
#define SIZE_MAX_PLAIN ((uint64_t)0x7e00000000000000)

/* Bytes of the file that record k holds when full. */
uint32_t record_capacity(uint64_t k);
/* Offset in the file of the first byte of record k. */
uint64_t record_start(uint64_t k);
/* The record that holds the byte at offset. */
uint64_t record_of(uint64_t offset);
/* Number of records of a file of this size; at least 1 (record 0) for size 0. */
uint64_t records_for(uint64_t size);
/* Length of the blob of a file of this size (> 0), or with a record 0 (size 0: 4096). */
uint64_t length_for(uint64_t size);
/* Plaintext size that a blob's length tells. True if some blob can have that length (else *ret
 * untouched). */
bool size_from_length(uint64_t length, uint64_t *ret);
/* The largest size whose blob is not longer than this, for any length (never above SIZE_MAX_PLAIN).
 */
uint64_t size_floor_from_length(uint64_t length);

#endif
