/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* The strict INI reader: what it accepts comes out unchanged, everything else is refused with its
 * line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "conf/ini.h"

static void accepts(const char *text, struct inidoc **ret)
{
	struct err err = ERR_INIT;
	assert_int_equal(inidoc_parse(text, strlen(text), EXIT_REPO_DAMAGED, ret, &err), 0);
	assert_int_equal(err.code, EXIT_OK);
}

static void refuses_bytes(const char *text, size_t len, const char *what)
{
	struct inidoc *d = NULL;
	struct err err = ERR_INIT;
	if (inidoc_parse(text, len, EXIT_REPO_DAMAGED, &d, &err) != -EINVAL)
		fail_msg("accepted: %s", text);
	assert_null(d);
	assert_int_equal(err.code, EXIT_REPO_DAMAGED);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\"", err.text, what);
}

static void refuses(const char *text, const char *what)
{
	refuses_bytes(text, strlen(text), what);
}

static void test_values(void **state)
{
	(void)state;
	_cleanup_(inidoc_freep) struct inidoc *d = NULL;
	accepts("; a comment\n# another\n[one]\na = x\nb=y y\nc =\t z \nd =\n\n[slot 2]\na = "
		"p=q:r;s #t\n",
		&d);
	unsigned line = 0;
	assert_string_equal(inidoc_get(d, "one", "a", &line), "x");
	assert_int_equal(line, 4);
	assert_string_equal(inidoc_get(d, "one", "b", NULL), "y y");
	assert_string_equal(inidoc_get(d, "one", "c", NULL), "z");
	assert_string_equal(inidoc_get(d, "one", "d", NULL), "");
	assert_null(inidoc_get(d, "one", "e", NULL));
	assert_null(inidoc_get(d, "two", "a", NULL));
	assert_string_equal(inidoc_get(d, "slot 2", "a", &line), "p=q:r;s #t");
	assert_int_equal(line, 10);
	assert_int_equal(inidoc_section_count(d), 2);
	assert_string_equal(inidoc_section(d, 1), "slot 2");
}

static void test_strays(void **state)
{
	(void)state;
	_cleanup_(inidoc_freep) struct inidoc *d = NULL;
	struct inidoc_stray stray;
	accepts("[s]\nknown = 1\nother = 2\n", &d);
	assert_non_null(inidoc_get(d, "s", "known", NULL));
	assert_int_equal(inidoc_find_stray(d, &stray), 1);
	assert_string_equal(stray.section, "s");
	assert_string_equal(stray.key, "other");
	assert_int_equal(stray.line, 3);
	assert_non_null(inidoc_get(d, "s", "other", NULL));
	assert_int_equal(inidoc_find_stray(d, &stray), 0);
}

static void test_refusals(void **state)
{
	(void)state;
	refuses("a = 1\n", "line 1");
	refuses("[s]\na = 1\n[s]\nb = 2\n", "line 3");
	refuses("[s]\na = 1\na = 1\n", "line 3");
	refuses("[s]\na = 1\n[t]\n", "[t] is empty");
	refuses("[s\na = 1\n", "line 1");
	refuses("[s] ; x\na = 1\n", "line 1");
	refuses("[]\na = 1\n", "line 1");
	refuses("[S]\na = 1\n", "line 1");
	refuses("[ s]\na = 1\n", "line 1");
	refuses("[s ]\na = 1\n", "line 1");
	refuses("[s  1]\na = 1\n", "line 1");
	refuses("[s]\nword\n", "line 2");
	refuses("[s]\n= 1\n", "line 2");
	refuses("[s]\nA = 1\n", "line 2");
	refuses("[s]\na b = 1\n", "line 2");
	refuses("[s]\na = 1\r\n", "control");
	refuses("[s]\na = 1\x7f\n", "control");
	refuses("\xef\xbb\xbf[s]\na = 1\n", "line 1");
	refuses_bytes("[s]\na = 1\0b\n", 12, "control");
}

/* What inih itself would read otherwise: continuation lines, inline comments, ':' */
static void test_inih_habits(void **state)
{
	(void)state;
	refuses("[s]\na = 1\n  2\n", "line 3");
	refuses("[s]\na = 1 ;2\n", "line 2");
	refuses("[s]\na : 1\n", "line 2");
	refuses("[s]\na:b = 1\n", "line 2");
	refuses("[s]\na = 1\nb ; = 1\n", "line 3");
}

static void test_lengths(void **state)
{
	(void)state;
	char text[400];
	for (int n = 100; n <= 300; n++) {
		/* The second line has n bytes. */
		(void)snprintf(text, sizeof(text), "[s]\na = %0*d\n", n - 4, 0);
		if (n > INI_LINE_LEN) {
			refuses(text, "line 2");
			continue;
		}
		_cleanup_(inidoc_freep) struct inidoc *d = NULL;
		accepts(text, &d);
		assert_int_equal(strlen(inidoc_get(d, "s", "a", NULL)), n - 4);
	}
	for (int n = 30; n <= 60; n++) {
		(void)snprintf(text, sizeof(text), "[s]\n%0*d = x\n", n, 0);
		if (n > INI_NAME_LEN) {
			refuses(text, "line 2");
			continue;
		}
		_cleanup_(inidoc_freep) struct inidoc *d = NULL;
		accepts(text, &d);
		(void)snprintf(text, sizeof(text), "[%0*d]\nk = x\n", n, 0);
		_cleanup_(inidoc_freep) struct inidoc *e = NULL;
		accepts(text, &e);
	}
	(void)snprintf(text, sizeof(text), "[%0*d]\nk = x\n", INI_NAME_LEN + 1, 0);
	refuses(text, "line 1");
}

static void test_counts(void **state)
{
	(void)state;
	size_t size = 64 * (INI_ENTRIES_MAX + 2);
	_cleanup_free_ char *text = malloc(size);
	size_t n = (size_t)snprintf(text, size, "[s]\n");
	for (int i = 0; i < INI_ENTRIES_MAX; i++)
		n += (size_t)snprintf(text + n, size - n, "k%d = %d\n", i, i);
	_cleanup_(inidoc_freep) struct inidoc *d = NULL;
	accepts(text, &d);
	assert_string_equal(inidoc_get(d, "s", "k2047", NULL), "2047");
	(void)snprintf(text + n, size - n, "more = 1\n");
	refuses(text, "too many");
}

/* Every prefix of a good text gives a document or a refusal, and never reads beyond its length. */
static void test_prefixes(void **state)
{
	(void)state;
	static const char text[] = "# c\n[one]\na = 1\nb = 2\n\n[two]\nc = 3\n";
	for (size_t n = 0; n < sizeof(text); n++) {
		_cleanup_free_ char *exact = malloc(n ? n : 1);
		memcpy(exact, text, n);
		struct inidoc *d = NULL;
		struct err err = ERR_INIT;
		int rc = inidoc_parse(exact, n, EXIT_USAGE, &d, &err);
		assert_true(rc == 0 || rc == -EINVAL);
		assert_int_equal(err.code, rc == 0 ? EXIT_OK : EXIT_USAGE);
		inidoc_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_strays),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_inih_habits),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_prefixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
