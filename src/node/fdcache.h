/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NODE_FDCACHE_H
#define COFFER_NODE_FDCACHE_H

/*
 * Bounds how many descriptors are open at once: the least recently used one that nobody has pinned
 * is closed when a new one would pass the limit. When all are pinned the limit is exceeded (pins
 * are as short as a call).
 *
 * A slot is embedded in its owner, whose lock protects the descriptor itself. Pinning happens under
 * the owner's lock.
 */
#include <stdbool.h>
#include <stddef.h>

struct fdcache;

struct fdslot {
	struct fdslot *prev, *next; /* cache lock */
	unsigned pins;              /* cache lock */
	bool listed, evicting;      /* cache lock */
	/*
	 * Closes the owner's descriptor. Called without cache lock; must only try-lock the owner
	 * (and give up: false), and look at fdslot_pinned again once it has it.
	 */
	bool (*evict)(void *owner);
	void *owner;
	/* Set by evict if nobody will use the slot again: called at the very end of the eviction to
	 * free it. */
	void (*dispose)(struct fdslot *s);
};

int fdcache_new(unsigned limit, struct fdcache **ret);
void fdcache_free(struct fdcache *c);
/* A descriptor was opened: enters the slot, pinned once, and evicts others while over the limit. */
void fdcache_add(struct fdcache *c, struct fdslot *s);
void fdcache_pin(struct fdcache *c, struct fdslot *s);
void fdcache_unpin(struct fdcache *c, struct fdslot *s);
bool fdslot_pinned(struct fdcache *c, struct fdslot *s);
/* The owner closed its descriptor (or is about to be freed): waits for an eviction under way, which
 * never waits for the owner, so the owner's lock may be held. */
void fdcache_remove(struct fdcache *c, struct fdslot *s);
/* From inside evict, holding the owner's lock, after closing. */
void fdcache_evicted(struct fdcache *c, struct fdslot *s);
/* Evicts until at most `target` remain or nothing more can go. */
void fdcache_shrink(struct fdcache *c, unsigned target);
unsigned fdcache_count(struct fdcache *c);

#endif
