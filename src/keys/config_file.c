/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/config_internal.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define STATE_NAME "state"
#define LOCK_NAME "ini.lock"
#define LOCK_WAIT_MS 10000
#define LOCK_POLL_MS 50
/* Only its owner has business with slots and salts. */
#define CONFIG_MODE 0600

static bool exists(struct store *st, const char *name)
{
	struct stat sb;
	return st_fstatat(st, store_root(st), name, &sb) == 0;
}

/* True if coffer.ini.bak would do in place of coffer.ini. */
static bool bak_is_good(struct store *st)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	_cleanup_(config_freep) struct config *c = NULL;
	return st_read_file(st, store_root(st), CONFIG_BAK_NAME, CONFIG_MAX, &text, &len) == 0 &&
	       config_parse(text, len, &c, NULL) == 0;
}

/* Adds to a damage report what the user can do about it. */
static int advise(struct store *st, const struct err *cause, int r, struct err *err)
{
	const char *path = store_path(st);
	if (bak_is_good(st))
		return err_set(err, EXIT_REPO_DAMAGED, r,
			"%s/" CONFIG_NAME
			": %s.\nIts second copy is intact: `coffer header restore %s "
			"%s/" CONFIG_BAK_NAME "` puts it back",
			path, cause->text, path, path);
	return err_set(err, EXIT_REPO_DAMAGED, r,
		"%s/" CONFIG_NAME
		": %s.\nIts second copy is not intact either: `coffer header restore %s FILE` "
		"puts a copy back that `coffer header backup` made",
		path, cause->text, path);
}

static int read_failed(struct store *st, int r, struct err *err)
{
	const char *path = store_path(st);
	struct err cause = ERR_INIT;
	switch (-r) {
	case ENOENT:
		if (!exists(st, CONFIG_BAK_NAME) && !(exists(st, "data") && exists(st, STATE_NAME)))
			return err_set(err, EXIT_NOT_REPO, r,
				"%s is not a coffer repository: it has no " CONFIG_NAME, path);
		err_set(&cause, EXIT_REPO_DAMAGED, r, "it is missing");
		return advise(st, &cause, r, err);
	case EFBIG:
		err_set(&cause, EXIT_REPO_DAMAGED, r, "it is too long");
		return advise(st, &cause, r, err);
	case EINVAL:
	case ELOOP:
		err_set(&cause, EXIT_REPO_DAMAGED, r, "it is not a regular file");
		return advise(st, &cause, r, err);
	}
	return err_set_errno(err, exit_code_of_errno(r), r, "%s/" CONFIG_NAME, path);
}

int config_load_text(
	struct store *st, char **ret, size_t *ret_len, struct config **ret_config, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int rc = st_read_file(st, store_root(st), CONFIG_NAME, CONFIG_MAX, &text, &len);
	if (rc < 0)
		return read_failed(st, rc, err);
	struct err cause = ERR_INIT;
	rc = config_parse(text, len, ret_config, &cause);
	if (rc < 0 && cause.code == EXIT_REPO_DAMAGED)
		return advise(st, &cause, rc, err);
	if (rc < 0)
		return err_set(
			err, cause.code, rc, "%s/" CONFIG_NAME ": %s", store_path(st), cause.text);
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int config_load(struct store *st, struct config **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	return config_load_text(st, &text, &len, ret, err);
}

/* state/ holds nothing that cannot be made again, so a lost one is. */
static int open_state(struct store *st)
{
	int fd = st_openat(st, store_root(st), STATE_NAME, O_RDONLY | O_DIRECTORY, 0);
	if (fd != -ENOENT)
		return fd;
	int rc = st_mkdirat(st, store_root(st), STATE_NAME, 0700);
	if (rc < 0 && rc != -EEXIST)
		return rc;
	return st_openat(st, store_root(st), STATE_NAME, O_RDONLY | O_DIRECTORY, 0);
}

static int open_lock(struct store *st)
{
	_cleanup_close_ int state = open_state(st);
	if (state < 0)
		return state;
	return st_openat(st, state, LOCK_NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
}

static int wait_for_lock(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	for (int waited = 0;; waited += LOCK_POLL_MS) {
		if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		if (waited >= LOCK_WAIT_MS)
			return -EBUSY;
		struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
		(void)nanosleep(&pause, NULL);
	}
}

int config_lock(struct store *st, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open_lock(st);
	int rc = fd < 0 ? fd : wait_for_lock(fd);
	if (rc == -EBUSY)
		return err_set(err, EXIT_REPO_IN_USE, rc,
			"%s: another process has been changing " CONFIG_NAME
			" for 10 seconds; try again",
			store_path(st));
	if (rc < 0)
		return err_set_errno(err, exit_code_of_errno(rc), rc,
			"%s: cannot lock " STATE_NAME "/" LOCK_NAME, store_path(st));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int config_write_text(struct store *st, const char *text, size_t len, struct err *err)
{
	static const char *const names[] = {CONFIG_NAME, CONFIG_BAK_NAME};
	/*
	 * One after the other, each durable before the next is touched: after a crash coffer.ini is
	 * the old or the new one, and the second copy is never newer than it.
	 */
	for (int i = 0; i < 2; i++) {
		int rc = st_replace_file(st, store_root(st), names[i], text, len, CONFIG_MODE);
		if (rc < 0)
			return err_set_errno(err, exit_code_of_errno(rc), rc,
				i == 0 ? "%s: nothing was changed: cannot write %s"
				       : "%s: the change is in force, but its second copy is not: "
					 "cannot write %s",
				store_path(st), names[i]);
	}
	return 0;
}

int config_store(struct config *c, struct store *st, const struct secrets *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(config_freep) struct config *again = NULL;
	size_t len = 0;
	int rc = config_format(c, s, &text, &len, err);
	if (rc < 0)
		return rc;
	/* Nothing is put in place that could not be read back. */
	rc = config_parse(text, len, &again, err);
	if (rc < 0)
		return rc;
	rc = config_write_text(st, text, len, err);
	if (rc < 0)
		return rc;
	char *old = c->text;
	*c = *again;
	again->text = old;
	return 0;
}
