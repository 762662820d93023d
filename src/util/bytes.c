/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "util/bytes.h"

bool bytes_are_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t word;

	/* The first word decides nearly always; the rest is compared with itself, one word on. */
	if (len < sizeof(word)) {
		for (size_t i = 0; i < len; i++) {
			if (b[i])
				return false;
		}
		return true;
	}
	memcpy(&word, b, sizeof(word));
	return word == 0 && memcmp(b, b + sizeof(word), len - sizeof(word)) == 0;
}
