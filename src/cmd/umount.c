/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "cmd/holders.h"
#include "cmd/mountinfo.h"
#include "cmd/options.h"
#include "cmd/unmount.h"
#include "store/lock.h"
#include "util/cleanup.h"

enum { OPT_LAZY = 1 };

static const struct option_def options[] = {
	{OPT_LAZY, 'l', "lazy", NULL,
		"detach at once; the mount ends when nobody uses it any more"},
	{0, 0, NULL, NULL, NULL},
};

#define HOLDERS_SHOWN 20
#define POLL_MS 20
#define SAY_AFTER_MS 5000
#define EXIT_GRACE_MS 1000

/* The daemon behind a mount, as far as this user can know it. */
struct daemon {
	struct store *store; /* NULL: unknown */
	int pidfd;           /* -1: unknown */
	long pid;
};

static bool holds_lock(const struct daemon *d)
{
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	bool held = false;
	return h && lock_query(d->store, h, &held) == 0 && held && h->pid == d->pid;
}

/* A read-only mount has no lock to its name, and nothing to write out: nobody waits for its daemon.
 */
static void find_daemon(const struct mount_entry *e, struct daemon *d)
{
	*d = (struct daemon){.pidfd = -1};
	_cleanup_(store_closep) struct store *st = NULL;
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	bool held;
	struct err ignored = ERR_INIT;
	if (!h || e->read_only || store_open(e->source, true, &st, &ignored) < 0)
		return;
	if (lock_query(st, h, &held) < 0 || !held || strcmp(h->mountpoint, e->mountpoint) != 0)
		return;
	d->store = TAKE_PTR(st);
	d->pid = h->pid;
	d->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)h->pid, 0);
	/* It may have ended, and another process have its number. */
	if (d->pidfd >= 0 && !holds_lock(d)) {
		close(d->pidfd);
		d->pidfd = -1;
	}
}

static void forget_daemon(struct daemon *d)
{
	store_close(d->store);
	if (d->pidfd >= 0)
		close(d->pidfd);
}

/*
 * "Returned" is to mean that everything is on the disk: the daemon writes out after the mount is
 * gone, and gives the lock up last. Then it has a moment to exit.
 */
static void wait_for_daemon(const struct daemon *d)
{
	if (!d->store)
		return;
	for (long waited = 0; holds_lock(d); waited += POLL_MS) {
		const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
		(void)nanosleep(&pause, NULL);
		if (waited == SAY_AFTER_MS)
			(void)fprintf(
				stderr, "coffer: waiting for process %ld to write out\n", d->pid);
	}
	struct pollfd p = {.fd = d->pidfd, .events = POLLIN};
	if (d->pidfd >= 0)
		(void)poll(&p, 1, EXIT_GRACE_MS);
}

static enum exit_code fail(const struct err *err, const char *mountpoint)
{
	enum exit_code code = command_fail(err);
	if (code == EXIT_BUSY && holders_print(mountpoint, HOLDERS_SHOWN, stderr) == 0)
		(void)fprintf(stderr, "    by a process that you may not look into, or by a mount "
				      "below it\n");
	return code;
}

static enum exit_code unmount(const struct mount_entry *e, bool lazy)
{
	struct err err = ERR_INIT;
	struct daemon d;
	find_daemon(e, &d);
	/* This process may itself have been started in the mount, and would keep it busy. */
	if (chdir("/") < 0)
		command_warn("cannot change to the root directory");
	int rc = unmount_at(e->mountpoint, lazy, &err);
	if (rc == 0 && !lazy)
		wait_for_daemon(&d);
	forget_daemon(&d);
	return rc < 0 ? fail(&err, e->mountpoint) : EXIT_OK;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *path;
	bool lazy = false;
	int id;
	args_begin(&a, cmd, argc, argv);
	while ((id = args_next(&a, &value)) > 0)
		lazy = true;
	if (id < 0 || args_operands(&a, 1, &path) < 0)
		return a.code;
	struct err err = ERR_INIT;
	struct mount_list list;
	if (mount_list_read(&list, &err) < 0)
		return command_fail(&err);
	const struct mount_entry *e = mount_list_find(&list, path);
	enum exit_code code;
	if (e) {
		code = unmount(e, lazy);
	} else {
		err_set(&err, EXIT_NOT_MOUNTED, -EINVAL, "no coffer repository is mounted at %s",
			path);
		code = command_fail(&err);
	}
	mount_list_clear(&list);
	return code;
}

const struct command umount_command = {
	.name = "umount",
	.summary = "Unmount; when it returns, everything is on the disk",
	.operands = "MOUNTPOINT",
	.options = options,
	.run = run,
};
