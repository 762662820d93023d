/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RING_H
#define TESTS_UNIT_RING_H

/* A key ring with known keys. */
#include <string.h>
#include "crypto/keyring.h"

/* Adds a generation whose DEK is fill, repeated. */
static inline bool ring_add(struct keyring *k, uint32_t generation, uint8_t fill)
{
	uint8_t dek[KEY_LEN];

	memset(dek, fill, sizeof(dek));
	return keyring_add(k, generation, dek) == 0;
}

/* A ring of one generation, 1. NULL on failure; the caller frees it with keyring_free. */
static inline struct keyring *ring_make(uint8_t fill)
{
	struct keyring *k;

	if (keyring_new(&k) < 0)
		return NULL;
	if (!ring_add(k, 1, fill)) {
		keyring_free(k);
		return NULL;
	}
	return k;
}

#endif
