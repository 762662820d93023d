/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_FUSE_SESSION_H
#define COFFER_FUSE_SESSION_H

/*
 * A mount's life: mounts, serves requests with several threads until unmounted or told to stop by
 * SIGTERM/SIGINT, flushes, unmounts.
 */
#include "node/fs.h"
#include "util/error.h"

struct fuse_mount_options {
	const char *mountpoint;     /* absolute */
	const char *source;         /* shown by mount(8): the repository's path */
	const char *kernel_options; /* comma-separated, for libfuse's -o (allow_other, ro, nosuid,
				       ...), or NULL */
	bool read_only;
	bool debug;
	unsigned threads; /* 0: choose */
};

/*
 * Runs until the end. ready(cookie) is called once, when the kernel has accepted the mount and
 * operations work. On failure before that err says why (EXIT_FUSE, EXIT_MOUNTPOINT). The fs stays
 * the caller's.
 */
int fuse_serve(struct fs *fs, const struct fuse_mount_options *o, void (*ready)(void *cookie),
	void *cookie, struct err *err);

#endif
