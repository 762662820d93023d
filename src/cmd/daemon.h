/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_DAEMON_H
#define COFFER_CMD_DAEMON_H

/*
 * Going into the background only when the work has begun. The process forks first; the child does
 * everything, still with the terminal (it may ask for a password there and prints its own errors),
 * and calls daemon_ready. Then the parent returns EXIT_OK; if the child ends before, the parent
 * returns the child's exit code.
 */
#include <stdbool.h>
#include "util/error.h"

struct daemon_start {
	int ready_fd; /* -1: in the foreground */
	bool keep_stderr;
};

/* Runs work(cookie, start) in a child as above. Returns in the parent only. */
enum exit_code daemon_run(enum exit_code (*work)(void *cookie, struct daemon_start *s),
	void *cookie, bool keep_stderr);

/*
 * The child: leaves the session and the working directory, gives standard input and output (and
 * error) to /dev/null, and lets the parent go. In the foreground nothing happens. 0 or -errno.
 */
int daemon_ready(struct daemon_start *s);

/* Keeps keys out of reach: no core dumps, no ptrace and no /proc/PID/mem for processes without
 * privilege. */
void process_harden(void);

#endif
