/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "crypto/crypto.h"
#include "hex.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void assert_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], 0);
}

/* ---- AES-256-GCM ---- */

/* McGrew and Viega, "The Galois/Counter Mode of Operation" (basis of SP 800-38D), test cases 13
 * to 16. */
static const struct gcm_vector {
	const char *key, *nonce, *aad, *in, *out, *tag;
} gcm_vectors[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000",
		"000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000",
		"000000000000000000000000", "", "00000000000000000000000000000000",
		"cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		"cafebabefacedbaddecaf888", "",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
		"b094dac5d93471bdec1a502270e3cc6c"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		"cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void aead_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(gcm_vectors); i++) {
		const struct gcm_vector *v = &gcm_vectors[i];
		uint8_t key[KEY_LEN], nonce[NONCE_LEN], aad[32], in[64], want[64],
			want_tag[TAG_LEN];
		uint8_t got[64], tag[TAG_LEN];
		size_t aad_len = unhex(v->aad, aad), len = unhex(v->in, in);
		struct aead *a;

		unhex(v->key, key);
		unhex(v->nonce, nonce);
		unhex(v->out, want);
		unhex(v->tag, want_tag);
		assert_int_equal(aead_new(key, &a), 0);
		/* Twice: by a new context and by a ready one. */
		for (int again = 0; again < 2; again++) {
			assert_int_equal(aead_seal(a, nonce, aad, aad_len, in, len, got, tag), 0);
			assert_memory_equal(got, want, len);
			assert_memory_equal(tag, want_tag, TAG_LEN);
			memset(got, 0, sizeof(got));
			assert_int_equal(aead_open(a, nonce, aad, aad_len, want, len, got, tag), 0);
			assert_memory_equal(got, in, len);
		}
		/* In place. */
		memcpy(got, in, len);
		assert_int_equal(aead_seal(a, nonce, aad, aad_len, got, len, got, tag), 0);
		assert_memory_equal(got, want, len);
		assert_int_equal(aead_open(a, nonce, aad, aad_len, got, len, got, tag), 0);
		assert_memory_equal(got, in, len);
		aead_free(a);
	}
}

/* A sealed record of odd length with everything that was needed for it. */
struct sealed {
	struct aead *a;
	uint8_t nonce[NONCE_LEN], aad[10], tag[TAG_LEN], text[100], plain[100];
};

static void make_sealed(struct sealed *s)
{
	uint8_t key[KEY_LEN];

	assert_int_equal(random_bytes(key, sizeof(key)), 0);
	assert_int_equal(random_bytes(s->nonce, sizeof(s->nonce)), 0);
	assert_int_equal(random_bytes(s->aad, sizeof(s->aad)), 0);
	assert_int_equal(random_bytes(s->plain, sizeof(s->plain)), 0);
	assert_int_equal(aead_new(key, &s->a), 0);
	assert_int_equal(aead_seal(s->a, s->nonce, s->aad, sizeof(s->aad), s->plain,
				 sizeof(s->plain), s->text, s->tag),
		0);
}

static int open_sealed(const struct sealed *s, uint8_t *out)
{
	return aead_open(
		s->a, s->nonce, s->aad, sizeof(s->aad), s->text, sizeof(s->text), out, s->tag);
}

/* Every single bit of a part is flipped: refused each time, no plaintext left, and intact again
 * after. */
static void flip_each_bit(struct sealed *s, uint8_t *part, size_t len)
{
	uint8_t out[100];

	for (size_t bit = 0; bit < len * 8; bit++) {
		part[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(open_sealed(s, out), -EBADMSG);
		assert_zero(out, sizeof(out));
		part[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_sealed(s, out), 0);
	assert_memory_equal(out, s->plain, sizeof(out));
}

static void aead_tampered_nonce(void **state)
{
	struct sealed s;

	(void)state;
	make_sealed(&s);
	flip_each_bit(&s, s.nonce, sizeof(s.nonce));
	aead_free(s.a);
}

static void aead_tampered_aad(void **state)
{
	uint8_t out[100];
	struct sealed s;

	(void)state;
	make_sealed(&s);
	flip_each_bit(&s, s.aad, sizeof(s.aad));
	assert_int_equal(aead_open(s.a, s.nonce, s.aad, sizeof(s.aad) - 1, s.text, sizeof(s.text),
				 out, s.tag),
		-EBADMSG);
	assert_int_equal(
		aead_open(s.a, s.nonce, NULL, 0, s.text, sizeof(s.text), out, s.tag), -EBADMSG);
	aead_free(s.a);
}

static void aead_tampered_tag(void **state)
{
	struct sealed s;

	(void)state;
	make_sealed(&s);
	flip_each_bit(&s, s.tag, sizeof(s.tag));
	aead_free(s.a);
}

static void aead_tampered_data(void **state)
{
	uint8_t out[100];
	struct sealed s;

	(void)state;
	make_sealed(&s);
	flip_each_bit(&s, s.text, sizeof(s.text));
	for (size_t len = 0; len < sizeof(s.text); len++)
		assert_int_equal(
			aead_open(s.a, s.nonce, s.aad, sizeof(s.aad), s.text, len, out, s.tag),
			-EBADMSG);
	aead_free(s.a);
}

static void aead_tampered_in_place(void **state)
{
	struct sealed s;

	(void)state;
	make_sealed(&s);
	s.tag[3] ^= 4;
	assert_int_equal(open_sealed(&s, s.text), -EBADMSG);
	assert_zero(s.text, sizeof(s.text));
	aead_free(s.a);
}

static void aead_other_key(void **state)
{
	uint8_t out[100], key[KEY_LEN] = {0};
	struct aead *other;
	struct sealed s;

	(void)state;
	make_sealed(&s);
	assert_int_equal(aead_new(key, &other), 0);
	assert_int_equal(
		aead_open(other, s.nonce, s.aad, sizeof(s.aad), s.text, sizeof(s.text), out, s.tag),
		-EBADMSG);
	assert_zero(out, sizeof(out));
	assert_int_equal(open_sealed(&s, out), 0);
	aead_free(other);
	aead_free(s.a);
}

static void aead_bounds(void **state)
{
	uint8_t key[KEY_LEN] = {0}, nonce[NONCE_LEN] = {0}, tag[TAG_LEN], b = 0;
	struct aead *a;

	(void)state;
	assert_int_equal(aead_new(key, &a), 0);
	assert_int_equal(aead_seal(a, nonce, NULL, 0, &b, (size_t)1 << 31, &b, tag), -EINVAL);
	assert_int_equal(aead_seal(a, nonce, &b, (size_t)1 << 32, &b, 1, &b, tag), -EINVAL);
	assert_int_equal(aead_seal(a, nonce, NULL, 0, NULL, 0, NULL, tag), 0);
	assert_int_equal(aead_open(a, nonce, NULL, 0, NULL, 0, NULL, tag), 0);
	tag[0] ^= 1;
	assert_int_equal(aead_open(a, nonce, NULL, 0, NULL, 0, NULL, tag), -EBADMSG);
	aead_free(a);
	aead_free(NULL);
}

/* More keys than a thread keeps contexts for, in turn: each is what its key alone gives. */
static void check_many_keys(void)
{
	enum { KEYS = 13 };
	uint8_t nonce[NONCE_LEN] = {0}, zeros[48] = {0}, first[KEYS][48], got[48],
		tags[KEYS][TAG_LEN];
	struct aead *a[KEYS];

	for (int i = 0; i < KEYS; i++) {
		uint8_t key[KEY_LEN] = {0};

		key[0] = (uint8_t)i;
		assert_int_equal(aead_new(key, &a[i]), 0);
		assert_int_equal(aead_seal(a[i], nonce, NULL, 0, zeros, 48, first[i], tags[i]), 0);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(first[i], first[j], 48);
	}
	for (int step = 1; step < KEYS; step++) {
		for (int i = 0, k = 0; i < KEYS; i++, k = (k + step) % KEYS) {
			assert_int_equal(
				aead_open(a[k], nonce, NULL, 0, first[k], 48, got, tags[k]), 0);
			assert_zero(got, 48);
		}
	}
	/* A handle made where another lay must not meet the other's contexts. */
	for (int i = 0; i < KEYS; i++) {
		uint8_t key[KEY_LEN] = {0}, tag[TAG_LEN];

		key[0] = (uint8_t)(KEYS - 1 - i);
		aead_free(a[i]);
		assert_int_equal(aead_new(key, &a[i]), 0);
		assert_int_equal(aead_seal(a[i], nonce, NULL, 0, zeros, 48, got, tag), 0);
		assert_memory_equal(got, first[KEYS - 1 - i], 48);
		assert_memory_equal(tag, tags[KEYS - 1 - i], TAG_LEN);
	}
	for (int i = 0; i < KEYS; i++)
		aead_free(a[i]);
}

static void aead_many_keys(void **state)
{
	(void)state;
	check_many_keys();
}

/* ---- AES-256-SIV ---- */

/*
 * From a separate implementation of RFC 5297 (in Python, over the AES block function alone), which
 * reproduces the RFC's appendix A.1 and A.2 for AES-128. The inputs are the RFC's with a longer
 * key.
 */
static const char siv_key[] = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0"
			      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
static const struct siv_vector {
	const char *aad[4];
	const char *in, *out;
} siv_vectors[] = {
	{{NULL}, "61", "808189ad5f3fbe37d4991d60b80e77b79e"},
	{{"101112131415161718191a1b1c1d1e1f2021222324252627"}, "112233445566778899aabbccddee",
		"59e71a7723eaa441e91cb355cdeaba2bd8e6989f7432132216ed3cb8d1c5"},
	{{"00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
		 "102030405060708090a0", "09f911029d74e35bd84156c5635688c0"},
		"7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e672053"
		"49562d41"
		"4553",
		"1f74c3f617fc93c7244fe63734ad410a3c7a54909d89276126c02db38ea27ed4f58ce68d0e3cf2653c"
		"5f689923"
		"a8c8f5ed4969fdc873d91e54787ebc51e9f6"},
	{{"000102030405060708090a0b0c0d0e0f"}, "404142434445464748494a4b4c4d4e4f",
		"9b14addf7d3862e12c8f9ca5a16896aea3bd75588b5135ab16b24e2c0d385dc8"},
};

static int split_aad(const struct siv_vector *v, uint8_t buf[4][64], struct iovec aad[4])
{
	int n = 0;

	while (n < 4 && v->aad[n]) {
		aad[n].iov_base = buf[n];
		aad[n].iov_len = unhex(v->aad[n], buf[n]);
		n++;
	}
	return n;
}

static struct siv *make_siv(void)
{
	uint8_t key[SIV_KEY_LEN];
	struct siv *s;

	unhex(siv_key, key);
	assert_int_equal(siv_new(key, &s), 0);
	return s;
}

static void siv_vectors_match(void **state)
{
	struct siv *s = make_siv();

	(void)state;
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < COUNT(siv_vectors); i++) {
			uint8_t aad_buf[4][64], in[64], want[80], got[80], back[64];
			struct iovec aad[4];
			int n = split_aad(&siv_vectors[i], aad_buf, aad);
			size_t len = unhex(siv_vectors[i].in, in);

			unhex(siv_vectors[i].out, want);
			assert_int_equal(siv_seal(s, aad, n, in, len, got), 0);
			assert_memory_equal(got, want, len + SIV_LEN);
			assert_int_equal(siv_open(s, aad, n, want, len + SIV_LEN, back), 0);
			assert_memory_equal(back, in, len);
		}
	}
	siv_free(s);
	siv_free(NULL);
}

/* Four components and 255 bytes: the longest name. The first 32 and last 16 bytes of the vector. */
static void siv_longest(void **state)
{
	struct iovec aad[4] = {{(void *)"a", 1}, {(void *)"bc", 2}, {(void *)"def", 3},
		{(void *)"0123456789abcdef", 16}};
	uint8_t in[255] = {0}, out[255 + SIV_LEN], want[32], back[255];
	struct siv *s = make_siv();

	(void)state;
	assert_int_equal(siv_seal(s, aad, 4, in, sizeof(in), out), 0);
	unhex("5574133b5bb67cdc0c77e51b898cc3788f24adfd6b2947db435fc853edd2c7b3", want);
	assert_memory_equal(out, want, 32);
	unhex("3f446fbdae927629375bcd809f9aa03b", want);
	assert_memory_equal(out + sizeof(out) - 16, want, 16);
	assert_int_equal(siv_open(s, aad, 4, out, sizeof(out), back), 0);
	assert_memory_equal(back, in, sizeof(in));
	siv_free(s);
}

static void siv_tampering(void **state)
{
	uint8_t name[20] = "a name of some bytes", id[16] = {5}, sealed[36], out[20];
	struct iovec aad[2] = {{(void *)"label", 5}, {id, sizeof(id)}}, swapped[2];
	struct siv *s = make_siv();

	(void)state;
	assert_int_equal(siv_seal(s, aad, 2, name, sizeof(name), sealed), 0);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(siv_open(s, aad, 2, sealed, sizeof(sealed), out), -EBADMSG);
		assert_zero(out, sizeof(out));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < sizeof(id) * 8; bit++) {
		id[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(siv_open(s, aad, 2, sealed, sizeof(sealed), out), -EBADMSG);
		id[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* Components are not just put together: their order, number and borders count. */
	swapped[0] = aad[1];
	swapped[1] = aad[0];
	assert_int_equal(siv_open(s, swapped, 2, sealed, sizeof(sealed), out), -EBADMSG);
	assert_int_equal(siv_open(s, aad, 1, sealed, sizeof(sealed), out), -EBADMSG);
	assert_int_equal(siv_open(s, aad, 0, sealed, sizeof(sealed), out), -EBADMSG);
	for (size_t len = SIV_LEN + 1; len < sizeof(sealed); len++)
		assert_int_equal(siv_open(s, aad, 2, sealed, len, out), -EBADMSG);
	assert_int_equal(siv_open(s, aad, 2, sealed, sizeof(sealed), out), 0);
	assert_memory_equal(out, name, sizeof(name));
	siv_free(s);
}

static void siv_other_key(void **state)
{
	static const size_t halves[] = {0, 31, 32, 63};
	uint8_t key[SIV_KEY_LEN], sealed[SIV_LEN + 4], out[4];
	struct siv *s = make_siv(), *other;

	(void)state;
	assert_int_equal(siv_seal(s, NULL, 0, "name", 4, sealed), 0);
	for (size_t i = 0; i < COUNT(halves); i++) {
		unhex(siv_key, key);
		key[halves[i]] ^= 1;
		assert_int_equal(siv_new(key, &other), 0);
		assert_int_equal(siv_open(other, NULL, 0, sealed, sizeof(sealed), out), -EBADMSG);
		siv_free(other);
	}
	assert_int_equal(siv_open(s, NULL, 0, sealed, sizeof(sealed), out), 0);
	assert_memory_equal(out, "name", 4);
	siv_free(s);
}

static void siv_bounds(void **state)
{
	struct iovec aad[5] = {{(void *)"a", 1}, {(void *)"b", 1}, {(void *)"c", 1},
		{(void *)"d", 1}, {(void *)"e", 1}};
	struct iovec empty = {(void *)"", 0};
	uint8_t out[64], in[64] = {0};
	struct siv *s = make_siv();

	(void)state;
	assert_int_equal(siv_seal(s, NULL, 0, in, 0, out), -EINVAL);
	assert_int_equal(siv_seal(s, aad, 5, in, 1, out), -EINVAL);
	assert_int_equal(siv_seal(s, aad, -1, in, 1, out), -EINVAL);
	assert_int_equal(siv_seal(s, &empty, 1, in, 1, out), -EINVAL);
	assert_int_equal(siv_seal(s, NULL, 0, in, (size_t)1 << 31, out), -EINVAL);
	for (size_t len = 0; len <= SIV_LEN; len++)
		assert_int_equal(siv_open(s, NULL, 0, in, len, out), -EINVAL);
	siv_free(s);
}

/* As with aead: more keys than contexts, in turn. */
static void siv_many_keys(void **state)
{
	enum { KEYS = 7 };
	uint8_t key[SIV_KEY_LEN], sealed[KEYS][SIV_LEN + 4], out[SIV_LEN + 4];
	struct siv *s[KEYS];

	(void)state;
	unhex(siv_key, key);
	for (int i = 0; i < KEYS; i++) {
		key[5] = (uint8_t)i;
		assert_int_equal(siv_new(key, &s[i]), 0);
		assert_int_equal(siv_seal(s[i], NULL, 0, "name", 4, sealed[i]), 0);
	}
	for (int step = 1; step < KEYS; step++) {
		for (int i = 0, k = 0; i < KEYS; i++, k = (k + step) % KEYS) {
			int next = (k + 1) % KEYS;

			assert_int_equal(siv_seal(s[k], NULL, 0, "name", 4, out), 0);
			assert_memory_equal(out, sealed[k], sizeof(out));
			assert_int_equal(siv_open(s[k], NULL, 0, sealed[k], sizeof(out), out), 0);
			assert_memory_equal(out, "name", 4);
			assert_int_equal(
				siv_open(s[k], NULL, 0, sealed[next], sizeof(out), out), -EBADMSG);
		}
	}
	for (int i = 0; i < KEYS; i++)
		siv_free(s[i]);
}

/* ---- threads ---- */

struct shared {
	struct aead *a;
	struct siv *s;
	uint8_t sealed[SIV_LEN + 9];
};

static void *use_shared(void *arg)
{
	const struct shared *sh = arg;
	uint8_t plain[256], text[256], tag[TAG_LEN], nonce[NONCE_LEN], name[9];

	for (int i = 0; i < 500; i++) {
		if (random_bytes(nonce, sizeof(nonce)) < 0)
			return (void *)"random_bytes";
		memset(plain, i, sizeof(plain));
		if (aead_seal(sh->a, nonce, &i, sizeof(i), plain, sizeof(plain), text, tag) < 0)
			return (void *)"aead_seal";
		if (aead_open(sh->a, nonce, &i, sizeof(i), text, sizeof(text), text, tag) < 0 ||
			memcmp(text, plain, sizeof(text)) != 0)
			return (void *)"aead_open";
		if (siv_open(sh->s, NULL, 0, sh->sealed, sizeof(sh->sealed), name) < 0 ||
			memcmp(name, "some name", 9) != 0)
			return (void *)"siv_open";
	}
	return NULL;
}

static void threads_share_handles(void **state)
{
	uint8_t key[KEY_LEN] = {9};
	struct shared sh = {.s = make_siv()};
	pthread_t threads[8];

	(void)state;
	assert_int_equal(aead_new(key, &sh.a), 0);
	assert_int_equal(siv_seal(sh.s, NULL, 0, "some name", 9, sh.sealed), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_shared, &sh), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed = &sh;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	aead_free(sh.a);
	siv_free(sh.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aead_vectors),
		cmocka_unit_test(aead_tampered_nonce),
		cmocka_unit_test(aead_tampered_aad),
		cmocka_unit_test(aead_tampered_tag),
		cmocka_unit_test(aead_tampered_data),
		cmocka_unit_test(aead_tampered_in_place),
		cmocka_unit_test(aead_other_key),
		cmocka_unit_test(aead_bounds),
		cmocka_unit_test(aead_many_keys),
		cmocka_unit_test(siv_vectors_match),
		cmocka_unit_test(siv_longest),
		cmocka_unit_test(siv_tampering),
		cmocka_unit_test(siv_other_key),
		cmocka_unit_test(siv_bounds),
		cmocka_unit_test(siv_many_keys),
		cmocka_unit_test(threads_share_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
