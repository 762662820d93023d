/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cmd/daemon.h"
#include "cmd/fuse_check.h"
#include "cmd/mount_options.h"
#include "cmd/mountpoint.h"
#include "cmd/options.h"
#include "fuse/session.h"
#include "keys/repo.h"
#include "node/fs.h"
#include "store/lock.h"
#include "util/log.h"
#include "util/secret.h"

enum { OPT_O = 1, OPT_FILE, OPT_COMMAND, OPT_FOREGROUND, OPT_READ_ONLY, OPT_LOG, OPT_DEBUG };

static const struct option_def options[] = {
	{OPT_O, 'o', "options", "LIST", "mount options, separated by commas"},
	PASSWORD_OPTIONS(OPT_FILE, OPT_COMMAND),
	{OPT_FOREGROUND, 'f', "foreground", NULL, "stay in the foreground, log to standard error"},
	{OPT_READ_ONLY, 'r', "read-only", NULL, "write nothing at all in REPO (as -o ro)"},
	{OPT_LOG, 0, "log", "TARGET", "syslog, stderr, or the path of a file to append to"},
	{OPT_DEBUG, 0, "debug", NULL, "log every request (implies --foreground)"},
	{0, 0, NULL, NULL, NULL},
};

struct request {
	const char *repository;
	const char *mountpoint;
	struct mount_options mount;
	struct password_source password;
	bool foreground, debug;
	const char *log; /* as given, or NULL */
};

/* ---- while it runs ---- */

/* What the ready callback needs. */
struct starting {
	const struct request *request;
	struct daemon_start *start;
	const char *source, *mountpoint;
};

static bool logs_to(const struct request *q, const char *target)
{
	return q->log && strcmp(q->log, target) == 0;
}

/* Where lines go until the mount is usable: to the user, unless a file was named. */
static int open_first_log(const struct request *q, struct err *err)
{
	enum log_level most = q->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	enum log_target target = LOG_TO_STDERR;
	if (q->log && !logs_to(q, "stderr"))
		target = logs_to(q, "syslog") ? LOG_TO_SYSLOG : LOG_TO_FILE;
	int rc = log_open(target, q->log, most);
	if (rc < 0)
		return err_set_errno(err, EXIT_FILE, rc, "cannot open the log file %s", q->log);
	return 0;
}

static void on_ready(void *cookie)
{
	const struct starting *s = cookie;
	bool background = s->start->ready_fd >= 0;
	if (background && !s->request->log)
		(void)log_open(LOG_TO_SYSLOG, NULL, LOG_LEVEL_INFO);
	log_info("%s is mounted at %s", s->source, s->mountpoint);
	int rc = daemon_ready(s->start);
	if (rc < 0) {
		/* Nobody would know of this mount: take it down in the regular way. */
		log_error("%s: the command that started the daemon is gone (%s)", s->mountpoint,
			strerror(-rc));
		(void)raise(SIGTERM);
	}
}

/* ---- checks before anything is asked or changed ---- */

/*
 * A read-only mount writes no lock text, but must not run beside a mount that writes: its caches
 * would lie. A shared lock (where the file system has locks) keeps both out, and lets several
 * read-only mounts be. *ret_fd: holds it, or -1.
 */
static int lock_shared(struct store *st, int *ret_fd, struct err *err)
{
	struct err ignored = ERR_INIT;
	_cleanup_close_ int fd = lock_take(st, NULL, &ignored);
	if (fd < 0)
		return 0; /* state/ is lost, or the medium knows no locks: nobody can write here */
	struct flock fl = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &fl) < 0 && (errno == EAGAIN || errno == EACCES)) {
		struct lock_holder *h = calloc(1, sizeof(*h));
		bool held;
		char where[256];
		int rc = h ? lock_query(st, h, &held) : -ENOMEM;
		if (rc == 0)
			rc = err_set(err, EXIT_REPO_IN_USE, -EBUSY,
				"%s is mounted for writing at %s (process %ld)", store_path(st),
				log_quote(where, sizeof(where), h->mountpoint), h->pid);
		else
			rc = err_set(err, EXIT_REPO_IN_USE, -EBUSY, "%s is mounted for writing",
				store_path(st));
		free(h);
		return rc;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- the mount ---- */

static int unlock(const struct request *q, struct repo *r, struct err *err)
{
	_cleanup_secret_ char *password = NULL;
	_cleanup_free_ char *prompt = NULL;
	size_t len = 0;
	struct password_source source = q->password;
	if (asprintf(&prompt, "Password for %s", q->repository) < 0) {
		prompt = NULL;
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	}
	source.prompt = prompt;
	int rc = password_read(&source, &password, &len, err);
	return rc < 0 ? rc : repo_unlock_password(r, password, len, err);
}

/*
 * From the first write to the last, signals that ask for the end wait until fuse_serve takes them:
 * none may cut off the start or the writing out, not even a second one. They stay blocked until the
 * process exits.
 */
static void defer_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaddset(&set, numbers[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int serve(struct starting *s, struct repo *r, struct err *err)
{
	const struct request *q = s->request;
	char kernel_options[256];
	int rc = mount_options_kernel(&q->mount, kernel_options, sizeof(kernel_options));
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "the mount options");
	const struct fs_options fs_options = {0};
	const struct fuse_mount_options fuse = {
		.mountpoint = s->mountpoint,
		.source = s->source,
		.kernel_options = kernel_options,
		.read_only = q->mount.read_only,
		.debug = q->debug,
	};
	struct fs *fs;
	/* Modes come with the requests, already cut by the caller's umask. */
	umask(0);
	rc = fs_open(repo_store(r), repo_keys(r), &fs_options, &fs, err);
	if (rc < 0)
		return rc;
	rc = fuse_serve(fs, &fuse, on_ready, s, err);
	int end = fs_close(fs);
	if (end < 0) {
		log_error("%s: not everything could be written: %s", s->source, strerror(-end));
		if (rc == 0)
			rc = err_set_errno(err, exit_code_of_errno(end), end,
				"%s: not everything could be written", s->source);
	} else if (rc == 0) {
		log_info("%s: unmounted cleanly", s->mountpoint);
	}
	return rc;
}

/* Says "in use" before a password is asked for. The lock itself is taken afterwards: who is
 * interrupted there must leave no claim. */
static int check_lock(struct store *st, const char *mountpoint, struct err *err)
{
	_cleanup_free_ struct lock_holder *h = calloc(1, sizeof(*h));
	bool held;
	if (!h)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	if (lock_query(st, h, &held) < 0)
		return 0;
	int lock = lock_take(st, mountpoint, err);
	if (lock < 0)
		return lock;
	lock_release(st, lock); /* it was this host's, of a daemon that is gone */
	return 0;
}

static int mount_writing(struct starting *s, struct repo *r, struct err *err)
{
	struct store *st = repo_store(r);
	int rc = check_lock(st, s->mountpoint, err);
	if (rc == 0)
		rc = unlock(s->request, r, err);
	if (rc < 0)
		return rc;
	defer_signals();
	int lock = lock_take(st, s->mountpoint, err);
	if (lock < 0)
		return lock;
	rc = serve(s, r, err);
	lock_release(st, lock);
	return rc;
}

static int mount_reading(struct starting *s, struct repo *r, struct err *err)
{
	_cleanup_close_ int shared = -1;
	int rc = lock_shared(repo_store(r), &shared, err);
	if (rc == 0)
		rc = unlock(s->request, r, err);
	if (rc < 0)
		return rc;
	defer_signals();
	return serve(s, r, err);
}

static void log_lines(char *text)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_warning("%s", line);
}

static int mount_all(const struct request *q, struct daemon_start *start, struct err *err)
{
	_cleanup_free_ char *mountpoint = NULL;
	_cleanup_(repo_closep) struct repo *r = NULL;
	char warnings[2048] = "";
	int rc = fuse_check(&q->mount, err);
	if (rc == 0)
		rc = repo_open(q->repository, q->mount.read_only, &r, err);
	if (rc == 0)
		rc = mountpoint_prepare(q->mountpoint, q->mount.nonempty, &mountpoint, err);
	if (rc == 0)
		rc = mountpoint_check_nesting(mountpoint, store_path(repo_store(r)), err);
	if (rc < 0)
		return rc;
	if (store_probe_static(repo_store(r), warnings, sizeof(warnings)) == 0)
		log_lines(warnings);
	struct starting s = {
		.request = q,
		.start = start,
		.source = store_path(repo_store(r)),
		.mountpoint = mountpoint,
	};
	return q->mount.read_only ? mount_reading(&s, r, err) : mount_writing(&s, r, err);
}

static enum exit_code work(void *cookie, struct daemon_start *start)
{
	const struct request *q = cookie;
	struct err err = ERR_INIT;
	int rc = open_first_log(q, &err);
	if (rc == 0)
		rc = mount_all(q, start, &err);
	return rc < 0 ? command_fail(&err) : EXIT_OK;
}

/* ---- the command line ---- */

/* Standard options and what -o says about the same things must not contradict each other. */
static int merge_password(struct request *q, const struct command *cmd)
{
	const struct mount_options *o = &q->mount;
	if ((q->password.file && o->password_file) || (q->password.command && o->password_command))
		return (int)command_misuse(cmd, "the password's source is given twice");
	if (o->password_file)
		q->password.file = o->password_file;
	if (o->password_command)
		q->password.command = o->password_command;
	if (q->password.file && q->password.command)
		return (int)command_misuse(
			cmd, "a password file and a password command cannot both be given");
	return -1;
}

static int take_option(struct request *q, const struct command *cmd, int id, const char *value)
{
	struct err err = ERR_INIT;
	switch (id) {
	case OPT_O:
		if (mount_options_parse(&q->mount, value, &err) < 0)
			return err.code == EXIT_USAGE ? (int)command_misuse(cmd, "%s", err.text)
						      : (int)command_fail(&err);
		break;
	case OPT_FILE:
		q->password.file = value;
		break;
	case OPT_COMMAND:
		q->password.command = value;
		break;
	case OPT_DEBUG:
		q->debug = true;
		q->foreground = true;
		break;
	case OPT_FOREGROUND:
		q->foreground = true;
		break;
	case OPT_LOG:
		if (!*value)
			return (int)command_misuse(cmd, "--log needs syslog, stderr or a path");
		q->log = value;
		break;
	}
	return -1;
}

/* -1: go on; else the exit code. */
static int read_arguments(struct request *q, const struct command *cmd, int argc, char **argv)
{
	struct args a;
	const char *value, *operands[2];
	bool read_only = false;
	int id;
	args_begin(&a, cmd, argc, argv);
	while ((id = args_next(&a, &value)) > 0) {
		int code = take_option(q, cmd, id, value);
		if (code >= 0)
			return code;
		read_only = read_only || id == OPT_READ_ONLY;
	}
	if (id < 0 || args_operands(&a, 2, operands) < 0)
		return (int)a.code;
	q->repository = operands[0];
	q->mountpoint = operands[1];
	/* Whatever the order: fstab lines say "rw" by default. */
	if (read_only)
		q->mount.read_only = true;
	return merge_password(q, cmd);
}

static enum exit_code run_any(const struct command *cmd, int argc, char **argv, bool as_helper)
{
	struct request q = {0};
	int code = read_arguments(&q, cmd, argc, argv);
	/* mount.fuse3 adds "dev,suid" to every line that does not forbid them, so there they are
	 * nobody's wish. */
	if (as_helper)
		q.mount.suid = q.mount.dev = false;
	if (code < 0 && q.foreground) {
		struct daemon_start here = {.ready_fd = -1};
		code = (int)work(&q, &here);
	} else if (code < 0) {
		code = (int)daemon_run(work, &q, logs_to(&q, "stderr"));
	}
	mount_options_clear(&q.mount);
	return (enum exit_code)code;
}

static enum exit_code run(const struct command *cmd, int argc, char **argv)
{
	return run_any(cmd, argc, argv, false);
}

static enum exit_code run_as_helper(const struct command *cmd, int argc, char **argv)
{
	return run_any(cmd, argc, argv, true);
}

const struct command mount_command = {
	.name = "mount",
	.summary = "Mount a repository",
	.operands = "REPO MOUNTPOINT",
	.description =
		"Returns when the mount is usable. Options for -o: ro, allow_other, allow_root,\n"
		"nosuid and nodev (on by default; suid and dev turn them off), noexec, noatime,\n"
		"nonempty, password_file=FILE, password_command=COMMAND, and the generic words of\n"
		"fstab lines. `coffer REPO MOUNTPOINT -o LIST` does the same.\n",
	.options = options,
	.run = run,
};

const struct command mount_helper_command = {
	.name = "mount",
	.operands = "REPO MOUNTPOINT",
	.summary = "Mount a repository, called as mount.fuse3 calls its programs",
	.options = options,
	.run = run_as_helper,
};
