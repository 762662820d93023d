/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* Command lines: options and operands in any order, no abbreviations, suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "cmd/nearest.h"
#include "cmd/options.h"

enum { FLAG = 1, VALUE, LABEL };

static const struct option_def options[] = {
	{FLAG, 'f', "flag", NULL, "a flag"},
	{VALUE, 'o', "options", "LIST", "a value"},
	{LABEL, 0, "label", "TEXT", "another value"},
	{0, 0, NULL, NULL, NULL},
};

static const struct command command = {
	.name = "test", .summary = "Test", .operands = "A B", .options = options};

/* What one command line gave. */
struct result {
	int end; /* 0, or -1 with code */
	enum exit_code code;
	char seen[256]; /* "flag;options=x;" */
	const char *operands[2];
	char output[4096]; /* both standard streams */
};

/* Runs with the standard streams caught in a file. */
static void parse(struct result *r, int argc, const char **given)
{
	char *argv[12] = {NULL};
	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)given[i];
	*r = (struct result){0};
	FILE *caught = tmpfile();
	assert_non_null(caught);
	(void)fflush(stdout);
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	assert_true(dup2(fileno(caught), STDOUT_FILENO) >= 0);
	assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
	struct args a;
	const char *value = NULL;
	int id;
	args_begin(&a, &command, argc, argv);
	while ((id = args_next(&a, &value)) > 0) {
		static const char *const names[] = {"", "flag", "options", "label"};
		size_t n = strlen(r->seen);
		(void)snprintf(r->seen + n, sizeof(r->seen) - n, "%s%s%s;", names[id],
			value ? "=" : "", value ? value : "");
	}
	r->end = id < 0 ? -1 : args_operands(&a, 2, r->operands);
	r->code = a.code;
	(void)fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
	close(out);
	close(err);
	rewind(caught);
	r->output[fread(r->output, 1, sizeof(r->output) - 1, caught)] = '\0';
	(void)fclose(caught);
}

#define PARSE(r, ...)                                                                              \
	parse(r, (int)(sizeof((const char *[]){"test", __VA_ARGS__}) / sizeof(char *)),            \
		(const char *[]){"test", __VA_ARGS__})

static void takes(const struct result *r, const char *seen, const char *first, const char *second)
{
	if (r->end != 0)
		fail_msg("refused: %s", r->output);
	assert_string_equal(r->seen, seen);
	assert_string_equal(r->operands[0], first);
	assert_string_equal(r->operands[1], second);
	assert_string_equal(r->output, "");
}

static void refuses(const struct result *r, const char *what)
{
	assert_int_equal(r->end, -1);
	assert_int_equal(r->code, EXIT_USAGE);
	if (!strstr(r->output, what))
		fail_msg("\"%s\" does not say \"%s\"", r->output, what);
	assert_non_null(strstr(r->output, "coffer test --help"));
}

static void test_accepted(void **state)
{
	(void)state;
	struct result r;
	PARSE(&r, "a", "b");
	takes(&r, "", "a", "b");
	PARSE(&r, "-f", "a", "-o", "x,y", "b", "--label=t");
	takes(&r, "flag;options=x,y;label=t;", "a", "b");
	PARSE(&r, "a", "b", "-ox", "--label", "t=u", "--flag");
	takes(&r, "options=x;label=t=u;flag;", "a", "b");
	PARSE(&r, "-fo", "x", "a", "b");
	takes(&r, "flag;options=x;", "a", "b");
	PARSE(&r, "--", "--flag", "-o");
	takes(&r, "", "--flag", "-o");
	PARSE(&r, "--label=", "-", "b");
	takes(&r, "label=;", "-", "b");
	PARSE(&r, "--label", "--flag", "a", "b");
	takes(&r, "label=--flag;", "a", "b");
}

static void test_refused(void **state)
{
	(void)state;
	struct result r;
	PARSE(&r, "--flug", "a", "b");
	refuses(&r, "unknown option --flug; did you mean --flag?");
	PARSE(&r, "--labl=x", "a", "b");
	refuses(&r, "unknown option --labl; did you mean --label?");
	PARSE(&r, "--quite-other");
	refuses(&r, "unknown option --quite-other\n");
	PARSE(&r, "--flag=1", "a", "b");
	refuses(&r, "option --flag takes no argument");
	PARSE(&r, "--label");
	refuses(&r, "option --label needs an argument");
	PARSE(&r, "a", "b", "-o");
	refuses(&r, "option -o needs an argument");
	PARSE(&r, "-x");
	refuses(&r, "unknown option -x\n");
	PARSE(&r, "--flag", "-fx");
	refuses(&r, "unknown option -x\n");
	PARSE(&r, "a");
	refuses(&r, "missing operand; it takes: A B");
	PARSE(&r, "a", "b", "c");
	refuses(&r, "unexpected operand \"c\"");
	PARSE(&r, "a", "");
	refuses(&r, "empty");
}

/* Abbreviations would break scripts when options are added. */
static void test_abbreviations(void **state)
{
	(void)state;
	struct result r;
	PARSE(&r, "--lab=x", "a", "b");
	refuses(&r, "unknown option --lab; did you mean --label?");
	PARSE(&r, "--lab", "x", "a", "b");
	refuses(&r, "unknown option --lab; did you mean --label?");
	PARSE(&r, "--fla", "a", "b");
	refuses(&r, "unknown option --fla; did you mean --flag?");
	PARSE(&r, "a", "--optio", "x", "b");
	refuses(&r, "unknown option --optio; did you mean --options?");
}

static void test_help(void **state)
{
	(void)state;
	struct result r;
	PARSE(&r, "a", "--help");
	assert_int_equal(r.end, -1);
	assert_int_equal(r.code, EXIT_OK);
	assert_non_null(strstr(r.output, "usage: coffer test [OPTIONS] A B\n"));
	assert_non_null(strstr(r.output, "  -o, --options=LIST"));
	assert_non_null(strstr(r.output, "      --label=TEXT"));
	assert_non_null(strstr(r.output, "  -h, --help"));
	PARSE(&r, "-h");
	assert_int_equal(r.code, EXIT_OK);
}

static const char *nearest_of(const char *word, const char *const *known)
{
	struct nearest n = {0};
	for (; *known; known++)
		nearest_offer(&n, word, *known);
	return n.name;
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const known[] = {
		"mount", "umount", "status", "sync", "init", "break-lock", NULL};
	assert_string_equal(nearest_of("mount", known), "mount");
	assert_string_equal(nearest_of("moutn", known), "mount");
	assert_string_equal(nearest_of("unmount", known), "umount");
	assert_string_equal(nearest_of("breaklock", known), "break-lock");
	assert_string_equal(nearest_of("brek-lok", known), "break-lock");
	assert_string_equal(nearest_of("sta", known), "status");
	assert_string_equal(nearest_of("int", known), "init");
	assert_null(nearest_of("verify", known));
	assert_null(nearest_of("", known));
	assert_null(nearest_of("x", known));
	char longer[200];
	memset(longer, 'm', sizeof(longer));
	longer[199] = '\0';
	assert_null(nearest_of(longer, known));
}

static void test_numbers(void **state)
{
	(void)state;
	int n = -1;
	assert_true(parse_number("0", &n) && n == 0);
	assert_true(parse_number("63", &n) && n == 63);
	assert_true(parse_number("999999999", &n) && n == 999999999);
	n = 5;
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "1x", "0x1", "1000000000", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(parse_number(bad[i], &n));
	assert_int_equal(n, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_abbreviations),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
