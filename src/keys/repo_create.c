/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include "blob/epoch.h"
#include "keys/repo_internal.h"
#include "name/name.h"
#include "util/secret.h"

/* The directories of a repository. data/ is the root that users will see, with the mode that mkfs
 * gives a root. */
static const struct {
	const char *name;
	mode_t mode;
} dirs[] = {
	{"state", 0700},
	{"trash", 0700},
	{"data", 0755},
};
#define DIR_COUNT (sizeof(dirs) / sizeof(dirs[0]))

/*
 * What a failure must remove again: only what this call made, as another may be making a repository
 * in the same place. The first of dirs[] decides between the two, since only one of them can make
 * it.
 */
struct making {
	const char *path;
	struct repo *repo;
	bool made_root;
	size_t made_dirs; /* of dirs[], from the start */
	bool made_config;
};

static int parent_error(const char *path, int r, struct err *err)
{
	if (r == -ENOENT || r == -ENOTDIR)
		return err_set(err, EXIT_REPO_MISSING, r,
			"cannot make %s: the directory that is to hold it does not exist", path);
	if (r == -EROFS)
		return err_set(
			err, EXIT_REPO_ACCESS, r, "cannot make %s: read-only file system", path);
	return err_set_errno(err, exit_code_of_errno(r), r, "cannot make %s", path);
}

/* Descriptor of the directory that holds path, or -errno. */
static int open_parent(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int check_missing(const char *path, struct err *err)
{
	_cleanup_close_ int parent = open_parent(path);
	if (parent < 0)
		return parent_error(path, parent, err);
	if (faccessat(parent, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return parent_error(path, -errno, err);
	return 0;
}

static int check_empty(const char *path, struct err *err)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	if (!d)
		return err_set_errno(
			err, exit_code_of_errno(-errno), -errno, "cannot read %s", path);
	bool other = false;
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e && errno)
			return err_set_errno(err, EXIT_IO, -errno, "cannot read %s", path);
		if (!e)
			break;
		if (strcmp(e->d_name, CONFIG_NAME) == 0 || strcmp(e->d_name, CONFIG_BAK_NAME) == 0)
			return err_set(err, EXIT_REPO_EXISTS, -EEXIST,
				"%s already is a coffer repository", path);
		/* A new ext4 file system has one; it does no harm at the top of a repository. */
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			strcmp(e->d_name, "lost+found") != 0)
			other = true;
	}
	if (other)
		return err_set(err, EXIT_NOT_EMPTY, -ENOTEMPTY, "%s is not empty", path);
	if (access(path, W_OK | X_OK) < 0)
		return err_set_errno(
			err, exit_code_of_errno(-errno), -errno, "cannot write in %s", path);
	return 0;
}

int repo_check_new(const char *path, struct err *err)
{
	struct stat sb;
	if (lstat(path, &sb) < 0)
		return errno == ENOENT ? check_missing(path, err) : parent_error(path, -errno, err);
	if (stat(path, &sb) < 0)
		return err_set_errno(err, EXIT_REPO_MISSING, -errno, "%s", path);
	if (!S_ISDIR(sb.st_mode))
		return err_set(err, EXIT_NOT_REPO, -ENOTDIR,
			"%s is not a directory; a repository is one", path);
	return check_empty(path, err);
}

/* Makes the directory itself, unless it is there. */
static int make_root(struct making *m, struct err *err)
{
	if (mkdir(m->path, 0700) == 0) {
		m->made_root = true;
		return 0;
	}
	return errno == EEXIST ? 0 : parent_error(m->path, -errno, err);
}

/* One of dirs[], with its mode whatever the umask is, durable but for its entry in the root. */
static int make_dir(struct store *st, size_t i, size_t *made, int *ret_fd)
{
	int rc = st_mkdirat(st, store_root(st), dirs[i].name, 0700);
	if (rc < 0)
		return rc;
	*made = i + 1;
	_cleanup_close_ int fd =
		st_openat(st, store_root(st), dirs[i].name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	rc = st_fchmod(st, fd, dirs[i].mode);
	if (rc < 0)
		return rc;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int make_tree(struct making *m)
{
	const struct repo *r = m->repo;
	struct store *st = r->store;
	int rc = 0;
	for (size_t i = 0; i < DIR_COUNT && rc == 0; i++) {
		_cleanup_close_ int fd = -1;
		struct dirid id;
		rc = make_dir(st, i, &m->made_dirs, &fd);
		if (rc == 0 && strcmp(dirs[i].name, "data") == 0)
			rc = dirid_create(st, r->keys, fd, &id);
		if (rc == 0)
			rc = st_fsync(st, fd);
	}
	if (rc == 0)
		rc = epochs_create(st, r->keys);
	if (rc == 0)
		rc = st_fsync(st, store_root(st));
	return rc;
}

static int sync_parent(const struct making *m)
{
	if (!m->made_root)
		return 0;
	_cleanup_close_ int parent = open_parent(m->path);
	if (parent < 0)
		return parent;
	return fsync(parent) < 0 && errno != EINVAL ? -errno : 0;
}

static int make_contents(
	struct making *m, const char *password, size_t len, const char *label, struct err *err)
{
	struct repo *r = m->repo;
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	if (!s)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	unsigned slot = 0;
	int rc = config_new(label, &r->config, s, err);
	if (rc == 0)
		rc = config_add_password(r->config, s, password, len, NULL, &slot, err);
	if (rc == 0)
		rc = repo_fill_keys(r, s, err);
	if (rc < 0)
		return rc;
	rc = make_tree(m);
	if (rc == 0)
		rc = sync_parent(m);
	if (rc < 0)
		return err_set_errno(
			err, exit_code_of_errno(rc), rc, "cannot make the repository %s", m->path);
	_cleanup_close_ int lock = -1;
	rc = config_lock(r->store, &lock, err);
	if (rc < 0)
		return rc;
	m->made_config = true;
	return config_store(r->config, r->store, s, err);
}

/* Best effort: removes the entries of a directory that this call made, and what repo_create puts
 * into it. */
static void remove_dir(struct store *st, const char *name)
{
	_cleanup_close_ int fd = st_openat(st, store_root(st), name, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (d) {
		fd = -1; /* the stream owns it */
		for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				(void)st_unlinkat(st, dirfd(d), e->d_name, 0);
		}
		(void)closedir(d);
	}
	(void)st_unlinkat(st, store_root(st), name, AT_REMOVEDIR);
}

static void unmake(struct making *m)
{
	struct store *st = m->repo->store;
	if (m->made_config) {
		/* First: without it the rest is no repository any more. */
		(void)st_unlinkat(st, store_root(st), CONFIG_NAME, 0);
		(void)st_unlinkat(st, store_root(st), CONFIG_BAK_NAME, 0);
	}
	for (size_t i = 0; i < m->made_dirs; i++)
		remove_dir(st, dirs[i].name);
	if (m->made_root)
		(void)rmdir(m->path);
}

static int make_all(struct making *m, const char *password, size_t len, const char *label,
	char *warn, size_t warn_size, struct err *err)
{
	int rc = store_open(m->path, false, &m->repo->store, err);
	if (rc < 0)
		return rc;
	rc = store_probe_static(m->repo->store, warn, warn_size);
	if (rc < 0)
		return err_set_errno(err, exit_code_of_errno(rc), rc,
			"cannot find out what kind of file system holds %s", m->path);
	rc = store_probe_active(m->repo->store, warn, warn_size, err);
	return rc < 0 ? rc : make_contents(m, password, len, label, err);
}

int repo_create(const char *path, const char *password, size_t len, const char *label, char *warn,
	size_t warn_size, struct repo **ret, struct err *err)
{
	int rc = repo_check_new(path, err);
	if (rc < 0)
		return rc;
	_cleanup_(repo_closep) struct repo *r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	struct making m = {.path = path, .repo = r};
	rc = make_root(&m, err);
	if (rc < 0)
		return rc;
	if (warn && warn_size)
		warn[0] = '\0';
	rc = make_all(&m, password, len, label, warn, warn_size, err);
	if (rc < 0) {
		unmake(&m);
		return rc;
	}
	*ret = TAKE_PTR(r);
	return 0;
}
