/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "hex.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void assert_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], 0);
}

/* ---- random ---- */

static void random_differs(void **state)
{
	uint8_t a[64] = {0}, b[64] = {0};

	(void)state;
	assert_int_equal(random_bytes(a, sizeof(a)), 0);
	assert_int_equal(random_bytes(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(random_bytes(a, 0), 0);
}

static void random_fills_the_end(void **state)
{
	/* getrandom gives at most 32 MiB - 1 in one call, and may be interrupted above 256 bytes.
	 */
	size_t len = ((size_t)33 << 20) + 7;
	uint8_t *p = calloc(1, len);
	uint8_t tail = 0;

	(void)state;
	assert_non_null(p);
	assert_int_equal(random_bytes(p, len), 0);
	for (size_t i = len - 64; i < len; i++)
		tail |= p[i];
	assert_int_not_equal(tail, 0);
	free(p);
}

static void equal_ct(void **state)
{
	(void)state;
	assert_true(bytes_equal_ct("abcd", "abcd", 4));
	assert_false(bytes_equal_ct("abcd", "abce", 4));
	assert_false(bytes_equal_ct("abcd", "bbcd", 4));
	assert_true(bytes_equal_ct("a", "b", 0));
}

/* ---- hashes ---- */

/* FIPS 180-4 examples. */
static void sha256_vectors(void **state)
{
	static const struct {
		const char *in, *out;
	} v[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) {
		uint8_t want[HASH_LEN], got[HASH_LEN];

		unhex(v[i].out, want);
		assert_int_equal(sha256(v[i].in, strlen(v[i].in), got), 0);
		assert_memory_equal(got, want, HASH_LEN);
	}
}

/* RFC 4231, test cases 1 and 2: HMAC fills short keys up with zeros, so ours of 32 bytes are the
 * same. */
static void hmac_vectors(void **state)
{
	uint8_t key[KEY_LEN] = {0}, want[HASH_LEN], got[HASH_LEN];

	(void)state;
	memset(key, 0x0b, 20);
	unhex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", want);
	assert_int_equal(hmac_sha256(key, "Hi There", 8, got), 0);
	assert_memory_equal(got, want, HASH_LEN);

	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want);
	assert_int_equal(hmac_sha256(key, "what do ya want for nothing?", 28, got), 0);
	assert_memory_equal(got, want, HASH_LEN);

	/* An empty message, compared with RFC 2104 done by hand in another language. */
	memset(key, 0, sizeof(key));
	unhex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", want);
	assert_int_equal(hmac_sha256(key, NULL, 0, got), 0);
	assert_memory_equal(got, want, HASH_LEN);
}

static void hmac_tampering(void **state)
{
	uint8_t key[KEY_LEN] = {1}, a[HASH_LEN], b[HASH_LEN];

	(void)state;
	assert_int_equal(hmac_sha256(key, "message", 7, a), 0);
	assert_int_equal(hmac_sha256(key, "messagf", 7, b), 0);
	assert_false(bytes_equal_ct(a, b, HASH_LEN));
	key[31] = 1;
	assert_int_equal(hmac_sha256(key, "message", 7, b), 0);
	assert_false(bytes_equal_ct(a, b, HASH_LEN));
}

/* RFC 5869 test case 3 (no salt, no info); the second from a separate implementation (Python hmac).
 */
static void hkdf_vectors(void **state)
{
	uint8_t key[32], want[64], got[64];

	(void)state;
	memset(key, 0x0b, 22);
	unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c"
	      "8",
		want);
	assert_int_equal(hkdf_sha256(key, 22, "", got, 42), 0);
	assert_memory_equal(got, want, 42);

	for (int i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	unhex("00268f2f4de4a257018910dbb0afad72b29b2ae4803f548309a0b7d4254ff205"
	      "7c048c45edc78c0e0e0ad01e136c015c6f479598bf59317b11f7304891e9d1ba",
		want);
	assert_int_equal(hkdf_sha256(key, 32, "coffer test", got, 64), 0);
	assert_memory_equal(got, want, 64);
	assert_int_equal(hkdf_sha256(key, 32, "coffer tesu", got, 64), 0);
	assert_memory_not_equal(got, want, 64);
}

static void hkdf_bounds(void **state)
{
	static uint8_t out[255 * HASH_LEN + 1];
	uint8_t key[KEY_LEN] = {0};

	(void)state;
	assert_int_equal(hkdf_sha256(key, KEY_LEN, "x", out, 255 * HASH_LEN), 0);
	assert_int_equal(hkdf_sha256(key, KEY_LEN, "x", out, sizeof(out)), -EINVAL);
	assert_int_equal(hkdf_sha256(key, KEY_LEN, "x", out, 0), -EINVAL);
	assert_int_equal(hkdf_sha256(key, 0, "x", out, 32), -EINVAL);
}

/* RFC 7914 section 12, the first 32 of their 64 bytes: the last step (PBKDF2) makes one hash at a
 * time. */
static void scrypt_vectors(void **state)
{
	static const struct {
		const char *password, *salt;
		uint64_t n;
		uint32_t r, p;
		const char *out;
	} v[] = {
		{"", "", 16, 1, 1,
			"77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"},
		{"password", "NaCl", 1024, 8, 16,
			"fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"},
		{"pleaseletmein", "SodiumChloride", 16384, 8, 1,
			"7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) {
		uint8_t want[KEY_LEN], got[KEY_LEN];

		unhex(v[i].out, want);
		assert_int_equal(scrypt_derive(v[i].password, strlen(v[i].password),
					 (const uint8_t *)v[i].salt, strlen(v[i].salt), v[i].n,
					 v[i].r, v[i].p, got),
			0);
		assert_memory_equal(got, want, KEY_LEN);
	}
}

static void scrypt_bounds(void **state)
{
	static const struct {
		uint64_t n;
		uint32_t r, p;
	} bad[] = {
		{0, 8, 1},
		{1, 8, 1},
		{3, 8, 1},
		{(1 << 14) + 1, 8, 1},
		{16, 0, 1},
		{16, 8, 0},
		{65536, 1, 1},
		{UINT64_C(1) << 21, 8, 1}, /* 2 GiB */
		{UINT64_C(1) << 63, 8, 1},
		{UINT64_C(1) << 20, 9, 1}, /* just above 1 GiB */
		{2, UINT32_MAX, 1},
		{2, 1, UINT32_MAX},
		{2, 8, 1 << 20},
		{UINT64_C(1) << 20, 8, 5}, /* 1 GiB, five times */
		{UINT64_C(1) << 63, UINT32_MAX, UINT32_MAX},
	};
	uint8_t out[KEY_LEN], salt[16] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(scrypt_derive("x", 1, salt, sizeof(salt), bad[i].n, bad[i].r,
					 bad[i].p, out),
			-EINVAL);
}

/* ---- key wrap ---- */

static const char wrap_kek[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/* RFC 3394 sections 4.3, 4.5, 4.6: 128, 192 and 256 bits under a KEK of 256 bits. */
static void keywrap_vectors(void **state)
{
	static const struct {
		const char *in, *out;
	} v[] = {
		{"00112233445566778899aabbccddeeff",
			"64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
		{"00112233445566778899aabbccddeeff0001020304050607",
			"a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
		{"00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326"
			"cbc7f0e71a99f43bfb988b9b7a02dd21"},
	};
	uint8_t kek[KEY_LEN];

	(void)state;
	unhex(wrap_kek, kek);
	for (size_t i = 0; i < COUNT(v); i++) {
		uint8_t in[32], want[40], got[40], back[32];
		size_t n = unhex(v[i].in, in);

		unhex(v[i].out, want);
		assert_int_equal(keywrap(kek, in, n, got), 0);
		assert_memory_equal(got, want, n + 8);
		assert_int_equal(keyunwrap(kek, want, n + 8, back), 0);
		assert_memory_equal(back, in, n);
	}
}

static void keywrap_tampering(void **state)
{
	uint8_t kek[KEY_LEN], in[KEY_LEN] = {7}, wrapped[40], out[KEY_LEN];

	(void)state;
	unhex(wrap_kek, kek);
	assert_int_equal(keywrap(kek, in, KEY_LEN, wrapped), 0);
	for (size_t bit = 0; bit < 40 * 8; bit++) {
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(keyunwrap(kek, wrapped, 40, out), -EBADMSG);
		assert_zero(out, sizeof(out));
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	kek[0] ^= 1;
	assert_int_equal(keyunwrap(kek, wrapped, 40, out), -EBADMSG);
	kek[0] ^= 1;
	assert_int_equal(keyunwrap(kek, wrapped, 32, out), -EBADMSG);
	assert_int_equal(keyunwrap(kek, wrapped, 40, out), 0);
	assert_memory_equal(out, in, KEY_LEN);
}

static void keywrap_bounds(void **state)
{
	uint8_t kek[KEY_LEN] = {0}, in[144] = {0}, out[144], back[144];
	static const size_t bad[] = {0, 1, 7, 8, 12, 17, 31, 129, 136};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(keywrap(kek, in, bad[i], out), -EINVAL);
	for (size_t n = 16; n <= 128; n += 8) {
		assert_int_equal(keywrap(kek, in, n, out), 0);
		assert_int_equal(keyunwrap(kek, out, n + 8, back), 0);
		assert_memory_equal(back, in, n);
		assert_int_equal(keyunwrap(kek, out, n + 7, back), -EINVAL);
	}
	assert_int_equal(keyunwrap(kek, in, 0, back), -EINVAL);
	assert_int_equal(keyunwrap(kek, in, 8, back), -EINVAL);
	assert_int_equal(keyunwrap(kek, in, 16, back), -EINVAL);
	assert_int_equal(keyunwrap(kek, in, 144, back), -EINVAL);
}

/* ---- Ed25519 ---- */

/* RFC 8032 section 7.1, tests 1 to 3. */
static const struct ed_vector {
	const char *seed, *pub, *msg, *sig;
} ed_vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc6"
		"1e3970"
		"1cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e45"
		"8f3613"
		"d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae"
		"67f760"
		"984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void ed25519_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ed_vectors); i++) {
		uint8_t seed[32], pub[32], msg[8], want[64], got_pub[32], got[64];
		size_t len = unhex(ed_vectors[i].msg, msg);

		unhex(ed_vectors[i].seed, seed);
		unhex(ed_vectors[i].pub, pub);
		unhex(ed_vectors[i].sig, want);
		assert_int_equal(ed25519_public(seed, got_pub), 0);
		assert_memory_equal(got_pub, pub, 32);
		assert_int_equal(ed25519_sign(seed, msg, len, got), 0);
		assert_memory_equal(got, want, 64);
		assert_int_equal(ed25519_verify(pub, msg, len, want), 0);
	}
}

static void ed25519_tampering(void **state)
{
	uint8_t seed[32], pub[32], msg[2], sig[64];
	const struct ed_vector *v = &ed_vectors[2];

	(void)state;
	unhex(v->seed, seed);
	unhex(v->pub, pub);
	unhex(v->msg, msg);
	unhex(v->sig, sig);
	for (size_t bit = 0; bit < 64 * 8; bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ed25519_verify(pub, msg, 2, sig), -EBADMSG);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 32 * 8; bit++) {
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ed25519_verify(pub, msg, 2, sig), -EBADMSG);
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	msg[1] ^= 1;
	assert_int_equal(ed25519_verify(pub, msg, 2, sig), -EBADMSG);
	msg[1] ^= 1;
	assert_int_equal(ed25519_verify(pub, msg, 1, sig), -EBADMSG);
	assert_int_equal(ed25519_verify(pub, msg, 2, sig), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_differs),
		cmocka_unit_test(random_fills_the_end),
		cmocka_unit_test(equal_ct),
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(hmac_tampering),
		cmocka_unit_test(hkdf_vectors),
		cmocka_unit_test(hkdf_bounds),
		cmocka_unit_test(scrypt_vectors),
		cmocka_unit_test(scrypt_bounds),
		cmocka_unit_test(keywrap_vectors),
		cmocka_unit_test(keywrap_tampering),
		cmocka_unit_test(keywrap_bounds),
		cmocka_unit_test(ed25519_vectors),
		cmocka_unit_test(ed25519_tampering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
