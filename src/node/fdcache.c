/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fdcache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct fdcache {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* an eviction ended */
	struct fdslot head;  /* ring; head.next is the most recently used */
	unsigned count, limit;
};

int fdcache_new(unsigned limit, struct fdcache **ret)
{
	struct fdcache *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	c->head.prev = c->head.next = &c->head;
	c->limit = limit;
	*ret = c;
	return 0;
}

void fdcache_free(struct fdcache *c)
{
	if (!c)
		return;
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void unlist(struct fdslot *s)
{
	s->prev->next = s->next;
	s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

static void list_first(struct fdcache *c, struct fdslot *s)
{
	s->next = c->head.next;
	s->prev = &c->head;
	c->head.next->prev = s;
	c->head.next = s;
}

/*
 * Evicts unpinned slots, oldest first, down to `target`. Each slot is tried once at most: one whose
 * owner is busy goes to the front of the ring.
 */
static void shrink_locked(struct fdcache *c, unsigned target)
{
	unsigned tries = c->count;
	while (c->count > target && tries-- > 0) {
		struct fdslot *s = c->head.prev;
		unlist(s);
		list_first(c, s);
		if (s->pins > 0 || s->evicting)
			continue;
		s->evicting = true;
		pthread_mutex_unlock(&c->lock);
		s->evict(s->owner);
		pthread_mutex_lock(&c->lock);
		s->evicting = false;
		pthread_cond_broadcast(&c->idle);
		if (s->dispose)
			s->dispose(s);
	}
}

void fdcache_add(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	/* The eviction that closed its last descriptor may still be about to look at the slot. */
	while (s->evicting)
		pthread_cond_wait(&c->idle, &c->lock);
	s->pins = 1;
	s->listed = true;
	list_first(c, s);
	c->count++;
	if (c->count > c->limit)
		shrink_locked(c, c->limit);
	pthread_mutex_unlock(&c->lock);
}

void fdcache_pin(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	s->pins++;
	unlist(s);
	list_first(c, s);
	pthread_mutex_unlock(&c->lock);
}

void fdcache_unpin(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	s->pins--;
	if (s->pins == 0 && c->count > c->limit)
		shrink_locked(c, c->limit);
	pthread_mutex_unlock(&c->lock);
}

bool fdslot_pinned(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	bool pinned = s->pins > 0;
	pthread_mutex_unlock(&c->lock);
	return pinned;
}

static void delist(struct fdcache *c, struct fdslot *s)
{
	if (s->listed) {
		unlist(s);
		s->listed = false;
		s->pins = 0;
		c->count--;
	}
}

void fdcache_remove(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	while (s->evicting)
		pthread_cond_wait(&c->idle, &c->lock);
	delist(c, s);
	pthread_mutex_unlock(&c->lock);
}

void fdcache_evicted(struct fdcache *c, struct fdslot *s)
{
	pthread_mutex_lock(&c->lock);
	delist(c, s);
	pthread_mutex_unlock(&c->lock);
}

void fdcache_shrink(struct fdcache *c, unsigned target)
{
	pthread_mutex_lock(&c->lock);
	shrink_locked(c, target);
	pthread_mutex_unlock(&c->lock);
}

unsigned fdcache_count(struct fdcache *c)
{
	pthread_mutex_lock(&c->lock);
	unsigned n = c->count;
	pthread_mutex_unlock(&c->lock);
	return n;
}
