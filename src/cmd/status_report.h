/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_STATUS_REPORT_H
#define COFFER_CMD_STATUS_REPORT_H

/* What `coffer status` found out, and its two forms. */
#include <sys/statfs.h>
#include "blob/epoch.h"
#include "cmd/mountinfo.h"
#include "keys/repo.h"
#include "store/lock.h"

enum usage {
	USAGE_UNKNOWN,           /* state/ is lost or cannot be read */
	USAGE_NEVER,             /* nobody ever mounted it for writing */
	USAGE_CLEAN,             /* not mounted, ended cleanly */
	USAGE_UNCLEAN,           /* not mounted, a daemon ended without unmounting */
	USAGE_CLAIMED,           /* another host has it mounted, or ended without unmounting */
	USAGE_MOUNTED,           /* in use now */
	USAGE_MOUNTED_READ_ONLY, /* in use now, for reading */
};

struct status_report {
	struct repo *repo;
	struct store *store; /* repo's */
	struct mount_list mounts;
	char warnings[2048];
	struct statfs fs; /* of the backing file system */
	enum usage usage;
	bool has_holder;
	struct lock_holder holder;
	bool has_epochs; /* state/epoch could be read */
	struct epochs_clear epochs;
};

void status_print_text(const struct status_report *s);
int status_print_json(const struct status_report *s, struct err *err);

#endif
