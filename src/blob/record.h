/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_RECORD_H
#define COFFER_BLOB_RECORD_H

/*
 * One record in a buffer, sealed and opened. Pure but for the key handle.
 *   record k:    nonce 12 | length 2 | tag 16 | ciphertext | zeros
 *   record 0, 1: clear header 128, then the same
 * AAD: k (8 bytes), length, and of records 0 and 1 the clear header. The plaintext of record 0 is
 * the inner header and then the file's bytes; `length` counts the latter only.
 */
#include "blob/header.h"

/* Bytes of the file that a record claims to hold: not authenticated, any 16-bit value. */
uint32_t record_length(uint64_t k, const uint8_t rec[RECORD_SIZE]);

/*
 * Seals len bytes (at most the record's capacity: else -EINVAL) of data into rec, which must not
 * overlap. clear: for records 0 and 1, else ignored. inner: for record 0, else ignored. A nonce is
 * used once. Errors are those of aead_seal.
 */
int record_seal(const struct aead *key, uint64_t k, const uint8_t clear[CLEAR_HEADER_LEN],
	const struct inner_header *inner, const uint8_t nonce[NONCE_LEN], const void *data,
	uint32_t len, uint8_t rec[RECORD_SIZE]);

/*
 * Opens a record that must hold exactly len bytes and be followed by zeros only. data gets len
 * bytes and must not overlap. inner: filled for record 0, may be NULL for others. -EBADMSG: another
 * length, or not authentic; then data holds zeros or is untouched. -EPROTONOSUPPORT as in header.h.
 */
int record_open(const struct aead *key, uint64_t k, const uint8_t rec[RECORD_SIZE], uint32_t len,
	void *data, struct inner_header *inner);

#endif
