/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/fuse_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cmd/unmount.h"
#include "util/cleanup.h"

static int check_present(struct err *err)
{
	struct stat sb;
	if (stat("/dev/fuse", &sb) < 0)
		return err_set(err, EXIT_FUSE, -ENODEV,
			"there is no /dev/fuse: the kernel's FUSE module is not loaded (modprobe "
			"fuse), "
			"or the container was not given the device");
	if (geteuid() != 0 && !fusermount_exists())
		return err_set(err, EXIT_FUSE, -ENOENT,
			"fusermount3 cannot be run: users other than root need it (Debian: fuse3)");
	return 0;
}

/* libfuse opens the device as the user who mounts, before it asks fusermount3. */
static int check_access(struct err *err)
{
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == EACCES)
		return err_set(err, EXIT_FUSE, -EACCES,
			"no permission to open /dev/fuse: its mode must be 0666 for users other "
			"than "
			"root, as udev sets it");
	return err_set_errno(err, EXIT_FUSE, -errno, "cannot open /dev/fuse");
}

/* fusermount3 demands this of users other than root; said here with the remedy. */
static int check_allow_other(const struct mount_options *o, struct err *err)
{
	if (geteuid() == 0 || !(o->allow_other || o->allow_root))
		return 0;
	_cleanup_fclose_ FILE *f = fopen("/etc/fuse.conf", "re");
	char line[256];
	while (f && fgets(line, sizeof(line), f)) {
		char word[32];
		if (sscanf(line, " %31s", word) == 1 && strcmp(word, "user_allow_other") == 0)
			return 0;
	}
	return err_set(err, EXIT_FUSE, -EPERM,
		"allow_other and allow_root are for root only, unless the line "
		"\"user_allow_other\" "
		"stands in /etc/fuse.conf");
}

int fuse_check(const struct mount_options *o, struct err *err)
{
	int rc = check_present(err);
	if (rc == 0)
		rc = check_allow_other(o, err);
	return rc < 0 ? rc : check_access(err);
}
