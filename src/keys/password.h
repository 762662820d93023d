/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_PASSWORD_H
#define COFFER_KEYS_PASSWORD_H

/*
 * Where a password comes from: a file, standard input ("-"), a command, the terminal (no echo),
 * never argv or the environment. The first line without its newline (a carriage return stays part
 * of it); at most PASSWORD_MAX bytes; empty or with a zero byte is refused (EXIT_NO_PASSWORD). In
 * secret memory. From standard input exactly one line is taken, so that two passwords can be given
 * one after the other.
 */
#include <stdbool.h>
#include <stddef.h>
#include "util/error.h"

#define PASSWORD_MAX 4096

struct password_source {
	const char *file;    /* --password-file, "-" for standard input; NULL if not given */
	const char *command; /* --password-command, run by /bin/sh -c; NULL if not given */
	const char *prompt;  /* for the terminal, e.g. "Password for /srv/repo" */
	bool confirm;        /* ask twice */
};

/*
 * *ret from secret_alloc, terminated; caller frees with secret_free. file and command together:
 * EXIT_USAGE. A password file that every user can read gives a warning on stderr, not an error. The
 * command's exit status must be 0.
 */
int password_read(const struct password_source *src, char **ret, size_t *ret_len, struct err *err);

#endif
