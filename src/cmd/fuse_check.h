/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_FUSE_CHECK_H
#define COFFER_CMD_FUSE_CHECK_H

#include "cmd/mount_options.h"

/*
 * Whether this process could mount with these options as far as the system around it goes: the
 * device, the set-uid helper, the administrator's permission for allow_other. EXIT_FUSE, with what
 * to do about it.
 */
int fuse_check(const struct mount_options *o, struct err *err);

#endif
