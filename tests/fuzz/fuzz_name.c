/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the text of an entry name: none but our own may come out, and those only in one way.
 */
#include <stdlib.h>
#include <string.h>
#include "fuzz_ring.h"
#include "name/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dirid dir = {.generation = 1, .id = "fuzzed directory"};
	const struct keyring *k = fuzz_ring();
	char out[NAME_MAX_PLAIN + 1];
	struct encname n;
	ssize_t len;

	len = name_decrypt(k, &dir, (const char *)data, size, out);
	if (len >= 0) {
		/* Whatever decrypts must be the very text that encrypting gives. */
		const char *text;

		if (name_encrypt(k, &dir, out, (size_t)len, &n) != 0)
			abort();
		text = n.is_long ? n.side_target : n.entry;
		if (strlen(text) != size || memcmp(text, data, size) != 0)
			abort();
	}
	/* The same bytes as a name: comes back, or cannot be one. */
	if (name_encrypt(k, &dir, (const char *)data, size, &n) == 0) {
		const char *text = n.is_long ? n.side_target : n.entry;

		if (name_decrypt(k, &dir, text, strlen(text), out) != (ssize_t)size ||
			memcmp(out, data, size) != 0)
			abort();
	}
	return 0;
}
