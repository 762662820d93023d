/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include "cmd/options.h"
#include "keys/repo.h"
#include "util/json.h"
#include "util/secret.h"

enum { OPT_FILE = 1, OPT_COMMAND, OPT_LABEL, OPT_JSON };

static const struct option_def options[] = {
	PASSWORD_OPTIONS(OPT_FILE, OPT_COMMAND),
	{OPT_LABEL, 0, "label", "TEXT", "a name for the repository, readable without the password"},
	{OPT_JSON, 0, "json", NULL, "print the result as JSON"},
	{0, 0, NULL, NULL, NULL},
};

struct request {
	const char *path;
	const char *label;
	bool json;
	struct password_source password;
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
			q->password.file = value;
			break;
		case OPT_COMMAND:
			q->password.command = value;
			break;
		case OPT_LABEL:
			q->label = value;
			break;
		case OPT_JSON:
			q->json = true;
			break;
		}
	}
	if (id < 0 || args_operands(&a, 1, &q->path) < 0)
		return (int)a.code;
	return -1;
}

static enum exit_code print_json(const struct repo *r, const char *warnings)
{
	const struct config *c = repo_config(r);
	_cleanup_(json_out_freep) struct json_out *j = json_out_new();
	json_out_text(j, "repository", store_path(repo_store(r)));
	json_out_text(j, "uuid", config_uuid(c));
	json_out_text(j, "label", config_label(c));
	json_out_text(j, "fingerprint", config_fingerprint(c));
	json_out_number(j, "format_version", config_version(c));
	json_out_array(j, "warnings");
	for (const char *p = warnings; *p;) {
		char line[512];
		size_t n = strcspn(p, "\n");
		(void)snprintf(line, sizeof(line), "%.*s", (int)n, p);
		if (n)
			json_out_text(j, NULL, line);
		p += n + (p[n] == '\n');
	}
	json_out_end(j);
	int rc = json_out_print(j, stdout);
	struct err err = ERR_INIT;
	if (rc == 0)
		return EXIT_OK;
	err_set_errno(&err, EXIT_INTERNAL, rc, "the repository was made, but cannot be shown");
	return command_fail(&err);
}

static void print_text(const struct repo *r, const char *path)
{
	const struct config *c = repo_config(r);
	const char *label = config_label(c);
	printf("%s is a coffer repository now%s%s%s.\n", path, *label ? " (" : "", label,
		*label ? ")" : "");
	printf("Fingerprint: %s\n", config_fingerprint(c));
	printf("Without the password or coffer.ini nothing can be read. Keep a copy of both "
	       "elsewhere:\n"
	       "    coffer header backup %s FILE\n"
	       "Use it:\n"
	       "    coffer mount %s MOUNTPOINT\n",
		path, path);
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct request q = {.password = {.prompt = "New password", .confirm = true}};
	int code = read_arguments(&q, cmd, argc, argv);
	if (code >= 0)
		return (enum exit_code)code;
	struct err err = ERR_INIT;
	_cleanup_secret_ char *password = NULL;
	_cleanup_(repo_closep) struct repo *r = NULL;
	char warnings[2048] = "";
	size_t len = 0;
	int rc = repo_check_new(q.path, &err);
	if (rc == 0)
		rc = config_check_label(q.label, &err);
	if (rc == 0)
		rc = password_read(&q.password, &password, &len, &err);
	if (rc == 0)
		rc = repo_create(
			q.path, password, len, q.label, warnings, sizeof(warnings), &r, &err);
	command_warn(warnings);
	if (rc < 0)
		return command_fail(&err);
	if (q.json)
		return print_json(r, warnings);
	print_text(r, q.path);
	return EXIT_OK;
}

const struct command init_command = {
	.name = "init",
	.summary = "Make a new, empty repository",
	.operands = "REPO",
	.description =
		"REPO is made, or is an empty directory. It will hold everything encrypted. "
		"Without\n"
		"--password-file or --password-command the password is asked on the terminal.\n",
	.options = options,
	.run = run,
};
