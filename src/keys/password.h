/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_PASSWORD_H
#define COFFER_KEYS_PASSWORD_H

/*
 * Where a password comes from: a file, standard input ("-"), a command, the terminal (no echo), never argv or the
 * environment. The first line without its newline; at most 4096 bytes; empty is refused (EXIT_NO_PASSWORD). In secret memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include "util/error.h"

struct password_source {
	const char *file;    /* --password-file, "-" for standard input; NULL if not given */
	const char *command; /* --password-command, run by /bin/sh -c; NULL if not given */
	const char *prompt;  /* for the terminal, e.g. "Password for /srv/repo" */
	bool confirm;	     /* ask twice */
};

/* *ret from secret_alloc, terminated; caller frees with secret_free. file and command together: EXIT_USAGE. A password file that others can read gives a warning on
 * stderr, not an error. */
int password_read(const struct password_source *src, char **ret, size_t *ret_len, struct err *err);

#endif
