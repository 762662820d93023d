/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_ERROR_H
#define COFFER_UTIL_ERROR_H

#include "util/exitcode.h"

/*
 * Error convention of the whole tree: a function returns 0 (or a count) or a negative errno, leaves
 * its ret_ arguments untouched on failure, and never prints. Functions whose failures a user can
 * meet take a struct err and say there, once and where it is known, what failed (path, slot,
 * option), why, and what to do. The command prints it and exits with its code.
 * Content that fails authentication is -EBADMSG inside the tree, apart from I/O errors; only the
 * node layer turns it into EIO.
 */
struct err {
	enum exit_code code; /* EXIT_OK while no error was set */
	char text[1024];     /* one or more lines, without a final newline */
};

#define ERR_INIT ((struct err){.code = EXIT_OK, .text = ""})

/*
 * Fills err (may be NULL) with an exit code and a formatted text, unless it already holds an error:
 * the innermost cause wins. Returns r, a negative errno, so that callers can `return err_set(...)`.
 */
int err_set(struct err *err, enum exit_code code, int r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Like err_set, but appends ": " and the text of errno -r; for -EBADMSG that is "not authentic
 * (damaged or changed)".
 */
int err_set_errno(struct err *err, enum exit_code code, int r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts a formatted prefix and ": " before the text that err already holds. err may be NULL. */
void err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
