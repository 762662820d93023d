/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_GAPS_H
#define COFFER_BLOB_GAPS_H

/*
 * Records inside a file that were not written yet, because a later part of it arrived first. They
 * read as zeros. What they will be (data still to come, or holes) shows at the next sync or close.
 *
 * Each gap is a record `rec` that exists on the disk with `len` bytes (its capacity, or fewer: then
 * the rest of it is part of the gap) and the missing records rec + 1 to end - 1 (none if end is rec
 * + 1). Sorted, disjoint, rec < next rec, end <= next rec. No lock inside.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gap {
	uint64_t rec;
	uint64_t end;
	uint32_t len;
};

struct gaps {
	struct gap *v;
	size_t n, room;
};

/* What gaps_len says of a record that is missing. */
#define GAP_MISSING (-1)

/* Makes room for so many more gaps, so that nothing below can fail. -ENOMEM. */
int gaps_reserve(struct gaps *g, size_t more);
void gaps_clear(struct gaps *g); /* keeps the memory */
void gaps_free(struct gaps *g);

/* Bytes of record k on the disk, GAP_MISSING, or (no gap touches it) what `otherwise` says. */
int32_t gaps_len(const struct gaps *g, uint64_t k, int32_t otherwise);
/*
 * Records first to last were written; last has last_len bytes and is or is not the last one of the
 * file. Adds at most one gap.
 */
void gaps_written(struct gaps *g, uint64_t first, uint64_t last, uint32_t last_len, bool at_end);
/*
 * The file, which ended with record rec of len bytes, goes on at record next > rec. Adds at most
 * one gap.
 */
void gaps_jump(struct gaps *g, uint64_t rec, uint32_t len, uint64_t next);
/* The file now ends with record last, which exists. */
void gaps_cut(struct gaps *g, uint64_t last);
/* The plaintext offset up to which the file is without a gap; there must be one. */
uint64_t gaps_prefix(const struct gaps *g);

#endif
