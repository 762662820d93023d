/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "crypto/ctxcache.h"

struct thread_cache {
	uint64_t clock;
	struct ctx_slot slots[CTX_KINDS][CTX_PER_KIND];
};

static _Atomic uint64_t last_id;

/* The key exists for its destructor, which runs at thread exit; the variable is the fast way. */
static __thread struct thread_cache *thread_cache;
static pthread_key_t exit_key;
static bool exit_key_made;
static pthread_once_t exit_key_once = PTHREAD_ONCE_INIT;

static void cache_free(void *p)
{
	struct thread_cache *c = p;

	for (int kind = 0; kind < CTX_KINDS; kind++) {
		for (int i = 0; i < CTX_PER_KIND; i++) {
			EVP_CIPHER_CTX_free(c->slots[kind][i].ctx);
			EVP_CIPHER_CTX_free(c->slots[kind][i].work);
		}
	}
	free(c);
	/* A destructor that runs later may still encrypt: it gets a new cache, and this runs again.
	 */
	thread_cache = NULL;
}

static void make_exit_key(void)
{
	exit_key_made = pthread_key_create(&exit_key, cache_free) == 0;
}

static struct thread_cache *cache_new(void)
{
	struct thread_cache *c;

	if (pthread_once(&exit_key_once, make_exit_key) != 0 || !exit_key_made)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	if (pthread_setspecific(exit_key, c) != 0) {
		free(c);
		return NULL;
	}
	thread_cache = c;
	return c;
}

uint64_t ctxcache_new_id(void)
{
	return atomic_fetch_add(&last_id, 1) + 1;
}

struct ctx_slot *ctxcache_get(enum ctx_kind kind, uint64_t id)
{
	struct thread_cache *c = thread_cache ? thread_cache : cache_new();
	struct ctx_slot *found;

	if (!c)
		return NULL;
	found = &c->slots[kind][0];
	for (int i = 0; i < CTX_PER_KIND; i++) {
		struct ctx_slot *s = &c->slots[kind][i];

		if (s->id == id) {
			s->last_use = ++c->clock;
			return s;
		}
		if (s->last_use < found->last_use)
			found = s;
	}
	if (!found->ctx)
		found->ctx = EVP_CIPHER_CTX_new();
	if (!found->ctx)
		return NULL;
	found->id = 0;
	found->last_use = ++c->clock;
	return found;
}

EVP_CIPHER_CTX *ctxcache_work(struct ctx_slot *slot)
{
	if (!slot->work)
		slot->work = EVP_CIPHER_CTX_new();
	return slot->work;
}

void ctxcache_forget(uint64_t id)
{
	if (!thread_cache)
		return;
	for (int kind = 0; kind < CTX_KINDS; kind++) {
		for (int i = 0; i < CTX_PER_KIND; i++) {
			struct ctx_slot *s = &thread_cache->slots[kind][i];

			if (s->id != id)
				continue;
			EVP_CIPHER_CTX_free(s->ctx);
			EVP_CIPHER_CTX_free(s->work);
			*s = (struct ctx_slot){0};
		}
	}
}
