/* SPDX-License-Identifier: Apache-2.0 */
/* Symlink targets of every size, inline and by reference, and what must not pass for one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "name/target.h"
#include "ring.h"
#include "util/b64.h"
#include "util/bytes.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LAST_INLINE 714

static int setup(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srandom(seed);
	*state = ring_make(3);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	keyring_free(*state);
	return 0;
}

static void random_target(char *target, size_t len)
{
	for (size_t i = 0; i < len; i++)
		target[i] = (char)(1 + random() % 255);
	target[len] = 0;
}

static void inline_targets(void **state)
{
	const struct keyring *k = *state;
	char target[TARGET_MAX + 1], text[TARGET_TEXT_MAX + 1], again[TARGET_TEXT_MAX + 1];
	char out[TARGET_MAX + 1];

	for (size_t len = 1; len <= LAST_INLINE; len++) {
		random_target(target, len);
		assert_true(target_is_inline(len));
		assert_int_equal(target_encrypt(k, target, len, text), 0);
		assert_true(strlen(text) <= TARGET_TEXT_MAX);
		assert_int_equal(target_plain_size(strlen(text)), len);
		assert_int_equal(target_decrypt(k, text, strlen(text), out), len);
		assert_string_equal(out, target);
		/* Equal targets do not look equal. */
		assert_int_equal(target_encrypt(k, target, len, again), 0);
		assert_string_not_equal(text, again);
	}
	assert_false(target_is_inline(LAST_INLINE + 1));
	assert_int_equal(target_encrypt(k, target, LAST_INLINE + 1, text), -EINVAL);
	assert_int_equal(target_encrypt(k, target, 0, text), -EINVAL);
	assert_int_equal(target_encrypt(k, "a\0b", 3, text), -EINVAL);
}

static void targets_in_a_file(void **state)
{
	const struct keyring *k = *state;
	static uint8_t sealed[TARGET_SEALED_LEN(TARGET_MAX)];
	char target[TARGET_MAX + 2], out[TARGET_MAX + 1], text[TARGET_REF_LEN + 1];
	struct target_ref ref, parsed, other;

	for (size_t len = LAST_INLINE + 1; len <= TARGET_MAX; len++) {
		random_target(target, len);
		assert_false(target_is_inline(len));
		assert_int_equal(target_ref_new(len, &ref, text), 0);
		assert_int_equal(strlen(text), TARGET_REF_LEN);
		assert_int_equal(target_ref_parse(text, strlen(text), &parsed), 0);
		assert_string_equal(parsed.id, ref.id);
		assert_int_equal(parsed.length, len);
		assert_int_equal(target_seal(k, &ref, target, len, sealed), 0);
		assert_int_equal(target_open(k, &parsed, sealed, TARGET_SEALED_LEN(len), out), len);
		assert_string_equal(out, target);
	}
	/* Another reference's file, another length, a cut file. */
	assert_int_equal(target_ref_new(TARGET_MAX, &other, text), 0);
	assert_string_not_equal(other.id, ref.id);
	assert_int_equal(target_open(k, &other, sealed, sizeof(sealed), out), -EBADMSG);
	other = ref;
	other.length--;
	assert_int_equal(target_open(k, &other, sealed, sizeof(sealed), out), -EBADMSG);
	assert_int_equal(target_open(k, &other, sealed, sizeof(sealed) - 1, out), -EBADMSG);
	assert_int_equal(target_open(k, &ref, sealed, 0, out), -EBADMSG);
	for (size_t i = 4; i < sizeof(sealed); i += 41) {
		sealed[i] ^= 0x40;
		assert_int_equal(target_open(k, &ref, sealed, sizeof(sealed), out), -EBADMSG);
		sealed[i] ^= 0x40;
	}
	assert_int_equal(target_open(k, &ref, sealed, sizeof(sealed), out), TARGET_MAX);
	assert_int_equal(target_seal(k, &ref, target, TARGET_MAX - 1, sealed), -EINVAL);
	assert_int_equal(target_ref_new(TARGET_MAX + 1, &ref, text), -EINVAL);
	assert_int_equal(target_ref_new(LAST_INLINE, &ref, text), -EINVAL);
	assert_int_equal(target_ref_new(0, &ref, text), -EINVAL);
}

static void tampered_targets(void **state)
{
	struct keyring *k = *state;
	static const char with[] = "AQgw09-_=+/.@ \n";
	char text[TARGET_TEXT_MAX + 1], out[TARGET_MAX + 1], longer[TARGET_TEXT_MAX + 10];
	size_t len;

	assert_int_equal(target_encrypt(k, "../some/where", 13, text), 0);
	len = strlen(text);
	for (size_t at = 0; at < len; at++) {
		char kept = text[at];

		for (size_t w = 0; w < sizeof(with); w++) {
			ssize_t n;

			if (with[w] == kept)
				continue;
			text[at] = with[w];
			n = target_decrypt(k, text, len, out);
			/* The first characters hold the generation. */
			if (n != -EBADMSG && !(at < 6 && n == -ENOKEY))
				fail_msg("character %zu: %zd", at, n);
		}
		text[at] = kept;
		assert_int_equal(target_decrypt(k, text, at, out), -EBADMSG);
	}
	memset(longer, 'A', sizeof(longer));
	for (size_t n = 0; n <= sizeof(longer); n++)
		assert_true(target_decrypt(k, longer, n, out) < 0);
	assert_int_equal(target_decrypt(k, "@AAAAAAAAAAAAAAAAAAAAAA000fff", 29, out), -EBADMSG);
	/* A new generation opens what the old one sealed, and seals under its own. */
	assert_true(ring_add(k, 2, 99));
	assert_int_equal(target_decrypt(k, text, len, out), 13);
	assert_string_equal(out, "../some/where");
	assert_int_equal(target_encrypt(k, "x", 1, text), 0);
	assert_int_equal(strncmp(text, "AgAAA", 5), 0);
}

/* Sealed by somebody who has the key, with a zero inside: lstat and readlink would disagree. */
static void hostile_targets(void **state)
{
	const struct keyring *k = *state;
	uint8_t sealed[TARGET_SEALED_LEN(3)] = {0};
	const struct iovec aad[2] = {{(void *)"symlink", 7}, {sealed + 4, 16}};
	char text[100], out[TARGET_MAX + 1];

	put_le32(sealed, 1);
	assert_int_equal(siv_seal(keyring_targets(k, 1), aad, 2, "abc", 3, sealed + 20), 0);
	b64url_encode(sealed, sizeof(sealed), text);
	assert_int_equal(target_decrypt(k, text, strlen(text), out), 3);
	assert_int_equal(siv_seal(keyring_targets(k, 1), aad, 2, "a\0c", 3, sealed + 20), 0);
	b64url_encode(sealed, sizeof(sealed), text);
	assert_int_equal(target_decrypt(k, text, strlen(text), out), -EBADMSG);
}

/* The form on the disk must never change. The value was computed by another implementation
 * (pyca/cryptography). */
static void format_is_frozen(void **state)
{
	static const char text[] =
		"AQAAAAABAgMEBQYHCAkKCwwNDg_aU6iZfR2wTG6y9hMK1DBp984-BVWmPt0TeyE3tw";
	char out[TARGET_MAX + 1];

	assert_int_equal(target_decrypt(*state, text, strlen(text), out), 13);
	assert_string_equal(out, "../some/where");
}

static void sizes_tell_lengths(void **state)
{
	size_t expected = 1;

	(void)state;
	for (uint64_t size = 0; size < 1200; size++) {
		ssize_t n = target_plain_size(size);

		if (size == TARGET_REF_LEN) {
			assert_int_equal(n, -EAGAIN);
		} else if (size < B64_LEN(TARGET_SEALED_LEN(1)) || size > TARGET_TEXT_MAX ||
			   size % 4 == 1) {
			assert_int_equal(n, -EBADMSG);
		} else {
			/* Every length once, in order. */
			assert_int_equal(n, expected++);
			assert_int_equal(B64_LEN(TARGET_SEALED_LEN(n)), size);
		}
	}
	assert_int_equal(expected, LAST_INLINE + 1);
	assert_int_equal(target_plain_size(UINT64_MAX), -EBADMSG);
}

static void references_are_strict(void **state)
{
	static const char *const bad[] = {
		"",
		"@",
		"@AAAAAAAAAAAAAAAAAAAAAA0004",
		"@AAAAAAAAAAAAAAAAAAAAAA000FFF",
		"@AAAAAAAAAAAAAAAAAAAAAB000fff", /* trailing bits of the id */
		"#AAAAAAAAAAAAAAAAAAAAAA000fff",
		"@AAAAAAAAAA/AAAAAAAAAAA000fff",
		"@AAAAAAAAAA.AAAAAAAAAAA000fff",
		"@AAAAAAAAAAAAAAAAAAAAAA0 0fff",
		"@AAAAAAAAAAAAAAAAAAAAAA001000", /* too long */
		"@AAAAAAAAAAAAAAAAAAAAAAffffff",
		"@AAAAAAAAAAAAAAAAAAAAAA000000",
		"@AAAAAAAAAAAAAAAAAAAAAA0002ca", /* 714: inline */
		"@AAAAAAAAAAAAAAAAAAAAAA000fff0",
		"@AAAAAAAAAAAAAAAAAAAAAA-00fff",
	};
	struct target_ref ref = {.length = 5};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (target_ref_parse(bad[i], strlen(bad[i]), &ref) != -EBADMSG)
			fail_msg("%s was taken", bad[i]);
	}
	assert_int_equal(ref.length, 5);
	assert_int_equal(target_ref_parse("@AAAAAAAAAAAAAAAAAAAAAA000fff", 29, &ref), 0);
	assert_int_equal(ref.length, 4095);
	assert_string_equal(ref.id, "AAAAAAAAAAAAAAAAAAAAAA");
	assert_int_equal(target_ref_parse("@AAAAAAAAAAAAAAAAAAAAAA0002cb", 29, &ref), 0);
	assert_int_equal(ref.length, LAST_INLINE + 1);
}

int main(void)
{
#define TARGET(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TARGET(inline_targets),
		TARGET(targets_in_a_file),
		TARGET(tampered_targets),
		TARGET(hostile_targets),
		TARGET(format_is_frozen),
		cmocka_unit_test(sizes_tell_lengths),
		cmocka_unit_test(references_are_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
