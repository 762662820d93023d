/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "cmd/command.h"
#include "util/cleanup.h"

static enum exit_code fail(const char *what, int r)
{
	struct err err = ERR_INIT;
	err_set_errno(&err, EXIT_INTERNAL, r, "%s", what);
	return command_fail(&err);
}

/* Ends like the child did: with its code, or by the same signal, so that a shell sees Ctrl-C as
 * such. */
static enum exit_code follow(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return fail("waiting for the daemon", -errno);
	}
	if (WIFEXITED(status))
		return (enum exit_code)WEXITSTATUS(status);
	struct err err = ERR_INIT;
	err_set(&err, EXIT_INTERNAL, -ECHILD,
		"the daemon was ended by signal %d before it was ready", WTERMSIG(status));
	(void)signal(WTERMSIG(status), SIG_DFL);
	if (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM)
		(void)raise(WTERMSIG(status));
	return command_fail(&err);
}

static enum exit_code await(int fd, pid_t child)
{
	char byte;
	ssize_t n;
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? EXIT_OK : follow(child);
}

enum exit_code daemon_run(enum exit_code (*work)(void *cookie, struct daemon_start *s),
	void *cookie, bool keep_stderr)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail("cannot make a pipe", -errno);
	_cleanup_close_ int out = ends[0];
	_cleanup_close_ int in = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return fail("cannot start the daemon", -errno);
	if (pid == 0) {
		close(TAKE_FD(out));
		struct daemon_start s = {.ready_fd = TAKE_FD(in), .keep_stderr = keep_stderr};
		exit(work(cookie, &s));
	}
	close(TAKE_FD(in));
	/* Keys pressed at the terminal go to both; the child decides, and this process reports. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	return await(out, pid);
}

int daemon_ready(struct daemon_start *s)
{
	if (s->ready_fd < 0)
		return 0;
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || chdir("/") < 0)
		return -errno;
	(void)setsid(); /* fails only for a process group's leader, which a forked child is not */
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	if (!s->keep_stderr && dup2(null, STDERR_FILENO) < 0)
		return -errno;
	/* The parent last: who waits for the end of its output then sees it end. */
	ssize_t n = write(s->ready_fd, "r", 1);
	if (n != 1)
		return n < 0 ? -errno : -EIO;
	close(TAKE_FD(s->ready_fd));
	return 0;
}

void process_harden(void)
{
	const struct rlimit none = {0, 0};
	/* Best effort: coffer works without, and neither can be lifted by others. */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}
