/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_EPOCH_FILE_H
#define COFFER_BLOB_EPOCH_FILE_H

/*
 * The bytes of state/epoch. Little-endian; the numbers before the MAC are readable without a key.
 *   magic "COFFEREP" 8 | version 4 | flags 4 (1: a session is open) | DEK generation 4 | n 4 |
 *   current epoch 8 | last clean end 8 (seconds since 1970, 0: none) | start of the session 8 |
 *   boot id of the session's host 16 | n x (first 8 | last 8 | start 8 | flags 4 (1: soft) | zeros
 * 4) | HMAC-SHA256 32 of all before it
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "crypto/keyring.h"

/* More ranges are merged, the oldest first. */
#define EPOCH_RANGES_MAX 1000u
#define BOOT_ID_LEN 16
#define EPOCH_FILE_MAX (64u + 32u * EPOCH_RANGES_MAX + HASH_LEN)

/* Epochs first to last were cut off by a crash in a session that began at start. */
struct epoch_range {
	uint64_t first, last;
	int64_t start;
	bool soft; /* the daemon ended, the machine did not: nothing that was written is lost */
};

struct epoch_state {
	bool open;                 /* a session is open, or ended uncleanly */
	uint64_t current;          /* >= 1: of the open session, or of the next one */
	int64_t clean_end;         /* seconds since 1970; 0: never, or open */
	int64_t start;             /* of the open session; 0: none */
	uint8_t boot[BOOT_ID_LEN]; /* of the machine run in which the session opened; zeros: unknown
				    */
	uint32_t n;
	struct epoch_range ranges[EPOCH_RANGES_MAX]; /* ascending, disjoint, below current */
};

/* Writes at most EPOCH_FILE_MAX bytes under the current generation's key. The length, or -errno. */
int epoch_file_encode(
	const struct epoch_state *s, const struct keyring *k, uint8_t out[EPOCH_FILE_MAX]);
/*
 * -EBADMSG: not authentic or not well-formed. -ENOKEY: generation unknown. k NULL: the MAC is not
 * checked (for peeking only). -EPROTONOSUPPORT: another version. ret may be changed on failure.
 */
int epoch_file_decode(
	const uint8_t *in, size_t len, const struct keyring *k, struct epoch_state *ret);

#endif
