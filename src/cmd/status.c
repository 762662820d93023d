/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include "cmd/options.h"
#include "cmd/status_report.h"

enum { OPT_JSON = 1 };

static const struct option_def options[] = {
	{OPT_JSON, 0, "json", NULL, "print JSON"},
	{0, 0, NULL, NULL, NULL},
};

static bool is_this_host(const char *host)
{
	char own[256] = "";
	return gethostname(own, sizeof(own) - 1) == 0 && strcmp(own, host) == 0;
}

/*
 * Known without the key: a held lock tells of a living daemon, its text who that is or was, and
 * state/epoch whether the last one ended cleanly.
 */
static enum usage usage_of(struct status_report *s)
{
	bool held = false;
	int rc = lock_query(s->store, &s->holder, &held);
	s->has_holder = rc == 0 && s->holder.host[0];
	s->has_epochs = epochs_peek(s->store, &s->epochs) == 0;
	if (rc == 0 && held)
		return s->has_holder ? USAGE_MOUNTED : USAGE_MOUNTED_READ_ONLY;
	if (rc == 0)
		return is_this_host(s->holder.host) ? USAGE_UNCLEAN : USAGE_CLAIMED;
	if (rc != -ENOENT || !s->has_epochs)
		return USAGE_UNKNOWN;
	if (s->epochs.open)
		return USAGE_UNCLEAN;
	return s->epochs.clean_end > 0 ? USAGE_CLEAN : USAGE_NEVER;
}

static int collect(struct status_report *s, const char *path, struct err *err)
{
	const struct mount_entry *e;
	int rc = mount_list_read(&s->mounts, err);
	if (rc < 0)
		return rc;
	e = mount_list_find(&s->mounts, path);
	rc = repo_open(e ? e->source : path, true, &s->repo, err);
	if (rc < 0)
		return rc;
	s->store = repo_store(s->repo);
	rc = store_probe_static(s->store, s->warnings, sizeof(s->warnings));
	if (rc == 0)
		rc = st_fstatfs(s->store, &s->fs);
	if (rc < 0)
		return err_set_errno(err, exit_code_of_errno(rc), rc, "%s", path);
	s->usage = usage_of(s);
	return 0;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *path;
	bool json = false;
	int id;
	args_begin(&a, cmd, argc, argv);
	while ((id = args_next(&a, &value)) > 0)
		json = true;
	if (id < 0 || args_operands(&a, 1, &path) < 0)
		return a.code;
	struct err err = ERR_INIT;
	struct status_report *s = calloc(1, sizeof(*s));
	int rc =
		s ? collect(s, path, &err) : err_set(&err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	if (rc == 0 && json)
		rc = status_print_json(s, &err);
	else if (rc == 0)
		status_print_text(s);
	if (s) {
		mount_list_clear(&s->mounts);
		repo_close(s->repo);
		free(s);
	}
	return rc < 0 ? command_fail(&err) : EXIT_OK;
}

const struct command status_command = {
	.name = "status",
	.summary = "Show what a repository is, who uses it, and how it ended last",
	.operands = "REPO|MOUNTPOINT",
	.description = "Needs no password, so nothing that it shows has been verified.\n",
	.options = options,
	.run = run,
};
