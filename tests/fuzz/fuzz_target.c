/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a symlink's text, a reference, a target's file, and an attribute's stored name and
 * value. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_ring.h"
#include "name/target.h"
#include "name/xattr_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_text(const struct keyring *k, const char *text, size_t size)
{
	char out[TARGET_MAX + 1];
	struct target_ref ref;
	ssize_t n = target_decrypt(k, text, size, out);

	/* What lstat told from the size alone must be what readlink then shows. */
	if (n >= 0 && (n != target_plain_size(size) || strlen(out) != (size_t)n))
		abort();
	if (target_ref_parse(text, size, &ref) == 0 &&
		(target_plain_size(size) != -EAGAIN || target_is_inline(ref.length) ||
			ref.length > TARGET_MAX || strlen(ref.id) != TARGET_ID_LEN))
		abort();
}

/* As a target to be stored: comes back whole. */
static void fuzz_plain(const struct keyring *k, const char *target, size_t size)
{
	char text[TARGET_TEXT_MAX + 1], out[TARGET_MAX + 1];

	if (target_encrypt(k, target, size, text) != 0)
		return;
	if (target_decrypt(k, text, strlen(text), out) != (ssize_t)size ||
		memcmp(out, target, size) != 0)
		abort();
}

static void fuzz_file(const struct keyring *k, const uint8_t *data, size_t size)
{
	struct target_ref ref = {.id = "AAAAAAAAAAAAAAAAAAAAAA"};
	char out[TARGET_MAX + 1];

	ref.length = size > TARGET_SEALED_LEN(0) ? (uint32_t)(size - TARGET_SEALED_LEN(0)) : 1;
	/* Nothing sealed comes from a fuzzer that has no key. */
	if (target_open(k, &ref, data, size, out) >= 0)
		abort();
}

/* Text before the first zero is a stored attribute's name, the rest its value. */
static void fuzz_xattr(const struct keyring *k, const uint8_t *data, size_t size)
{
	const uint8_t *zero = memchr(data, 0, size);
	char plain[XATTR_PLAIN_MAX + 1], value[256];
	struct xattr_name stored, known;
	size_t value_len;

	if (!zero || zero - data > 255)
		return;
	value_len = size - (size_t)(zero - data) - 1;
	if (xattr_name_open(k, (const char *)data, zero + 1, value_len, plain) == 0 &&
		(xattr_name_seal(k, 1, plain, &stored) != 0 ||
			strcmp(stored.name, (const char *)data) != 0))
		abort();
	if (xattr_name_seal(k, 1, "a name", &known) != 0 ||
		xattr_value_open(k, &known, "a name", zero + 1, value_len, value, sizeof(value)) >=
			0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct keyring *k = fuzz_ring();

	fuzz_text(k, (const char *)data, size);
	fuzz_plain(k, (const char *)data, size);
	fuzz_file(k, data, size);
	fuzz_xattr(k, data, size);
	return 0;
}
