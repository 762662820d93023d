/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/password.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "keys/terminal.h"
#include "util/secret.h"

/* Where bytes come from, for read_line. */
struct input {
	int fd;
	bool bytewise; /* take no byte beyond the line: the rest belongs to the next reader */
};

static int bad(struct err *err, const char *from, const char *why)
{
	return err_set(err, EXIT_NO_PASSWORD, -EINVAL, "%s: %s", from, why);
}

static int bad_errno(struct err *err, const char *from, int r)
{
	return err_set_errno(err, EXIT_NO_PASSWORD, r, "cannot read the password from %s", from);
}

/*
 * Reads up to the first newline or the end into secret memory, unbuffered: no copy of the password
 * stays behind in a stream's buffer. from names the source in messages.
 */
static int read_line(
	const struct input *in, const char *from, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_secret_ char *buf = secret_alloc(PASSWORD_MAX + 2);
	if (!buf)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	size_t len = 0;
	char *nl = NULL;
	while (!nl && len <= PASSWORD_MAX) {
		size_t want = in->bytewise ? 1 : PASSWORD_MAX + 1 - len;
		ssize_t n = read(in->fd, buf + len, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bad_errno(err, from, -errno);
		if (n == 0)
			break;
		nl = memchr(buf + len, '\n', (size_t)n);
		len += (size_t)n;
	}
	if (nl)
		len = (size_t)(nl - buf);
	if (len > PASSWORD_MAX)
		return bad(err, from, "the password is longer than 4096 bytes");
	if (memchr(buf, '\0', len))
		return bad(err, from, "the password contains a zero byte");
	if (len == 0)
		return bad(err, from, "the password is empty");
	wipe(buf + len, PASSWORD_MAX + 2 - len);
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

static int from_stdin(char **ret, size_t *ret_len, struct err *err)
{
	const struct input in = {.fd = STDIN_FILENO, .bytewise = true};
	return read_line(&in, "standard input", ret, ret_len, err);
}

static int from_file(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	struct stat sb;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &sb) < 0)
		return bad_errno(err, path, -errno);
	if (S_ISREG(sb.st_mode) && (sb.st_mode & S_IROTH))
		(void)fprintf(stderr, "coffer: warning: every user can read the password file %s\n",
			path);
	const struct input in = {.fd = fd};
	return read_line(&in, path, ret, ret_len, err);
}

/* Runs /bin/sh -c command with its standard output in a pipe. Returns the child, *ret_fd is the
 * pipe's end. */
static pid_t start_command(const char *command, int *ret_fd)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int out = ends[0];
	_cleanup_close_ int in = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (dup2(in, STDOUT_FILENO) >= 0)
			(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	*ret_fd = TAKE_FD(out);
	return pid;
}

static int end_command(pid_t pid, struct err *err)
{
	int status;
	pid_t got;
	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_set_errno(
			err, EXIT_INTERNAL, -errno, "waiting for the password command");
	if (WIFSIGNALED(status))
		return err_set(err, EXIT_NO_PASSWORD, -EIO,
			"the password command was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, EXIT_NO_PASSWORD, -EIO,
			"the password command failed with exit status %d", WEXITSTATUS(status));
	return 0;
}

/* Reads what a command still writes, so that it does not die of a closed pipe before its status
 * counts. */
static void drain(int fd)
{
	char *scrap = secret_alloc(PASSWORD_MAX);
	if (!scrap)
		return;
	ssize_t n;
	do {
		n = read(fd, scrap, PASSWORD_MAX);
	} while (n > 0 || (n < 0 && errno == EINTR));
	secret_free(scrap);
}

static int from_command(const char *command, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_secret_ char *line = NULL;
	size_t len = 0;
	pid_t pid = start_command(command, &fd);
	if (pid < 0)
		return err_set_errno(
			err, EXIT_NO_PASSWORD, pid, "cannot start the password command");
	struct err read_err = ERR_INIT;
	const struct input in = {.fd = fd};
	int read_rc = read_line(&in, "the password command's output", &line, &len, &read_err);
	drain(fd);
	/* How it ended says more than what it failed to print. */
	int rc = end_command(pid, err);
	if (rc < 0)
		return rc;
	if (read_rc < 0)
		return err_set(err, read_err.code, read_rc, "%s", read_err.text);
	*ret = TAKE_PTR(line);
	*ret_len = len;
	return 0;
}

static int ask(int tty, const char *prompt, char **ret, size_t *ret_len, struct err *err)
{
	struct terminal_echo *echo = NULL;
	int rc = terminal_hide(tty, prompt, &echo);
	if (rc < 0)
		return err_set_errno(
			err, EXIT_NO_PASSWORD, rc, "cannot switch off the terminal's echo");
	const struct input in = {.fd = tty};
	rc = read_line(&in, "the terminal", ret, ret_len, err);
	terminal_show(echo);
	return rc;
}

static int from_terminal(
	const struct password_source *src, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_secret_ char *first = NULL;
	_cleanup_secret_ char *second = NULL;
	size_t first_len = 0, second_len = 0;
	_cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return err_set(err, EXIT_NO_PASSWORD, -errno,
			"there is no terminal to ask for a password: use --password-file or "
			"--password-command");
	int rc = ask(tty, src->prompt, &first, &first_len, err);
	if (rc < 0)
		return rc;
	if (src->confirm) {
		rc = ask(tty, "Again", &second, &second_len, err);
		if (rc < 0)
			return rc;
		if (first_len != second_len || memcmp(first, second, first_len) != 0)
			return err_set(err, EXIT_NO_PASSWORD, -EINVAL,
				"the two passwords are not the same");
	}
	*ret = TAKE_PTR(first);
	*ret_len = first_len;
	return 0;
}

int password_read(const struct password_source *src, char **ret, size_t *ret_len, struct err *err)
{
	if (src->file && src->command)
		return err_set(err, EXIT_USAGE, -EINVAL,
			"a password file and a password command cannot both be given");
	if (src->command)
		return from_command(src->command, ret, ret_len, err);
	if (src->file && strcmp(src->file, "-") == 0)
		return from_stdin(ret, ret_len, err);
	if (src->file)
		return from_file(src->file, ret, ret_len, err);
	return from_terminal(src, ret, ret_len, err);
}
