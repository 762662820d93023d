/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_MOUNTINFO_H
#define COFFER_CMD_MOUNTINFO_H

/* coffer's mounts, as /proc/self/mountinfo lists them. */
#include <stdbool.h>
#include <stddef.h>
#include "util/error.h"

#define MOUNT_TYPE "fuse.coffer"

struct mount_entry {
	char *mountpoint; /* absolute */
	char *source;     /* the repository's path as the daemon gave it */
	bool read_only;
};

struct mount_list {
	struct mount_entry *entries; /* ours only, in the order of mounting */
	size_t count;
};

/* Pure: takes the text apart and keeps the lines of our type. Malformed lines are skipped. 0 or
 * -ENOMEM. */
int mount_list_parse(const char *text, struct mount_list *ret);
/* Reads /proc/self/mountinfo. */
int mount_list_read(struct mount_list *ret, struct err *err);
void mount_list_clear(struct mount_list *l);

/*
 * The one at path: compared with the path as it stands (made absolute, which works for dead mounts
 * too) and with realpath's answer. NULL if there is none; of several on top of each other the
 * uppermost. Belongs to the list.
 */
const struct mount_entry *mount_list_find(const struct mount_list *l, const char *path);

/*
 * path made absolute without looking at its last component: a dead mount point answers every
 * question with ENOTCONN. In malloc'ed memory; NULL with errno set if its directory does not exist.
 */
char *mountpoint_absolute(const char *path);

#endif
