/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as state/epoch: as they are, without a key, and with a MAC that fits. */
#include <stdlib.h>
#include <string.h>
#include "blob/epoch_file.h"
#include "fuzz_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is well-formed, and has one form only. */
static void check(const struct epoch_state *s, const uint8_t *in, size_t size)
{
	static uint8_t out[EPOCH_FILE_MAX];

	if (s->current == 0 || s->n > EPOCH_RANGES_MAX)
		abort();
	for (uint32_t i = 0; i < s->n; i++)
		if (s->ranges[i].first > s->ranges[i].last || s->ranges[i].last >= s->current)
			abort();
	if (epoch_file_encode(s, fuzz_ring(), out) != (int)size || memcmp(in, out, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct epoch_state s;
	static uint8_t in[EPOCH_FILE_MAX];

	(void)epoch_file_decode(data, size, NULL, &s);
	if (epoch_file_decode(data, size, fuzz_ring(), &s) == 0)
		check(&s, data, size);
	if (size < HASH_LEN || size > sizeof(in))
		return 0;
	memcpy(in, data, size);
	if (keyring_mac_state(fuzz_ring(), 1, in, size - HASH_LEN, in + size - HASH_LEN) < 0)
		abort();
	if (epoch_file_decode(in, size, fuzz_ring(), &s) == 0)
		check(&s, in, size);
	return 0;
}
