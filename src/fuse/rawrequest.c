/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/fuse.h>

#include "fuse/ops.h"

/*
 * libfuse hands on neither the write flags nor FATTR_KILL_SUIDGID and FUSE_OPEN_KILL_SUIDGID. The
 * request itself (the kernel's protocol, linux/fuse.h) is still in the worker's buffer while its
 * handler runs.
 */
static __thread const struct fuse_in_header *current;

void raw_set(const void *request)
{
	current = request;
}

bool raw_kills_privileges(void)
{
	if (!current)
		return false;
	const void *arg = current + 1;
	switch (current->opcode) {
	case FUSE_WRITE:
		return ((const struct fuse_write_in *)arg)->write_flags & FUSE_WRITE_KILL_SUIDGID;
	case FUSE_SETATTR:
		return ((const struct fuse_setattr_in *)arg)->valid & FATTR_KILL_SUIDGID;
	case FUSE_OPEN:
		return ((const struct fuse_open_in *)arg)->open_flags & FUSE_OPEN_KILL_SUIDGID;
	case FUSE_CREATE:
		return ((const struct fuse_create_in *)arg)->open_flags & FUSE_OPEN_KILL_SUIDGID;
	default:
		return false;
	}
}
