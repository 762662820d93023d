/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "blob/scratch.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

static void make_key(void)
{
	key_error = pthread_key_create(&key, free);
}

uint8_t *scratch_get(void)
{
	uint8_t *buf;

	pthread_once(&once, make_key);
	if (key_error)
		return NULL;
	buf = pthread_getspecific(key);
	if (buf)
		return buf;
	buf = aligned_alloc(RECORD_SIZE, (size_t)STEP_RECORDS * RECORD_SIZE);
	if (buf && pthread_setspecific(key, buf) != 0) {
		free(buf);
		return NULL;
	}
	return buf;
}
