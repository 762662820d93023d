/* SPDX-License-Identifier: Apache-2.0 */

/* Headers and single records, in buffers: what comes out is what went in, or -EBADMSG. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob/record.h"
#include "util/bytes.h"

static const uint8_t key_bytes[KEY_LEN] = "an aes key of a test, 32 bytes.";
static const uint8_t nonce[NONCE_LEN] = "twelve bytes";

struct fixture {
	struct aead *key;
	uint8_t clear[CLEAR_HEADER_LEN];
	struct inner_header inner;
	uint8_t data[CAP_RECORD], rec[RECORD_SIZE], back[CAP_RECORD];
};

static struct fixture *make(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct clear_header h = {.generation = 3};

	assert_non_null(f);
	assert_int_equal(aead_new(key_bytes, &f->key), 0);
	memset(h.wrapped, 0xab, sizeof(h.wrapped));
	clear_header_encode(&h, f->clear);
	f->inner = (struct inner_header){
		.size = 123456789, .epoch = 42, .flags = INNER_SPARSE, .writes = 99};
	for (size_t i = 0; i < sizeof(f->data); i++)
		f->data[i] = (uint8_t)(i * 7 + 1);
	return f;
}

static void drop(struct fixture *f)
{
	aead_free(f->key);
	free(f);
}

static int seal(struct fixture *f, uint64_t k, uint32_t len)
{
	return record_seal(f->key, k, f->clear, &f->inner, nonce, f->data, len, f->rec);
}

static void test_round_trip(void **state)
{
	static const uint64_t numbers[] = {0, 1, 2, 3, 1u << 20, UINT64_C(1) << 50};
	struct fixture *f = make();

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t k = numbers[i];
		const uint32_t lens[] = {0, 1, 100, record_capacity(k) - 1, record_capacity(k)};

		for (size_t j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
			struct inner_header inner = {.size = 0};

			assert_int_equal(seal(f, k, lens[j]), 0);
			assert_int_equal(record_length(k, f->rec), lens[j]);
			memset(f->back, 0xee, sizeof(f->back));
			assert_int_equal(
				record_open(f->key, k, f->rec, lens[j], f->back, &inner), 0);
			assert_memory_equal(f->back, f->data, lens[j]);
			/* Not a byte more. */
			for (size_t b = lens[j]; b < sizeof(f->back); b++)
				assert_int_equal(f->back[b], 0xee);
			if (k == 0)
				assert_memory_equal(&inner, &f->inner, sizeof(inner));
			if (k < 2)
				assert_memory_equal(f->rec, f->clear, sizeof(f->clear));
		}
		assert_int_equal(seal(f, k, record_capacity(k) + 1), -EINVAL);
	}
	drop(f);
}

static void test_every_bit(void **state)
{
	struct fixture *f = make();
	struct inner_header inner;

	(void)state;
	for (uint64_t k = 0; k < 3; k++) {
		assert_int_equal(seal(f, k, 1000), 0);
		for (size_t bit = 0; bit < 8 * RECORD_SIZE; bit++) {
			f->rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(
				record_open(f->key, k, f->rec, 1000, f->back, &inner), -EBADMSG);
			f->rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(record_open(f->key, k, f->rec, 1000, f->back, &inner), 0);
	}
	drop(f);
}

static void test_elsewhere(void **state)
{
	struct fixture *f = make();
	struct inner_header inner;
	uint8_t other[KEY_LEN] = {1};
	struct aead *key;

	(void)state;
	assert_int_equal(aead_new(other, &key), 0);
	for (uint64_t k = 0; k < 5; k++) {
		assert_int_equal(seal(f, k, 500), 0);
		for (uint64_t at = 0; at < 8; at++)
			assert_int_equal(record_open(f->key, at, f->rec, 500, f->back, &inner),
				at == k ? 0 : -EBADMSG);
		assert_int_equal(record_open(key, k, f->rec, 500, f->back, &inner), -EBADMSG);
		assert_int_equal(record_open(f->key, k, f->rec, 499, f->back, &inner), -EBADMSG);
		assert_int_equal(record_open(f->key, k, f->rec, 501, f->back, &inner), -EBADMSG);
		assert_int_equal(record_open(f->key, k, f->rec, 70000, f->back, &inner), -EBADMSG);
	}
	memset(f->rec, 0, RECORD_SIZE);
	for (uint64_t k = 0; k < 3; k++)
		assert_int_equal(record_open(f->key, k, f->rec, 0, f->back, &inner), -EBADMSG);
	aead_free(key);
	drop(f);
}

static void test_clear_header(void **state)
{
	struct clear_header h = {.generation = 7}, back;
	uint8_t buf[CLEAR_HEADER_LEN];

	(void)state;
	memset(h.wrapped, 1, sizeof(h.wrapped));
	clear_header_encode(&h, buf);
	assert_int_equal(clear_header_decode(buf, &back), 0);
	assert_memory_equal(&h, &back, sizeof(h));
	h.second_generation = 8;
	memset(h.second_wrapped, 2, sizeof(h.second_wrapped));
	clear_header_encode(&h, buf);
	assert_int_equal(clear_header_decode(buf, &back), 0);
	assert_memory_equal(&h, &back, sizeof(h));
	for (size_t i = 0; i < 8; i++) {
		buf[i] ^= 1;
		assert_int_equal(clear_header_decode(buf, &back), -EBADMSG);
		buf[i] ^= 1;
	}
	for (size_t i = 8; i < 16; i++) {
		buf[i] ^= 4;
		assert_int_equal(clear_header_decode(buf, &back), -EPROTONOSUPPORT);
		buf[i] ^= 4;
	}
	for (size_t i = 104; i < CLEAR_HEADER_LEN; i++) {
		buf[i] = 1;
		assert_int_equal(clear_header_decode(buf, &back), -EBADMSG);
		buf[i] = 0;
	}
	put_le32(buf + 60, 0); /* a second key without its generation */
	assert_int_equal(clear_header_decode(buf, &back), -EBADMSG);
	put_le32(buf + 60, 8);
	put_le32(buf + 16, 0);
	assert_int_equal(clear_header_decode(buf, &back), -EBADMSG);
}

static void test_inner_header(void **state)
{
	struct inner_header h = {.size = SIZE_MAX_PLAIN, .epoch = UINT64_MAX, .writes = 1}, back;
	uint8_t buf[INNER_HEADER_LEN];

	(void)state;
	inner_header_encode(&h, buf);
	assert_int_equal(inner_header_decode(buf, &back), 0);
	assert_int_equal(back.size, h.size);
	assert_int_equal(back.epoch, h.epoch);
	assert_int_equal(back.flags, 0);
	assert_int_equal(back.writes, 1);
	buf[16] = 2;
	assert_int_equal(inner_header_decode(buf, &back), -EPROTONOSUPPORT);
	buf[16] = 0;
	buf[31] = 1;
	assert_int_equal(inner_header_decode(buf, &back), -EBADMSG);
	buf[31] = 0;
	put_le64(buf, SIZE_MAX_PLAIN + 1);
	assert_int_equal(inner_header_decode(buf, &back), -EBADMSG);
}

/* The format, byte by byte: made by another implementation of coffer-format(5), and to be readable
 * for ever. */
static void test_known_answer(void **state)
{
	struct fixture *f = make();
	uint8_t digest[HASH_LEN];
	struct {
		uint64_t k;
		const char *sha256;
	} known[] = {
		{0, "582875c0b1cc2f3ec4c04e3d0f4b8a54b9abb1af0e7c9c9aa8f3afc07586de0f"},
		{1, "96d8409ce4854f80b0cf87d5a1af291ef5701a82340630d89755d90e82332347"},
		{2, "abad99a6926d6b439adff8481cba61d86015ef84bee20114198c4f4896d34937"},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char hex[2 * HASH_LEN + 1];

		assert_int_equal(seal(f, known[i].k, 1000), 0);
		assert_int_equal(sha256(f->rec, RECORD_SIZE, digest), 0);
		for (size_t b = 0; b < HASH_LEN; b++)
			snprintf(hex + 2 * b, 3, "%02x", digest[b]);
		assert_string_equal(hex, known[i].sha256);
	}
	drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_clear_header),
		cmocka_unit_test(test_inner_header),
		cmocka_unit_test(test_known_answer),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
