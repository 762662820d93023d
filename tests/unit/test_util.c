/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/b64.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- base64url ---- */

/* RFC 4648 section 10, without its padding; and the two characters that base64url is about. */
static void b64_vectors(void **state)
{
	static const struct {
		const char *in, *out;
	} v[] = {
		{"", ""},
		{"f", "Zg"},
		{"fo", "Zm8"},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg"},
		{"fooba", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "-_-_"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) {
		uint8_t back[8];
		char text[16];
		size_t len = strlen(v[i].in);

		assert_int_equal(b64url_encode(v[i].in, len, text), strlen(v[i].out));
		assert_string_equal(text, v[i].out);
		assert_int_equal(B64_LEN(len), strlen(v[i].out));
		assert_int_equal(b64url_decode(text, strlen(text), back), len);
		assert_memory_equal(back, v[i].in, len);
	}
}

static void b64_every_length(void **state)
{
	uint8_t in[300], back[300 + 1];
	char text[B64_LEN(300) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t n = b64url_encode(in, len, text);

		assert_int_equal(n, B64_LEN(len));
		assert_int_equal(text[n], '\0');
		assert_int_not_equal(n % 4, 1);
		memset(back, 0xee, sizeof(back));
		assert_int_equal(b64url_decode(text, n, back), len);
		assert_memory_equal(back, in, len);
		assert_int_equal(back[len], 0xee);
	}
}

static void b64_wrong_character(void **state)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t out[6];

	(void)state;
	for (int pos = 0; pos < 8; pos++) {
		for (int c = 0; c < 256; c++) {
			char text[] = "AAAAAAAA";
			bool valid = c != 0 && strchr(good, c) != NULL;

			text[pos] = (char)c;
			assert_int_equal(b64url_decode(text, 8, out), valid ? 6 : -EINVAL);
		}
	}
}

static void b64_wrong_form(void **state)
{
	static const char *const bad[] = {
		"A", /* no number of bytes gives a remainder of 1 */
		"AAAAA",
		"Zg==", /* padding */
		"Zm8=",
		"Zh", /* bits behind the last byte */
		"Zk",
		"Zv",
		"Z_",
		"Zm9",
		"Zm-",
		"Zm9vYh",
		" Zg", /* white space */
		"Zg\n",
		"Zm9v\n",
		"Zm 9v",
		"+/+/", /* the other alphabet */
		"Zm9v.mFy",
	};
	uint8_t out[8];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(b64url_decode(bad[i], strlen(bad[i]), out), -EINVAL);
}

/* No two texts of up to three characters stand for the same bytes. */
static void b64_is_unique(void **state)
{
	unsigned valid = 0;

	(void)state;
	for (int a = 0; a < 128; a++) {
		for (int b = 0; b < 128; b++) {
			char text[2] = {(char)a, (char)b}, again[4];
			uint8_t out[1];

			if (b64url_decode(text, 2, out) < 0)
				continue;
			valid++;
			b64url_encode(out, 1, again);
			assert_memory_equal(again, text, 2);
		}
	}
	assert_int_equal(valid, 256);
}

/* ---- bytes ---- */

static void little_endian(void **state)
{
	uint8_t buf[17];

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	put_le16(buf + 1, 0x0102);
	assert_memory_equal(buf, "\xee\x02\x01\xee", 4);
	assert_int_equal(get_le16(buf + 1), 0x0102);
	put_le32(buf + 1, 0x01020304);
	assert_memory_equal(buf, "\xee\x04\x03\x02\x01\xee", 6);
	assert_int_equal(get_le32(buf + 1), 0x01020304);
	put_le64(buf + 1, UINT64_C(0x0102030405060708));
	assert_memory_equal(buf, "\xee\x08\x07\x06\x05\x04\x03\x02\x01\xee", 10);
	assert_true(get_le64(buf + 1) == UINT64_C(0x0102030405060708));
	put_le64(buf, UINT64_MAX);
	assert_true(get_le64(buf) == UINT64_MAX);
	put_le32(buf, 0x80000000u);
	assert_true(get_le32(buf) == 0x80000000u);
	put_le16(buf, 0xffff);
	assert_int_equal(get_le16(buf), 0xffff);
}

static void zero_bytes(void **state)
{
	uint8_t buf[4100] = {0};

	(void)state;
	for (size_t len = 0; len <= 40; len++) {
		assert_true(bytes_are_zero(buf, len));
		for (size_t i = 0; i < 45; i++) {
			buf[i] = 0x80;
			assert_int_equal(bytes_are_zero(buf, len), i >= len);
			buf[i] = 0;
		}
	}
	assert_true(bytes_are_zero(buf + 1, 4096));
	for (size_t i = 0; i < 4096; i++) {
		buf[1 + i] = 1;
		assert_false(bytes_are_zero(buf + 1, 4096));
		buf[1 + i] = 0;
	}
	buf[0] = buf[4097] = 1;
	assert_true(bytes_are_zero(buf + 1, 4096));
}

/* ---- errors ---- */

static void err_innermost_wins(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, EXIT_NOT_REPO, -ENOENT, "no %s in %d", "thing", 5), -ENOENT);
	assert_int_equal(err.code, EXIT_NOT_REPO);
	assert_string_equal(err.text, "no thing in 5");
	assert_int_equal(err_set(&err, EXIT_IO, -EIO, "later"), -EIO);
	assert_int_equal(err_set_errno(&err, EXIT_IO, -EIO, "later"), -EIO);
	assert_int_equal(err.code, EXIT_NOT_REPO);
	assert_string_equal(err.text, "no thing in 5");
	assert_int_equal(err_set(NULL, EXIT_IO, -EIO, "nobody asks"), -EIO);
	assert_int_equal(err_set_errno(NULL, EXIT_IO, -EIO, "nobody asks"), -EIO);
	err_prefix(NULL, "nobody asks");
}

static void err_errno_words(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set_errno(&err, EXIT_REPO_ACCESS, -EACCES, "%s", "/x"), -EACCES);
	assert_string_equal(err.text, "/x: Permission denied");
	err = ERR_INIT;
	err_set_errno(&err, EXIT_REPO_DAMAGED, -EBADMSG, "x");
	assert_string_equal(err.text, "x: not authentic (damaged or changed)");
	err = ERR_INIT;
	err_set_errno(&err, EXIT_IO, -99999, "x");
	assert_non_null(strstr(err.text, "99999"));
}

static void err_prefixes(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_prefix(&err, "nothing to say this of");
	assert_string_equal(err.text, "");
	err_set(&err, EXIT_IO, -EIO, "disk on fire");
	err_prefix(&err, "slot %d", 2);
	err_prefix(&err, "/repo");
	assert_string_equal(err.text, "/repo: slot 2: disk on fire");
	assert_int_equal(err.code, EXIT_IO);
}

static void err_long_texts(void **state)
{
	struct err err = ERR_INIT;
	char big[3000];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set_errno(&err, EXIT_IO, -EIO, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_prefix(&err, "p");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "p: aaa", 6);
	big[0] = 'b';
	err_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "baaa", 4);
}

/* ---- log ---- */

static void quoting(void **state)
{
	char buf[64], tiny[6];

	(void)state;
	assert_string_equal(log_quote(buf, sizeof(buf), "plain text~"), "plain text~");
	assert_string_equal(log_quote(buf, sizeof(buf), "a\nb\\c\x7f\x1b\xc3\xa4"),
		"a\\x0ab\\x5cc\\x7f\\x1b\\xc3\\xa4");
	assert_string_equal(log_quote(buf, sizeof(buf), ""), "");
	/* Cut, but never inside an escape. */
	assert_string_equal(log_quote(tiny, sizeof(tiny), "abcdefgh"), "abcde");
	assert_string_equal(log_quote(tiny, sizeof(tiny), "ab\ncd"), "ab");
	assert_string_equal(log_quote(tiny, sizeof(tiny), "a\ncd"), "a\\x0a");
	assert_string_equal(log_quote(tiny, 1, "abc"), "");
	tiny[0] = 'z';
	assert_ptr_equal(log_quote(tiny, 0, "abc"), tiny);
	assert_int_equal(tiny[0], 'z');
}

static size_t read_all(const char *path, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	return n;
}

static void log_to_file(void **state)
{
	char dir[] = "/tmp/coffer-unit-XXXXXX", path[64], text[4096];
	char *line, *rest;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(log_open(LOG_TO_FILE, path, LOG_LEVEL_WARNING), 0);
	errno = EPROTO;
	log_error("record %d\nof a\tfile", 7);
	assert_int_equal(errno, EPROTO);
	log_warning("careful");
	log_info("not wanted");
	/* A failure leaves the old target. */
	assert_int_equal(log_open(LOG_TO_FILE, "/nowhere/at/all", LOG_LEVEL_DEBUG), -ENOENT);
	log_debug("not wanted");
	/* Appends. */
	assert_int_equal(log_open(LOG_TO_FILE, path, LOG_LEVEL_INFO), 0);
	log_info("wanted now");
	assert_int_equal(log_open(LOG_TO_STDERR, NULL, LOG_LEVEL_INFO), 0);

	read_all(path, text, sizeof(text));
	line = strtok_r(text, "\n", &rest);
	assert_non_null(line);
	assert_int_equal(line[4], '-'); /* a date stands first */
	assert_string_equal(strchr(line, ' '), " error: record 7 of a file");
	line = strtok_r(NULL, "\n", &rest);
	assert_non_null(line);
	assert_string_equal(strchr(line, ' '), " warning: careful");
	line = strtok_r(NULL, "\n", &rest);
	assert_non_null(line);
	assert_string_equal(strchr(line, ' '), " info: wanted now");
	assert_null(strtok_r(NULL, "\n", &rest));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* To standard error without a time, and an overlong line is cut, not dropped. */
static void log_to_stderr(void **state)
{
	char path[] = "/tmp/coffer-unit-XXXXXX";
	static char text[65536], big[40000];
	_cleanup_close_ int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	size_t n;

	(void)state;
	assert_true(fd >= 0 && saved >= 0);
	memset(big, 'x', sizeof(big) - 1);
	fflush(stderr);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	log_info("hello");
	log_info("%s", big);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read_all(path, text, sizeof(text));
	assert_memory_equal(text, "info: hello\ninfo: xxx", 21);
	assert_true(n > 16384);
	assert_int_equal(text[n - 1], '\n');
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(b64_vectors),
		cmocka_unit_test(b64_every_length),
		cmocka_unit_test(b64_wrong_character),
		cmocka_unit_test(b64_wrong_form),
		cmocka_unit_test(b64_is_unique),
		cmocka_unit_test(little_endian),
		cmocka_unit_test(zero_bytes),
		cmocka_unit_test(err_innermost_wins),
		cmocka_unit_test(err_errno_words),
		cmocka_unit_test(err_prefixes),
		cmocka_unit_test(err_long_texts),
		cmocka_unit_test(quoting),
		cmocka_unit_test(log_to_file),
		cmocka_unit_test(log_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
