/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_RING_H
#define TESTS_FUZZ_FUZZ_RING_H

#include <stdlib.h>
#include "crypto/keyring.h"

/* A key ring of one generation with a fixed key, made once. */
static inline const struct keyring *fuzz_ring(void)
{
	static const uint8_t dek[KEY_LEN] = "a fixed key, good for nothing...";
	static struct keyring *ring;

	if (!ring && (keyring_new(&ring) < 0 || keyring_add(ring, 1, dek) < 0))
		abort();
	return ring;
}

#endif
