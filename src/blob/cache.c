/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "blob/blob_impl.h"

const struct cached *bl_cache_find(const struct blob *b, uint64_t k)
{
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		if (b->cache[i].data && b->cache[i].k == k)
			return &b->cache[i];
	return NULL;
}

void bl_cache_put(struct blob *b, uint64_t k, const uint8_t *data, uint32_t len)
{
	struct cached *c = (struct cached *)bl_cache_find(b, k);

	if (!c && k == 0)
		c = &b->cache[0];
	else if (!c)
		c = &b->cache[1 + b->cache_next++ % (CACHE_SLOTS - 1)];
	if (!c->data)
		c->data = malloc(CAP_RECORD);
	if (!c->data)
		return;
	memcpy(c->data, data, len);
	memset(c->data + len, 0, CAP_RECORD - len);
	c->k = k;
	c->len = len;
}

void bl_cache_drop(struct blob *b, uint64_t first, uint64_t last)
{
	for (unsigned i = 0; i < CACHE_SLOTS; i++) {
		struct cached *c = &b->cache[i];

		if (c->data && c->k >= first && c->k <= last) {
			free(c->data);
			c->data = NULL;
		}
	}
}
