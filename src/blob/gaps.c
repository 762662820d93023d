/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob/gaps.h"
#include "blob/layout.h"

int gaps_reserve(struct gaps *g, size_t more)
{
	size_t room = g->room > 0 ? g->room : 8;
	struct gap *v;

	while (room < g->n + more)
		room *= 2;
	if (room == g->room)
		return 0;
	v = realloc(g->v, room * sizeof(*v));
	if (!v)
		return -ENOMEM;
	g->v = v;
	g->room = room;
	return 0;
}

void gaps_clear(struct gaps *g)
{
	g->n = 0;
}

void gaps_free(struct gaps *g)
{
	free(g->v);
	*g = (struct gaps){.v = NULL};
}

/* The first gap that ends behind record k. */
static size_t find(const struct gaps *g, uint64_t k)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->v[mid].end > k)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int32_t gaps_len(const struct gaps *g, uint64_t k, int32_t otherwise)
{
	size_t i = find(g, k);

	if (i == g->n || g->v[i].rec > k)
		return otherwise;
	return g->v[i].rec == k ? (int32_t)g->v[i].len : GAP_MISSING;
}

static bool is_empty(const struct gap *gap)
{
	return gap->end == gap->rec + 1 && gap->len == record_capacity(gap->rec);
}

static void remove_at(struct gaps *g, size_t i)
{
	g->n--;
	memmove(g->v + i, g->v + i + 1, (g->n - i) * sizeof(*g->v));
}

static void insert_at(struct gaps *g, size_t i, struct gap gap)
{
	if (is_empty(&gap))
		return;
	memmove(g->v + i + 1, g->v + i, (g->n - i) * sizeof(*g->v));
	g->v[i] = gap;
	g->n++;
}

void gaps_written(struct gaps *g, uint64_t first, uint64_t last, uint32_t last_len, bool at_end)
{
	struct gap after = {.rec = last, .end = last + 1, .len = last_len};
	size_t i = find(g, first);

	while (i < g->n && g->v[i].rec <= last) {
		struct gap *gap = &g->v[i];

		/* What is still missing behind the written part now hangs on its last record. */
		if (gap->end > last + 1)
			after.end = gap->end;
		if (gap->rec >= first) {
			remove_at(g, i);
			continue;
		}
		if (gap->end > first)
			gap->end = first;
		if (is_empty(gap))
			remove_at(g, i);
		else
			i++;
	}
	if (!at_end)
		insert_at(g, i, after);
}

void gaps_jump(struct gaps *g, uint64_t rec, uint32_t len, uint64_t next)
{
	insert_at(g, g->n, (struct gap){.rec = rec, .end = next, .len = len});
}

void gaps_cut(struct gaps *g, uint64_t last)
{
	while (g->n > 0 && g->v[g->n - 1].rec >= last)
		g->n--;
	if (g->n > 0 && g->v[g->n - 1].end > last) {
		g->v[g->n - 1].end = last;
		if (is_empty(&g->v[g->n - 1]))
			g->n--;
	}
}

uint64_t gaps_prefix(const struct gaps *g)
{
	return record_start(g->v[0].rec) + g->v[0].len;
}
