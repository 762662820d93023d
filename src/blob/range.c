/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stddef.h>

#include "blob/range.h"

void range_init(struct range_lock *l)
{
	*l = (struct range_lock){.head = NULL};
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->freed, NULL);
}

void range_destroy(struct range_lock *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->freed);
}

/* Everything that came earlier and is still listed has, or will have, the lock before r. */
static bool must_wait(const struct range *r)
{
	for (const struct range *o = r->prev; o; o = o->prev)
		if ((o->exclusive || r->exclusive) && o->first <= r->last && r->first <= o->last)
			return true;
	return false;
}

void range_lock(
	struct range_lock *l, struct range *r, uint64_t first, uint64_t last, bool exclusive)
{
	pthread_mutex_lock(&l->lock);
	*r = (struct range){.first = first, .last = last, .exclusive = exclusive, .prev = l->tail};
	if (l->tail)
		l->tail->next = r;
	else
		l->head = r;
	l->tail = r;
	while (must_wait(r)) {
		l->waiting++;
		pthread_cond_wait(&l->freed, &l->lock);
		l->waiting--;
	}
	pthread_mutex_unlock(&l->lock);
}

void range_unlock(struct range_lock *l, struct range *r)
{
	pthread_mutex_lock(&l->lock);
	if (r->prev)
		r->prev->next = r->next;
	else
		l->head = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		l->tail = r->prev;
	if (l->waiting > 0)
		pthread_cond_broadcast(&l->freed);
	pthread_mutex_unlock(&l->lock);
}
