/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sys/random.h>

#include "crypto/crypto.h"

int random_bytes(void *buf, size_t len)
{
	uint8_t *b = buf;

	while (len > 0) {
		/* Blocks only while the kernel has not been seeded since boot. */
		ssize_t n = getrandom(b, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b += n;
		len -= (size_t)n;
	}
	return 0;
}

bool bytes_equal_ct(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
