/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "crypto/keyring.h"
#include "hex.h"

/* DEKs of which everything below is known: byte i is i + first. */
static void make_dek(uint8_t dek[KEY_LEN], uint8_t first)
{
	for (int i = 0; i < KEY_LEN; i++)
		dek[i] = (uint8_t)(first + i);
}

static struct keyring *make_ring(void)
{
	uint8_t dek[KEY_LEN];
	struct keyring *k;

	make_dek(dek, 0);
	assert_int_equal(keyring_new(&k), 0);
	assert_int_equal(keyring_add(k, 1, dek), 0);
	return k;
}

static void empty_ring(void **state)
{
	uint8_t buf[KEY_LEN + KEYWRAP_EXTRA] = {0}, out[KEY_LEN + KEYWRAP_EXTRA];
	struct keyring *k;

	(void)state;
	assert_int_equal(keyring_new(&k), 0);
	assert_int_equal(keyring_current(k), 0);
	assert_null(keyring_names(k, 0));
	assert_null(keyring_names(k, 1));
	assert_null(keyring_targets(k, 1));
	assert_null(keyring_xattr_names(k, 1));
	assert_null(keyring_xattr_values(k, 1));
	assert_int_equal(keyring_wrap_file_key(k, 1, buf, out), -ENOKEY);
	assert_int_equal(keyring_unwrap_file_key(k, 1, buf, out), -ENOKEY);
	assert_int_equal(keyring_mac_state(k, 1, "x", 1, out), -ENOKEY);
	keyring_free(k);
	keyring_free(NULL);
}

/*
 * Frozen: a repository's names and keys are made with these. Expected values from a separate
 * implementation of HKDF, RFC 5297 and RFC 3394 in Python, by the labels in coffer-format(5).
 */
static void derivation_is_frozen(void **state)
{
	static const char *const sealed[] = {
		"8db2c7f608d30e9195e6928378c923190a4df75ef1", /* names */
		"bb9601065fa85a7fbb5d365f9b41c2a76671347146", /* symlink targets */
		"ede0e4ff79abf6f3cb2bf58357b936c6a1af048dd9", /* xattr names */
		"e3eb1f2729faa356c9bc724ea81c78d0a1ae591448", /* xattr values */
	};
	uint8_t id[16], want[48], got[48], file_key[KEY_LEN];
	struct iovec aad = {id, sizeof(id)};
	struct keyring *k = make_ring();
	const struct siv *sivs[] = {keyring_names(k, 1), keyring_targets(k, 1),
		keyring_xattr_names(k, 1), keyring_xattr_values(k, 1)};

	(void)state;
	for (int i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	for (int i = 0; i < 4; i++) {
		size_t n = unhex(sealed[i], want);

		assert_int_equal(siv_seal(sivs[i], &aad, 1, "hello", 5, got), 0);
		assert_memory_equal(got, want, n);
	}
	make_dek(file_key, 0x20);
	unhex("79b71c093c5a09a44d11d07e2ec040abf5c08f472b18b6419e65b874fb90ef519ddb86aa6f04cbeb",
		want);
	assert_int_equal(keyring_wrap_file_key(k, 1, file_key, got), 0);
	assert_memory_equal(got, want, KEY_LEN + KEYWRAP_EXTRA);
	unhex("a9224da3c2e855a5b8e81c99e9eda9914330110858760ca3807f5409d4b5a470", want);
	assert_int_equal(keyring_mac_state(k, 1, "state", 5, got), 0);
	assert_memory_equal(got, want, HASH_LEN);
	keyring_free(k);
}

static void purposes_differ(void **state)
{
	uint8_t sealed[SIV_LEN + 5], out[5];
	struct keyring *k = make_ring();
	const struct siv *sivs[] = {keyring_names(k, 1), keyring_targets(k, 1),
		keyring_xattr_names(k, 1), keyring_xattr_values(k, 1)};

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(siv_seal(sivs[i], NULL, 0, "hello", 5, sealed), 0);
		for (int j = 0; j < 4; j++)
			assert_int_equal(siv_open(sivs[j], NULL, 0, sealed, sizeof(sealed), out),
				i == j ? 0 : -EBADMSG);
	}
	keyring_free(k);
}

static void generations(void **state)
{
	uint8_t dek[KEY_LEN], key[KEY_LEN], out[KEY_LEN], mac1[HASH_LEN], mac7[HASH_LEN];
	uint8_t wrapped1[KEY_LEN + KEYWRAP_EXTRA], wrapped7[KEY_LEN + KEYWRAP_EXTRA];
	struct keyring *k = make_ring();

	(void)state;
	make_dek(dek, 100);
	make_dek(key, 200);
	assert_int_equal(keyring_current(k), 1);
	/* Only upwards. */
	assert_int_equal(keyring_add(k, 0, dek), -EINVAL);
	assert_int_equal(keyring_add(k, 1, dek), -EINVAL);
	assert_int_equal(keyring_add(k, 7, dek), 0);
	assert_int_equal(keyring_add(k, 6, dek), -EINVAL);
	assert_int_equal(keyring_current(k), 7);
	assert_null(keyring_names(k, 2));
	assert_ptr_not_equal(keyring_names(k, 1), keyring_names(k, 7));

	assert_int_equal(keyring_wrap_file_key(k, 1, key, wrapped1), 0);
	assert_int_equal(keyring_wrap_file_key(k, 7, key, wrapped7), 0);
	assert_memory_not_equal(wrapped1, wrapped7, sizeof(wrapped1));
	assert_int_equal(keyring_unwrap_file_key(k, 1, wrapped1, out), 0);
	assert_memory_equal(out, key, KEY_LEN);
	assert_int_equal(keyring_unwrap_file_key(k, 7, wrapped7, out), 0);
	assert_memory_equal(out, key, KEY_LEN);
	assert_int_equal(keyring_unwrap_file_key(k, 7, wrapped1, out), -EBADMSG);
	assert_int_equal(keyring_unwrap_file_key(k, 2, wrapped1, out), -ENOKEY);
	assert_int_equal(keyring_mac_state(k, 1, "x", 1, mac1), 0);
	assert_int_equal(keyring_mac_state(k, 7, "x", 1, mac7), 0);
	assert_memory_not_equal(mac1, mac7, HASH_LEN);
	keyring_free(k);
}

static void file_key_tampering(void **state)
{
	uint8_t key[KEY_LEN], out[KEY_LEN], wrapped[KEY_LEN + KEYWRAP_EXTRA];
	struct keyring *k = make_ring();

	(void)state;
	make_dek(key, 50);
	assert_int_equal(keyring_wrap_file_key(k, 1, key, wrapped), 0);
	for (size_t i = 0; i < sizeof(wrapped); i++) {
		wrapped[i] ^= 0x10;
		assert_int_equal(keyring_unwrap_file_key(k, 1, wrapped, out), -EBADMSG);
		wrapped[i] ^= 0x10;
	}
	keyring_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_ring),
		cmocka_unit_test(derivation_is_frozen),
		cmocka_unit_test(purposes_differ),
		cmocka_unit_test(generations),
		cmocka_unit_test(file_key_tampering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
