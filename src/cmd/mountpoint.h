/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_MOUNTPOINT_H
#define COFFER_CMD_MOUNTPOINT_H

#include <stdbool.h>
#include "util/error.h"

/*
 * Makes sure that a repository can be mounted at path: a directory, not a mount of ours already,
 * empty (unless nonempty). A dead mount of ours, left by a daemon that was killed, is taken away
 * first. *ret: its real path, malloc'ed. All failures are EXIT_MOUNTPOINT.
 */
int mountpoint_prepare(const char *path, bool nonempty, char **ret, struct err *err);

/* Refuses a mount point inside the repository and a repository inside the mount point; both are
 * real paths. */
int mountpoint_check_nesting(const char *mountpoint, const char *repository, struct err *err);

#endif
