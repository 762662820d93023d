/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_RANGE_H
#define COFFER_BLOB_RANGE_H

/*
 * A lock on ranges of numbers: shared by readers, exclusive for a writer. First come, first served:
 * nobody starves, and whoever waits behind a conflicting request waits for its end.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A held or wanted range; lives on the stack of its holder. All members belong to range.c. */
struct range {
	uint64_t first, last;
	bool exclusive;
	struct range *prev, *next;
};

struct range_lock {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct range *head, *tail; /* in the order of arrival */
	unsigned waiting;
};

void range_init(struct range_lock *l);
void range_destroy(struct range_lock *l);
/* Waits until [first, last] is held. A thread must not take a range that conflicts with its own. */
void range_lock(
	struct range_lock *l, struct range *r, uint64_t first, uint64_t last, bool exclusive);
void range_unlock(struct range_lock *l, struct range *r);

#endif
