/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <fcntl.h>
#include <unistd.h>
#include "cmd/mountinfo.h"
#include "cmd/options.h"
#include "util/cleanup.h"
#include "util/control.h"

static int sync_at(const char *mountpoint, struct err *err)
{
	_cleanup_close_ int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, EXIT_IO, -errno, "cannot open %s", mountpoint);
	/* First what the kernel still holds, as writes to the daemon; then what the daemon has. */
	if (syncfs(fd) < 0 || ioctl(fd, CONTROL_CHECKPOINT) < 0)
		return err_set_errno(err, exit_code_of_errno(-errno), -errno,
			"%s: not everything could be written to the disk", mountpoint);
	return 0;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *path;
	args_begin(&a, cmd, argc, argv);
	if (args_next(&a, &value) < 0 || args_operands(&a, 1, &path) < 0)
		return a.code;
	struct err err = ERR_INIT;
	struct mount_list list;
	int rc = mount_list_read(&list, &err);
	if (rc < 0)
		return command_fail(&err);
	const struct mount_entry *e = mount_list_find(&list, path);
	if (e)
		rc = sync_at(e->mountpoint, &err);
	else
		rc = err_set(&err, EXIT_NOT_MOUNTED, -EINVAL,
			"no coffer repository is mounted at %s", path);
	mount_list_clear(&list);
	return rc < 0 ? command_fail(&err) : EXIT_OK;
}

const struct command sync_command = {
	.name = "sync",
	.summary = "Make everything that was written so far durable",
	.operands = "MOUNTPOINT",
	.description = "sync(1) and syncfs(2) reach a FUSE file system only as writes; this goes "
		       "all the way.\n",
	.run = run,
};
