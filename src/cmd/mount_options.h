/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_MOUNT_OPTIONS_H
#define COFFER_CMD_MOUNT_OPTIONS_H

/* The comma-separated options of `coffer mount -o`, fstab and mount.fuse3. */
#include <stdbool.h>
#include <stddef.h>
#include "util/error.h"

struct mount_options {
	bool read_only;
	bool suid, dev; /* off unless asked for */
	bool noexec;
	bool sync, dirsync;
	bool noatime, nodiratime;
	bool allow_other, allow_root;
	bool nonempty;
	char *password_file;    /* malloc'ed, or NULL */
	char *password_command; /* malloc'ed, or NULL */
};

/*
 * Reads one option string into o (zeroed before the first): later ones win. A comma in a value is
 * written "\,". Generic words of fstab lines are accepted and have no effect. EXIT_USAGE: an
 * unknown option (named, with the nearest known one), or one that coffer refuses, with the reason.
 */
int mount_options_parse(struct mount_options *o, const char *text, struct err *err);
void mount_options_clear(struct mount_options *o);

/* The options for the kernel and libfuse, comma-separated. -ENAMETOOLONG if they do not fit (they
 * do in 256 bytes). */
int mount_options_kernel(const struct mount_options *o, char *out, size_t size);

#endif
