/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_DIRTY_H
#define COFFER_BLOB_DIRTY_H

/*
 * A set of record numbers, in bounded memory: a hash table of bitmaps of 256 records (1 MiB of
 * file) each. No lock inside.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRTY_CHUNK_RECORDS 256u
/* So many bitmaps at most: 640 KiB of memory, 16 GiB of a file written in order. */
#define DIRTY_CHUNKS_MAX 16384u

struct dirty_chunk {
	uint64_t number; /* of the chunk, plus 1; 0: free slot */
	uint64_t bits[DIRTY_CHUNK_RECORDS / 64];
};

struct dirty {
	struct dirty_chunk *slots;
	size_t room; /* a power of two, at least twice n */
	size_t n;
};

/* False if there is no room or memory: the set is as it was. */
bool dirty_add(struct dirty *d, uint64_t k);
bool dirty_has(const struct dirty *d, uint64_t k);
/* Empties the set and gives its memory back. */
void dirty_clear(struct dirty *d);

#endif
