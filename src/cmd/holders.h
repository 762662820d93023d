/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_HOLDERS_H
#define COFFER_CMD_HOLDERS_H

#include <stdio.h>

/*
 * Lists the processes that keep a mount busy: those whose working directory, root, open files or
 * mapped files lie in it, as far as this user may look. One line each, at most `most`. Only names
 * are compared, so a daemon that hangs does not matter. Returns how many were found.
 */
unsigned holders_print(const char *mountpoint, unsigned most, FILE *to);

#endif
