/* SPDX-License-Identifier: Apache-2.0 */

/*
 * coffer-format(5) is what another implementer will trust: its examples, its byte tables and its
 * list of labels are compared with the code, and so is README's table of sizes. The page marks what
 * is read here with comments, .\" BEGIN name and .\" END name.
 */
#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "blob/epoch_file.h"
#include "blob/layout.h"
#include "crypto/crypto.h"
#include "keys/slot.h"
#include "name/name.h"
#include "name/target.h"
#include "name/xattr_format.h"
#include "util/bytes.h"
#include "util/secret.h"

/* The whole of a file of the source tree, terminated. */
static char *read_source(const char *name)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_fclose_ FILE *f = NULL;
	char path[4096], *text = NULL;
	size_t room = 0;

	if (!srcdir)
		fail_msg("set srcdir to the top of the source tree (make check does)");
	snprintf(path, sizeof(path), "%s/%s", srcdir, name);
	f = fopen(path, "re");
	if (!f)
		fail_msg("cannot open %s", path);
	/* No source file holds a zero byte. */
	if (getdelim(&text, &room, 0, f) <= 0)
		fail_msg("cannot read %s", path);
	return text;
}

/* Lines run together, so that it does not matter where a sentence is broken. */
static char *read_page_in_one_line(void)
{
	char *page = read_source("man/coffer-format.5");

	for (char *p = page; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	return page;
}

/* The marked part of the page, cut out. */
static char *read_part(const char *part)
{
	_cleanup_free_ char *page = read_source("man/coffer-format.5");
	char mark[64], *begin, *end;

	snprintf(mark, sizeof(mark), ".\\\" BEGIN %s\n", part);
	begin = strstr(page, mark);
	if (!begin)
		fail_msg("the page has no part %s", part);
	begin += strlen(mark);
	snprintf(mark, sizeof(mark), ".\\\" END %s\n", part);
	end = strstr(begin, mark);
	if (!end)
		fail_msg("the part %s has no end", part);
	return strndup(begin, (size_t)(end - begin));
}

/* ---- worked examples ---- */

struct example {
	uint64_t size, records, last, length;
};

static void check_example(const struct example *e)
{
	uint64_t size = UINT64_MAX;

	print_message("%" PRIu64 " bytes: %" PRIu64 " records, length %" PRIu64 "\n", e->size,
		e->records, e->length);
	assert_true(size_from_length(e->length, &size));
	assert_int_equal(size, e->size);
	if (e->records == 0) {
		assert_int_equal(e->size, 0);
		assert_int_equal(e->length, 0);
		return;
	}
	assert_int_equal(records_for(e->size), e->records);
	assert_int_equal(length_for(e->size), e->length);
	assert_int_equal(record_start(e->records - 1) + e->last, e->size);
	assert_true(e->last <= record_capacity(e->records - 1));
}

static void test_sizes(void **state)
{
	static const uint64_t wanted[] = {0, 1, 3906, 3907, 4096, 7844, 7845, 1u << 20, 1u << 30};
	_cleanup_free_ char *part = read_part("sizes");
	bool seen[sizeof(wanted) / sizeof(wanted[0])] = {false};
	char *save = NULL;

	(void)state;
	for (char *line = strtok_r(part, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct example e;

		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &e.size,
			    &e.records, &e.last, &e.length) != 4)
			continue;
		check_example(&e);
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			seen[i] = seen[i] || e.size == wanted[i];
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!seen[i])
			fail_msg("the page has no example for %" PRIu64 " bytes", wanted[i]);
	}
}

/* ---- README's table of sizes ---- */

/* What ext4 may take to describe where a large file lies. */
#define EXTENTS_ROOM (16 * RECORD_SIZE)

/* "1,060,670", "1 MiB" or "1 GiB" at *text, which is moved behind it. False: none of these. */
static bool read_bytes(const char **text, uint64_t *ret)
{
	const char *p = *text + strspn(*text, " ");
	uint64_t v = 0;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p) || *p == ','; p++)
		v = *p == ',' ? v : v * 10 + (uint64_t)(*p - '0');
	if (strncmp(p, " MiB", 4) == 0 || strncmp(p, " GiB", 4) == 0) {
		v <<= p[1] == 'M' ? 20 : 30;
		p += 4;
	}
	*ret = v;
	*text = p;
	return true;
}

static void test_readme(void **state)
{
	_cleanup_free_ char *readme = read_source("README");
	unsigned rows = 0;
	char *save = NULL;

	(void)state;
	for (char *line = strtok_r(readme, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *p = line;
		uint64_t size, length, room, needed;

		if (!read_bytes(&p, &size) || !read_bytes(&p, &length) || !read_bytes(&p, &room) ||
			*p)
			continue;
		print_message("README: %s\n", line);
		assert_int_equal(length, size > 0 ? length_for(size) : 0);
		needed = size > 0 ? records_for(size) * RECORD_SIZE : 0;
		assert_true(room >= needed && room <= needed + EXTENTS_ROOM);
		if (size <= RECORD_SIZE)
			assert_int_equal(room, needed);
		rows++;
	}
	/* 0, 1, 3906, 3907, 4096, 1 MiB, 1 GiB */
	assert_int_equal(rows, 7);
}

/* ---- byte tables: rows of offset, bytes, field; no gaps ---- */

/* Where the last field of a table begins; its total length in *ret_total. */
static unsigned check_table(const char *name, unsigned *ret_total)
{
	_cleanup_free_ char *part = read_part(name);
	unsigned end = 0, begin = 0, rows = 0;
	char *save = NULL;

	for (char *line = strtok_r(part, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned offset, bytes;

		if (sscanf(line, "%u %u", &offset, &bytes) != 2)
			continue;
		if (offset != end || bytes == 0)
			fail_msg("table %s, row %u: begins at %u, but the one before ends at %u",
				name, rows, offset, end);
		begin = offset;
		end = offset + bytes;
		rows++;
	}
	assert_true(rows > 1);
	*ret_total = end;
	return begin;
}

static void test_tables(void **state)
{
	unsigned total, range;

	(void)state;
	assert_int_equal(check_table("record", &total), RECORD_OVERHEAD);
	assert_int_equal(total, RECORD_SIZE);
	assert_int_equal(total - RECORD_OVERHEAD, CAP_RECORD);
	assert_int_equal(check_table("first", &total), CLEAR_HEADER_LEN + RECORD_OVERHEAD);
	assert_int_equal(total, RECORD_SIZE);
	assert_int_equal(total - CLEAR_HEADER_LEN - RECORD_OVERHEAD, CAP_RECORD1);
	assert_int_equal(CAP_RECORD1 - INNER_HEADER_LEN, CAP_RECORD0);
	check_table("clear", &total);
	assert_int_equal(total, CLEAR_HEADER_LEN);
	check_table("inner", &total);
	assert_int_equal(total, INNER_HEADER_LEN);
	check_table("epoch", &total);
	check_table("range", &range);
	assert_int_equal(total + range * EPOCH_RANGES_MAX + HASH_LEN, EPOCH_FILE_MAX);
}

/* ---- labels of key derivation ---- */

/* The next string literal of text that names a purpose; NULL at the end. */
static char *next_label(const char **text)
{
	const char *begin = strstr(*text, "\"coffer ");
	const char *end = begin ? strchr(begin + 1, '"') : NULL;

	if (!end)
		return NULL;
	*text = end + 1;
	return strndup(begin + 1, (size_t)(end - begin - 1));
}

/* Each of them stands in the page; returns how many. */
static unsigned check_labels_of(const char *source, const char *part)
{
	_cleanup_free_ char *text = read_source(source);
	const char *rest = text;
	unsigned count = 0;
	char *label;

	while ((label = next_label(&rest))) {
		char row[128];

		snprintf(row, sizeof(row), ".It Qq %s Ta ", label);
		if (!strstr(part, row))
			fail_msg("the page does not list the label \"%s\"", label);
		free(label);
		count++;
	}
	return count;
}

static void test_labels(void **state)
{
	_cleanup_free_ char *part = read_part("labels");
	unsigned used, listed = 0;

	(void)state;
	used = check_labels_of("src/crypto/keyring.c", part);
	assert_int_equal(used, 6);
	used += check_labels_of("src/keys/config_internal.h", part);
	for (const char *p = part; (p = strstr(p, ".It Qq ")); p++)
		listed++;
	assert_int_equal(listed, used);
}

/* ---- the example of a repository ---- */

/* The inside of the part's literal block, without the marks that keep blanks at the ends of lines.
 */
static char *read_block(const char *name)
{
	_cleanup_free_ char *part = read_part(name);
	const char *begin = strstr(part, ".Bd -literal\n"), *end = strstr(part, ".Ed\n");
	char *block, *mark;

	if (!begin || !end || end < begin)
		fail_msg("the part %s has no literal block", name);
	begin += strlen(".Bd -literal\n");
	block = strndup(begin, (size_t)(end - begin));
	assert_non_null(block);
	while ((mark = strstr(block, "\\&")))
		memmove(mark, mark + 2, strlen(mark + 2) + 1);
	return block;
}

/* The keys of the example, by its password. */
static struct keyring *open_example(void)
{
	static const char password[] = "secret-1";
	_cleanup_free_ char *text = read_block("ini");
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	_cleanup_(config_freep) struct config *c = NULL;
	struct keyring *k = NULL;
	struct err err = ERR_INIT;

	assert_non_null(s);
	if (config_parse(text, strlen(text), &c, &err) < 0 ||
		config_unlock_password(c, password, strlen(password), -1, s, NULL, &err) < 0)
		fail_msg("the example of a coffer.ini: %s", err.text);
	assert_return_code(keyring_new(&k), 0);
	assert_return_code(keyring_add(k, config_generation(c), s->dek), 0);
	return k;
}

static void test_example(void **state)
{
	_cleanup_free_ char *texts = read_block("texts");
	_cleanup_(keyring_freep) struct keyring *k = open_example();
	char *save = NULL, *id, *entry, *stored, target[TARGET_MAX + 1];
	struct encname name;
	struct dirid dir;
	uint8_t bytes[64];

	(void)state;
	id = strtok_r(texts, "\n", &save);
	entry = strtok_r(NULL, "\n", &save);
	stored = strtok_r(NULL, "\n", &save);
	assert_non_null(stored);
	assert_true(strlen(id) < sizeof(bytes));
	assert_int_equal(b64url_decode(id, strlen(id), bytes), 4 + DIRID_LEN);
	dir.generation = get_le32(bytes);
	memcpy(dir.id, bytes + 4, DIRID_LEN);
	assert_return_code(name_encrypt(k, &dir, "file.txt", strlen("file.txt"), &name), 0);
	assert_string_equal(name.entry, entry);
	assert_int_equal(target_decrypt(k, stored, strlen(stored), target), strlen("../target"));
	assert_string_equal(target, "../target");
}

/* ---- numbers in the text ---- */

static void check_says(const char *page, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void check_says(const char *page, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strstr(page, text))
		fail_msg("the page does not say \"%s\"", text);
}

/* The longest name whose text leaves room for `prefix` in a name of 255 bytes. */
static unsigned longest_short(unsigned prefix)
{
	unsigned n = 1;

	while (prefix + B64_LEN(n + 1 + SIV_LEN) <= NAME_ENTRY_MAX)
		n++;
	return n;
}

static void test_numbers(void **state)
{
	_cleanup_free_ char *page = read_page_in_one_line();
	unsigned n = 1;

	(void)state;
	while (target_is_inline(n + 1))
		n++;
	check_says(page, "(targets up to %u bytes)", n);
	check_says(page, "at most %d characters ", TARGET_TEXT_MAX);
	check_says(page, "has %d characters", TARGET_REF_LEN);
	check_says(page, "(names up to %u bytes) it is the entry", longest_short(0));
	check_says(page, "(names up to %u bytes), else", longest_short(strlen("user.c.")));
	check_says(page, "in 1 to %d bytes", XATTR_PLAIN_MAX);
	check_says(page, "at most %d bytes, in lines", CONFIG_MAX);
	check_says(page, "value of more than %u bytes", FIELD_LINE_BYTES);
	check_says(page, "from 0 to %d,", SLOTS_MAX - 1);
	check_says(page, ".It Cm wrapped %d bytes ", WRAPPED_KEEPER);
	check_says(page, "format version %u. ", FORMAT_VERSION);
	check_says(page, "more than %u ranges", EPOCH_RANGES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_readme),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
