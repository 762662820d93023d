/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cmd/options.h"
#include "keys/repo.h"
#include "store/lock.h"
#include "util/log.h"

enum { OPT_YES = 1 };

static const struct option_def options[] = {
	{OPT_YES, 'y', "yes", NULL, "do not ask"},
	{0, 0, NULL, NULL, NULL},
};

static void show_holder(const struct lock_holder *h, const char *path)
{
	char when[64] = "an unknown time", host[512], where[1024];
	struct tm tm;
	time_t t = (time_t)h->since;
	if (h->since > 0 && localtime_r(&t, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	(void)fprintf(stderr, "coffer: %s is claimed by host %s, process %ld, since %s", path,
		log_quote(host, sizeof(host), h->host), h->pid, when);
	if (h->mountpoint[0])
		(void)fprintf(
			stderr, ", mounted at %s", log_quote(where, sizeof(where), h->mountpoint));
	(void)fprintf(stderr, ".\n");
}

/* Only the whole word counts: two hosts that write to one repository would ruin it. */
static bool confirmed(void)
{
	_cleanup_fclose_ FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty)
		return false;
	(void)fprintf(tty, "If that host is still using it, both would damage it.\n"
			   "Is that host gone, or the mount on it ended? Type \"yes\": ");
	(void)fflush(tty);
	char line[16];
	return fgets(line, sizeof(line), tty) && strcmp(line, "yes\n") == 0;
}

static int break_it(const char *path, bool yes, struct err *err)
{
	_cleanup_(repo_closep) struct repo *r = NULL;
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	int rc = repo_open(path, false, &r, err);
	if (rc < 0)
		return rc;
	bool held = false;
	rc = lock_query(repo_store(r), h, &held);
	if (rc == -ENOENT) {
		printf("Nobody claims %s.\n", path);
		return 0;
	}
	if (rc < 0)
		return err_set_errno(
			err, exit_code_of_errno(rc), rc, "%s: cannot read state/lock", path);
	/* A lock that is really held is refused below, with its holder's name. */
	if (!held) {
		show_holder(h, path);
		if (!yes && !confirmed())
			return err_set(err, EXIT_REFUSED, -ECANCELED,
				"not confirmed: nothing was changed");
	}
	rc = lock_break(repo_store(r), err);
	if (rc == 0)
		printf("The claim on %s is removed.\n", path);
	return rc;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *path;
	bool yes = false;
	int id;
	args_begin(&a, cmd, argc, argv);
	while ((id = args_next(&a, &value)) > 0)
		yes = true;
	if (id < 0 || args_operands(&a, 1, &path) < 0)
		return a.code;
	struct err err = ERR_INIT;
	return break_it(path, yes, &err) < 0 ? command_fail(&err) : EXIT_OK;
}

const struct command break_lock_command = {
	.name = "break-lock",
	.summary = "Take a repository over from a host that is gone",
	.operands = "REPO",
	.description = "Shows who claims the repository, and asks before it removes the claim.\n",
	.options = options,
	.run = run,
};
