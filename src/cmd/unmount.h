/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_UNMOUNT_H
#define COFFER_CMD_UNMOUNT_H

#include <stdbool.h>
#include "util/error.h"

/*
 * Takes a mount away: umount2(2) as root, fusermount3 otherwise. lazy: detaches it at once and lets
 * it end when nobody uses it any more. mountpoint is absolute. EXIT_BUSY (-EBUSY), EXIT_FUSE (no
 * fusermount3, or it refused).
 */
int unmount_at(const char *mountpoint, bool lazy, struct err *err);

/* True if fusermount3 can be run, which everybody but root needs. */
bool fusermount_exists(void);

#endif
