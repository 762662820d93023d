/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* Where passwords come from, and what is refused as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <pty.h>
#include <cmocka.h>
#include "keys/password.h"
#include "util/secret.h"

#define FILE_NAME "password-test-file"

static void put_file(const char *text, size_t len)
{
	(void)unlink(FILE_NAME);
	_cleanup_close_ int fd = open(FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(FILE_NAME);
	return 0;
}

static void gives(const struct password_source *src, const char *want, size_t want_len)
{
	_cleanup_secret_ char *got = NULL;
	size_t len = 0;
	struct err err = ERR_INIT;
	if (password_read(src, &got, &len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, want_len);
	assert_int_equal(got[len], 0);
}

static void refused(const struct password_source *src, enum exit_code code, const char *what)
{
	char *got = NULL;
	size_t len = 7;
	struct err err = ERR_INIT;
	assert_true(password_read(src, &got, &len, &err) < 0);
	assert_null(got);
	assert_int_equal(len, 7);
	if (err.code != code || !strstr(err.text, what))
		fail_msg("code %d, \"%s\" instead of code %d, \"%s\"", err.code, err.text, code,
			what);
}

static const struct password_source file = {.file = FILE_NAME};

static void test_file(void **state)
{
	(void)state;
	put_file("simple", 6);
	gives(&file, "simple", 6);
	put_file("line\n", 5);
	gives(&file, "line", 4);
	put_file("line\nmore\n", 10);
	gives(&file, "line", 4);
	put_file("dos\r\n", 5);
	gives(&file, "dos\r", 4);
	put_file(" \xff\t \n", 5);
	gives(&file, " \xff\t ", 4);
	/* A zero byte after the line does not matter, one in it does. */
	put_file("a\n\0", 3);
	gives(&file, "a", 1);
	put_file("a\0b\n", 4);
	refused(&file, EXIT_NO_PASSWORD, "zero byte");
	put_file("", 0);
	refused(&file, EXIT_NO_PASSWORD, "empty");
	put_file("\nsecond", 7);
	refused(&file, EXIT_NO_PASSWORD, "empty");
	const struct password_source none = {.file = "no-such-file"};
	refused(&none, EXIT_NO_PASSWORD, "no-such-file");
	const struct password_source dir = {.file = "."};
	refused(&dir, EXIT_NO_PASSWORD, "cannot read");
}

static void test_length(void **state)
{
	(void)state;
	char text[PASSWORD_MAX + 3];
	memset(text, 'x', sizeof(text));
	put_file(text, PASSWORD_MAX);
	gives(&file, text, PASSWORD_MAX);
	put_file(text, PASSWORD_MAX + 1);
	refused(&file, EXIT_NO_PASSWORD, "longer");
	text[PASSWORD_MAX] = '\n';
	put_file(text, PASSWORD_MAX + 3);
	gives(&file, text, PASSWORD_MAX);
	text[PASSWORD_MAX] = 'x';
	text[PASSWORD_MAX + 1] = '\n';
	put_file(text, PASSWORD_MAX + 2);
	refused(&file, EXIT_NO_PASSWORD, "longer");
}

static void test_command(void **state)
{
	(void)state;
	struct password_source src = {.command = "printf 'one two\\nthree\\n'"};
	gives(&src, "one two", 7);
	src.command = "echo x; exit 5";
	refused(&src, EXIT_NO_PASSWORD, "exit status 5");
	src.command = "true";
	refused(&src, EXIT_NO_PASSWORD, "empty");
	src.command = "echo x; kill -TERM $$";
	refused(&src, EXIT_NO_PASSWORD, "signal 15");
	src.command = "/no/such/program 2>/dev/null";
	refused(&src, EXIT_NO_PASSWORD, "exit status 127");
	/* Much output after the first line must not end the command by SIGPIPE. */
	src.command = "echo first; dd if=/dev/zero bs=4096 count=100 2>/dev/null";
	gives(&src, "first", 5);
}

static void test_both(void **state)
{
	(void)state;
	const struct password_source both = {.file = FILE_NAME, .command = "echo x"};
	refused(&both, EXIT_USAGE, "both");
}

/* Two reads from one standard input take one line each. */
static void test_stdin(void **state)
{
	(void)state;
	put_file("first\nsecond\nthird", 18);
	int saved = dup(STDIN_FILENO);
	int fd = open(FILE_NAME, O_RDONLY);
	assert_true(saved >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	close(fd);
	const struct password_source in = {.file = "-"};
	gives(&in, "first", 5);
	gives(&in, "second", 6);
	gives(&in, "third", 5);
	refused(&in, EXIT_NO_PASSWORD, "empty");
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

/* ---- the terminal ---- */

/* Reads from the master until the text appears there. */
static void expect(int master, const char *what)
{
	char seen[4096];
	size_t n = 0;
	while (n + 1 < sizeof(seen)) {
		ssize_t got = read(master, seen + n, sizeof(seen) - 1 - n);
		if (got <= 0)
			fail_msg("the terminal ended before \"%s\"", what);
		n += (size_t)got;
		seen[n] = '\0';
		if (strstr(seen, what))
			return;
	}
	fail_msg("no \"%s\"", what);
}

/* Runs the question in a child on a terminal of its own. The child exits with 0 if it got `want`,
 * else with the exit code. */
static pid_t ask(int *ret_master, bool confirm, const char *want)
{
	pid_t pid = forkpty(ret_master, NULL, NULL, NULL);
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	const struct password_source src = {.prompt = "Secret", .confirm = confirm};
	char *got = NULL;
	size_t len;
	struct err err = ERR_INIT;
	if (password_read(&src, &got, &len, &err) < 0)
		_exit(err.code);
	struct termios t;
	bool echo = tcgetattr(STDIN_FILENO, &t) == 0 && (t.c_lflag & ECHO);
	_exit(echo && strcmp(got, want) == 0 ? 0 : 99);
}

static void type(int master, const char *text)
{
	assert_int_equal(write(master, text, strlen(text)), strlen(text));
}

static bool has_echo(int master)
{
	struct termios t;
	assert_int_equal(tcgetattr(master, &t), 0);
	return t.c_lflag & ECHO;
}

static int end_of(pid_t pid, int master)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(master);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_terminal(void **state)
{
	(void)state;
	int master;
	pid_t pid = ask(&master, false, "typed");
	expect(master, "Secret: ");
	assert_false(has_echo(master));
	type(master, "typed\n");
	assert_int_equal(end_of(pid, master), 0);
}

static void test_terminal_confirm(void **state)
{
	(void)state;
	int master;
	pid_t pid = ask(&master, true, "twice");
	expect(master, "Secret: ");
	type(master, "twice\n");
	expect(master, "Again: ");
	type(master, "twice\n");
	assert_int_equal(end_of(pid, master), 0);
	pid = ask(&master, true, "twice");
	expect(master, "Secret: ");
	type(master, "twice\n");
	expect(master, "Again: ");
	type(master, "other\n");
	assert_int_equal(end_of(pid, master), EXIT_NO_PASSWORD);
	pid = ask(&master, true, "");
	expect(master, "Secret: ");
	type(master, "\n");
	assert_int_equal(end_of(pid, master), EXIT_NO_PASSWORD);
}

/* Ctrl-C ends the process, and the terminal has its echo again. */
static void test_terminal_interrupted(void **state)
{
	(void)state;
	int master, slave;
	char name[128];
	pid_t pid = ask(&master, false, "");
	expect(master, "Secret: ");
	/* Held open, so that the settings outlive the child. */
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	slave = open(name, O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	type(master, "half\x03");
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	assert_true(has_echo(slave));
	close(slave);
	close(master);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_file),
		TEST(test_length),
		TEST(test_command),
		TEST(test_both),
		TEST(test_stdin),
		TEST(test_terminal),
		TEST(test_terminal_confirm),
		TEST(test_terminal_interrupted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
