/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "blob/dirty.h"

#define FIRST_ROOM 16

/* The slot of a chunk, or the free one where it belongs; the table is never full. */
static struct dirty_chunk *slot_of(const struct dirty *d, uint64_t number)
{
	/* Fibonacci hashing: neighbours, the common case, are spread evenly. */
	size_t i = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (d->room - 1);

	while (d->slots[i].number != 0 && d->slots[i].number != number)
		i = (i + 1) & (d->room - 1);
	return &d->slots[i];
}

static bool grow(struct dirty *d)
{
	struct dirty larger = {.room = d->room ? d->room * 2 : FIRST_ROOM, .n = d->n};

	larger.slots = calloc(larger.room, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < d->room; i++)
		if (d->slots[i].number != 0)
			*slot_of(&larger, d->slots[i].number) = d->slots[i];
	free(d->slots);
	*d = larger;
	return true;
}

bool dirty_add(struct dirty *d, uint64_t k)
{
	uint64_t number = k / DIRTY_CHUNK_RECORDS + 1, bit = k % DIRTY_CHUNK_RECORDS;
	struct dirty_chunk *c = d->room ? slot_of(d, number) : NULL;

	if (!c || c->number == 0) {
		if (d->n == DIRTY_CHUNKS_MAX)
			return false;
		if (2 * (d->n + 1) > d->room) {
			if (!grow(d))
				return false;
			c = slot_of(d, number);
		}
		c->number = number;
		d->n++;
	}
	c->bits[bit / 64] |= UINT64_C(1) << bit % 64;
	return true;
}

bool dirty_has(const struct dirty *d, uint64_t k)
{
	uint64_t number = k / DIRTY_CHUNK_RECORDS + 1, bit = k % DIRTY_CHUNK_RECORDS;
	const struct dirty_chunk *c;

	if (d->n == 0)
		return false;
	c = slot_of(d, number);
	return c->number != 0 && (c->bits[bit / 64] >> bit % 64 & 1);
}

void dirty_clear(struct dirty *d)
{
	free(d->slots);
	*d = (struct dirty){.slots = NULL};
}
