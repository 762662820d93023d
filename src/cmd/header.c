/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cmd/options.h"
#include "keys/repo.h"

/* ---- backup ---- */

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
}

/* The new file's entry is durable when its directory is. */
static int sync_directory_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	_cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int write_new_file(const char *path, const char *text, size_t len, struct err *err)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, EXIT_FILE, -EEXIST,
			"%s is there already: nothing is overwritten", path);
	if (fd < 0)
		return err_set_errno(err, EXIT_FILE, -errno, "cannot make %s", path);
	int rc = write_all(fd, text, len);
	if (rc == 0)
		rc = sync_directory_of(path);
	if (rc < 0) {
		(void)unlink(path);
		return err_set_errno(err, EXIT_FILE, rc, "cannot write %s", path);
	}
	return 0;
}

static int backup(const char *path, const char *file, struct err *err)
{
	_cleanup_(store_closep) struct store *st = NULL;
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int rc = store_open(path, true, &st, err);
	if (rc == 0)
		rc = config_load_text(st, &text, &len, &c, err);
	if (rc == 0)
		rc = write_new_file(file, text, len, err);
	if (rc == 0)
		printf("%s now holds the configuration and key slots of %s.\nWhoever has it and "
		       "one of its "
		       "passwords can read the repository, also after `coffer passwd`.\n",
			file, path);
	return rc;
}

/* ---- restore ---- */

/* Bounded before memory is taken. */
static int read_whole(const char *file, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *text = malloc(CONFIG_MAX + 1);
	if (fd < 0)
		return err_set_errno(err, EXIT_FILE, -errno, "cannot open %s", file);
	if (!text)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	size_t len = 0;
	while (len <= CONFIG_MAX) {
		ssize_t n = read(fd, text + len, CONFIG_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, EXIT_FILE, -errno, "cannot read %s", file);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* What the repository itself says it is: coffer.ini, or its second copy. NULL: neither can be read.
 */
static struct config *current_config(struct store *st)
{
	static const char *const names[] = {CONFIG_NAME, CONFIG_BAK_NAME};
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *text = NULL;
		struct config *c = NULL;
		size_t len;
		if (st_read_file(st, store_root(st), names[i], CONFIG_MAX, &text, &len) == 0 &&
			config_parse(text, len, &c, NULL) == 0)
			return c;
	}
	return NULL;
}

/* Another repository's header opens nothing, and one of an older generation not what was written
 * since. */
static int check_fits(const struct config *now, const struct config *wanted, const char *path,
	const char *file, struct err *err)
{
	if (!now)
		return 0;
	if (strcmp(config_uuid(now), config_uuid(wanted)) != 0)
		return err_set(err, EXIT_OTHER_REPO, -EINVAL,
			"%s belongs to another repository (UUID %s) than %s (UUID %s)", file,
			config_uuid(wanted), path, config_uuid(now));
	if (config_generation(wanted) < config_generation(now))
		return err_set(err, EXIT_OTHER_REPO, -EINVAL,
			"%s has key generation %u, %s is at generation %u: what was written since "
			"could "
			"not be read",
			file, config_generation(wanted), path, config_generation(now));
	return 0;
}

/* Some directories of a repository must be there, so that no header lands in a directory of another
 * kind. */
static int check_is_repository(struct store *st, const char *path, struct err *err)
{
	struct stat sb;
	if (st_fstatat(st, store_root(st), "data", &sb) == 0 && S_ISDIR(sb.st_mode))
		return 0;
	return err_set(err, EXIT_NOT_REPO, -ENOENT,
		"%s is not a coffer repository: it has no data directory", path);
}

/*
 * Keeps what is about to be replaced, whatever is in it. A copy, not a rename: a crash must not
 * leave the repository without coffer.ini. What cannot be read as a file is only moved out of the
 * way.
 */
static int put_aside(struct store *st, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int root = store_root(st);
	int rc = st_read_file(st, root, CONFIG_NAME, CONFIG_MAX, &text, &len);
	if (rc == 0)
		rc = st_replace_file(st, root, CONFIG_REPLACED_NAME, text, len, 0600);
	else if (rc != -ENOENT)
		rc = st_renameat2(st, root, CONFIG_NAME, root, CONFIG_REPLACED_NAME, 0);
	if (rc < 0 && rc != -ENOENT)
		return err_set_errno(err, exit_code_of_errno(rc), rc,
			"nothing was changed: cannot put the present coffer.ini aside");
	return 0;
}

static int restore(const char *path, const char *file, struct err *err)
{
	_cleanup_(store_closep) struct store *st = NULL;
	_cleanup_(config_freep) struct config *wanted = NULL;
	_cleanup_(config_freep) struct config *now = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int lock = -1;
	size_t len = 0;
	int rc = read_whole(file, &text, &len, err);
	if (rc == 0) {
		rc = config_parse(text, len, &wanted, err);
		if (rc < 0)
			err_prefix(err, "%s is no usable copy of a coffer.ini", file);
	}
	if (rc == 0)
		rc = store_open(path, false, &st, err);
	if (rc == 0)
		rc = check_is_repository(st, path, err);
	if (rc == 0)
		rc = config_lock(st, &lock, err);
	if (rc < 0)
		return rc;
	now = current_config(st);
	rc = check_fits(now, wanted, path, file, err);
	if (rc == 0)
		rc = put_aside(st, err);
	if (rc == 0)
		rc = config_write_text(st, text, len, err);
	if (rc == 0)
		printf("%s has the configuration and key slots of %s again. What was there before "
		       "is in %s/" CONFIG_REPLACED_NAME
		       ".\nPasswords are those of the day of the backup.\n",
			path, file, path);
	return rc;
}

/* ---- the command line ---- */

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *operands[3];
	args_begin(&a, cmd, argc, argv);
	if (args_next(&a, &value) < 0 || args_operands(&a, 3, operands) < 0)
		return a.code;
	struct err err = ERR_INIT;
	int rc;
	if (strcmp(operands[0], "backup") == 0)
		rc = backup(operands[1], operands[2], &err);
	else if (strcmp(operands[0], "restore") == 0)
		rc = restore(operands[1], operands[2], &err);
	else
		return command_misuse(
			cmd, "\"%s\" is neither \"backup\" nor \"restore\"", operands[0]);
	return rc < 0 ? command_fail(&err) : EXIT_OK;
}

const struct command header_command = {
	.name = "header",
	.summary = "Save or put back the configuration and key slots (coffer.ini)",
	.operands = "backup|restore REPO FILE",
	.description =
		"Without coffer.ini nothing in a repository can be read: keep a copy elsewhere.\n",
	.run = run,
};
