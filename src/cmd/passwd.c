/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include "cmd/options.h"
#include "keys/repo.h"
#include "util/secret.h"

enum { OPT_FILE = 1, OPT_COMMAND, OPT_NEW_FILE, OPT_NEW_COMMAND, OPT_SLOT };

static const struct option_def options[] = {
	PASSWORD_OPTIONS(OPT_FILE, OPT_COMMAND),
	{OPT_NEW_FILE, 0, "new-password-file", "FILE", "read the new password from FILE"},
	{OPT_NEW_COMMAND, 0, "new-password-command", "COMMAND",
		"read the new password from COMMAND's output"},
	{OPT_SLOT, 0, "slot", "N", "change slot N, whichever slot the old password opens"},
	{0, 0, NULL, NULL, NULL},
};

struct request {
	const char *path;
	int slot; /* -1: the one that the old password opens */
	struct password_source old, new;
};

/* -1: go on; else the exit code. */
static int read_arguments(struct request *q, const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value;
	int id;
	args_begin(&a, cmd, argc, argv);
	while ((id = args_next(&a, &value)) > 0) {
		switch (id) {
		case OPT_FILE:
			q->old.file = value;
			break;
		case OPT_COMMAND:
			q->old.command = value;
			break;
		case OPT_NEW_FILE:
			q->new.file = value;
			break;
		case OPT_NEW_COMMAND:
			q->new.command = value;
			break;
		case OPT_SLOT:
			if (!parse_number(value, &q->slot))
				return (int)command_misuse(
					cmd, "\"%s\" is not a slot's number", value);
			break;
		}
	}
	if (id < 0 || args_operands(&a, 1, &q->path) < 0)
		return (int)a.code;
	return -1;
}

/* The change itself, under the lock: coffer.ini may have changed since the password was asked. */
static int change(struct store *st, const struct request *q, const char *old, size_t old_len,
	const char *new, size_t new_len, unsigned *ret_slot, struct err *err)
{
	_cleanup_close_ int lock = -1;
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	if (!s)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	unsigned slot = 0;
	int rc = config_lock(st, &lock, err);
	if (rc == 0)
		rc = config_load(st, &c, err);
	if (rc == 0)
		rc = config_unlock_password(c, old, old_len, -1, s, &slot, err);
	if (rc < 0)
		return rc;
	if (q->slot >= 0)
		slot = (unsigned)q->slot;
	rc = config_set_password(c, slot, s, new, new_len, err);
	if (rc == 0)
		rc = config_store(c, st, s, err);
	if (rc == 0)
		*ret_slot = slot;
	return rc;
}

static int passwd(const struct request *q, unsigned *ret_slot, struct err *err)
{
	_cleanup_(repo_closep) struct repo *r = NULL;
	_cleanup_secret_ char *old = NULL;
	_cleanup_secret_ char *new = NULL;
	size_t old_len = 0, new_len = 0;
	int rc = repo_open(q->path, false, &r, err);
	if (rc == 0)
		rc = password_read(&q->old, &old, &old_len, err);
	/* Before the new one is asked for: nobody likes to type that in vain. */
	if (rc == 0)
		rc = repo_unlock_password(r, old, old_len, err);
	if (rc == 0)
		rc = password_read(&q->new, &new, &new_len, err);
	if (rc == 0)
		rc = change(repo_store(r), q, old, old_len, new, new_len, ret_slot, err);
	return rc;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct request q = {
		.slot = -1,
		.old = {.prompt = "Old password"},
		.new = {.prompt = "New password", .confirm = true},
	};
	int code = read_arguments(&q, cmd, argc, argv);
	if (code >= 0)
		return (enum exit_code)code;
	struct err err = ERR_INIT;
	unsigned slot = 0;
	if (passwd(&q, &slot, &err) < 0)
		return command_fail(&err);
	printf("The password of slot %u of %s is changed. Copies of the old coffer.ini still open "
	       "with the "
	       "old password.\n",
		slot, q.path);
	return EXIT_OK;
}

const struct command passwd_command = {
	.name = "passwd",
	.summary = "Change a password; the data key and the data stay",
	.operands = "REPO",
	.description = "Works while the repository is mounted.\n",
	.options = options,
	.run = run,
};
