/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What init tries out on the backing file system, in a scratch directory. */
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/xattr.h>
#include "store/store_priv.h"
#include "util/bytes.h"

/* A scratch directory, and where findings go. */
struct probe {
	struct store *st;
	int dir;
	char *warn;
	size_t warn_size;
	char lost[768]; /* what would lose data, one line each */
};

static int make_file(struct probe *p, const char *name, int flags)
{
	return st_openat(p->st, p->dir, name, O_RDWR | O_CREAT | flags, 0600);
}

/* Answers of a file system that lacks something; other errors (no space, no permission, I/O) end
 * the probe. */
static bool is_lacking(int r)
{
	return r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS || r == -ENOTTY || r == -EPERM ||
	       r == -ENOLCK || r == -EMLINK || r == -ENAMETOOLONG || r == -EXDEV || r == -EILSEQ;
}

/*
 * Each try_* returns 1 if the file system has it, 0 if it lacks it, or -errno if it could not be
 * found out. They leave their files to the removal of the scratch directory.
 */
static int lacking_or(int r)
{
	return is_lacking(r) ? 0 : r;
}

static int try_case(struct probe *p)
{
	_cleanup_close_ int a = make_file(p, "case-Aa", O_EXCL);
	_cleanup_close_ int b = -1;

	if (a < 0)
		return a;
	b = make_file(p, "case-aA", O_EXCL);
	if (b == -EEXIST)
		return 0;
	return b < 0 ? b : 1;
}

static int try_long_name(struct probe *p)
{
	char name[256];
	_cleanup_close_ int fd = -1;

	memset(name, 'n', 255);
	name[255] = 0;
	fd = make_file(p, name, O_EXCL);
	return fd < 0 ? lacking_or(fd) : 1;
}

static int try_symlink(struct probe *p)
{
	char target[1001], got[1024];
	ssize_t n;
	int r;

	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = 0;
	r = st_symlinkat(p->st, target, p->dir, "symlink");
	if (r < 0)
		return lacking_or(r);
	n = st_readlinkat(p->st, p->dir, "symlink", got, sizeof(got));
	if (n < 0)
		return lacking_or((int)n);
	return strcmp(got, target) == 0;
}

static int try_replace(struct probe *p)
{
	_cleanup_close_ int a = make_file(p, "replace-a", O_EXCL);
	_cleanup_close_ int b = make_file(p, "replace-b", O_EXCL);
	struct stat old, new;
	int r;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	r = st_fstat(p->st, a, &old);
	if (r == 0)
		r = st_renameat2(p->st, p->dir, "replace-a", p->dir, "replace-b", 0);
	if (r == 0)
		r = st_fstatat(p->st, p->dir, "replace-b", &new);
	return r < 0 ? lacking_or(r) : old.st_ino == new.st_ino;
}

static int try_ofd_lock(struct probe *p)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int a = make_file(p, "lock", 0);
	_cleanup_close_ int b = make_file(p, "lock", 0);
	int r;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	r = RESULT(fcntl(a, F_OFD_SETLK, &fl));
	if (r < 0)
		return lacking_or(r);
	r = RESULT(fcntl(b, F_OFD_SETLK, &fl));
	/* A lock that excludes nobody is none. */
	return r == -EAGAIN || r == -EACCES;
}

static int try_modes(struct probe *p)
{
	_cleanup_close_ int fd = make_file(p, "modes", 0);
	struct stat sb;
	int r;

	if (fd < 0)
		return fd;
	r = st_fchmod(p->st, fd, 0517);
	if (r == 0)
		r = st_fstat(p->st, fd, &sb);
	return r < 0 ? lacking_or(r) : (sb.st_mode & 07777) == 0517;
}

static int try_hard_link(struct probe *p)
{
	_cleanup_close_ int fd = make_file(p, "link-a", 0);
	struct stat sb;
	int r;

	if (fd < 0)
		return fd;
	r = st_linkat(p->st, p->dir, "link-a", p->dir, "link-b");
	if (r == 0)
		r = st_fstat(p->st, fd, &sb);
	return r < 0 ? lacking_or(r) : sb.st_nlink == 2;
}

static int try_holes(struct probe *p)
{
	const off_t size = 16 << 20; /* far beyond what file systems allocate ahead */
	_cleanup_close_ int fd = make_file(p, "holes", 0);
	struct stat sb;
	off_t data;
	int r;

	if (fd < 0)
		return fd;
	r = st_pwrite(p->st, fd, "x", 1, size - 1);
	if (r == 0)
		r = st_fstat(p->st, fd, &sb);
	if (r < 0)
		return lacking_or(r);
	data = st_lseek(p->st, fd, 0, SEEK_DATA);
	/* st_blocks counts 512 bytes everywhere on Linux. */
	return sb.st_blocks < size / 2 / 512 && data > 0;
}

static int try_noreplace(struct probe *p)
{
	_cleanup_close_ int a = make_file(p, "noreplace-a", 0);
	_cleanup_close_ int b = make_file(p, "noreplace-b", 0);
	int r;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	r = st_renameat2(p->st, p->dir, "noreplace-a", p->dir, "noreplace-b", RENAME_NOREPLACE);
	if (r == -EEXIST)
		r = st_renameat2(
			p->st, p->dir, "noreplace-a", p->dir, "noreplace-c", RENAME_NOREPLACE);
	else if (r == 0)
		return 0;
	return r < 0 ? lacking_or(r) : 1;
}

static int try_exchange(struct probe *p)
{
	_cleanup_close_ int a = make_file(p, "exchange-a", 0);
	_cleanup_close_ int b = make_file(p, "exchange-b", 0);
	int r;

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	r = st_renameat2(p->st, p->dir, "exchange-a", p->dir, "exchange-b", RENAME_EXCHANGE);
	return r < 0 ? lacking_or(r) : 1;
}

static int try_xattr(struct probe *p)
{
	_cleanup_close_ int fd = make_file(p, "xattr", 0);
	char got[8];
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	r = st_fsetxattr(p->st, fd, "user.c.probe", "value", 5, XATTR_CREATE);
	if (r < 0)
		return lacking_or(r);
	n = st_fgetxattr(p->st, fd, "user.c.probe", got, sizeof(got));
	return n == 5 && memcmp(got, "value", 5) == 0;
}

static int try_acl(struct probe *p)
{
	/* u::rw-,u:1:r--,g::---,m::r--,o::--- as linux/posix_acl_xattr.h has it. */
	static const struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[] = {
		{ACL_USER_OBJ, ACL_READ | ACL_WRITE, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_USER, ACL_READ, 1},
		{ACL_GROUP_OBJ, 0, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_MASK, ACL_READ, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_OTHER, 0, (uint32_t)ACL_UNDEFINED_ID},
	};
	uint8_t acl[4 + 8 * (sizeof(entries) / sizeof(entries[0]))];
	_cleanup_close_ int fd = make_file(p, "acl", 0);
	int r;

	if (fd < 0)
		return fd;
	put_le32(acl, POSIX_ACL_XATTR_VERSION);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		put_le16(acl + 4 + 8 * i, entries[i].tag);
		put_le16(acl + 6 + 8 * i, entries[i].perm);
		put_le32(acl + 8 + 8 * i, entries[i].id);
	}
	r = st_fsetxattr(p->st, fd, "system.posix_acl_access", acl, sizeof(acl), 0);
	return r < 0 ? lacking_or(r) : 1;
}

/* fsync of a directory; syncfs stands in where there is none. */
static int try_dir_sync(struct probe *p)
{
	int r = st_fsync(p->st, p->dir);

	return r < 0 ? lacking_or(r) : 1;
}

/* What is tried. Without a required one data would be lost; without the others some programs miss
 * something. */
static const struct trial {
	const char *what;
	int (*run)(struct probe *p);
	bool required;
	const char *without;
} trials[] = {
	{"names that differ only in case", try_case, true, "files would replace each other"},
	{"names of 255 bytes", try_long_name, true, "long names could not be stored"},
	{"symbolic links of 1000 bytes", try_symlink, true, "names and links could not be stored"},
	{"renaming over an existing file", try_replace, true, "files could not be replaced safely"},
	{"locks between processes (OFD locks)", try_ofd_lock, true,
		"two mounts could destroy each other's data"},
	{"modes of files", try_modes, false, "permissions are not kept"},
	{"hard links", try_hard_link, false,
		"ln fails, and so does using a file that was deleted while it was open"},
	{"holes in files", try_holes, false, "sparse files take their whole size on the disk"},
	{"RENAME_NOREPLACE", try_noreplace, false, "programs that rename with it get an error"},
	{"RENAME_EXCHANGE", try_exchange, false, "programs that rename with it get an error"},
	{"extended attributes of users", try_xattr, false, "programs that set them get an error"},
	{"access control lists", try_acl, false, "programs that set them get an error"},
	{"fsync of directories", try_dir_sync, false, "fsync is slower"},
};

static int run_trials(struct probe *p, struct err *err)
{
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		const struct trial *t = &trials[i];
		int r = t->run(p);

		if (r == -ENOSPC || r == -EDQUOT)
			return err_set_errno(err, EXIT_NO_SPACE, r, "%s", p->st->path);
		if (r < 0)
			return err_set_errno(
				err, EXIT_IO, r, "%s: trying out %s", p->st->path, t->what);
		if (r > 0)
			continue;
		if (t->required)
			store_warn(p->lost, sizeof(p->lost), "no %s: %s", t->what, t->without);
		else
			store_warn(p->warn, p->warn_size, "the file system has no %s: %s", t->what,
				t->without);
	}
	return 0;
}

/* Removes the scratch directory and the files in it, whatever was left there. */
static void remove_scratch(struct store *st, int dir, const char *name)
{
	_Alignas(struct dirent64) char buf[8192];
	int r = -ENOTEMPTY;

	/* Removing entries while reading makes some file systems skip others: so more than once. */
	for (int pass = 0; pass < 8 && r != 0; pass++) {
		ssize_t n;

		if (st_lseek(st, dir, 0, SEEK_SET) < 0)
			return;
		while ((n = st_getdents(st, dir, buf, sizeof(buf))) > 0) {
			for (ssize_t i = 0; i < n;) {
				const struct dirent64 *d = (const struct dirent64 *)(buf + i);

				(void)st_unlinkat(st, dir, d->d_name, 0);
				i += d->d_reclen;
			}
		}
		r = st_unlinkat(st, st->root, name, AT_REMOVEDIR);
	}
}

static int make_scratch(struct store *st, char *name, size_t size, struct err *err)
{
	int r = -EEXIST;

	for (unsigned i = 0; i < 100 && r == -EEXIST; i++) {
		snprintf(name, size, ".coffer-probe-%ld-%u", (long)getpid(), i);
		r = st_mkdirat(st, st->root, name, 0700);
	}
	if (r == -EACCES || r == -EPERM || r == -EROFS)
		return err_set_errno(err, EXIT_REPO_ACCESS, r, "cannot write in %s", st->path);
	if (r == -ENOSPC || r == -EDQUOT)
		return err_set_errno(err, EXIT_NO_SPACE, r, "%s", st->path);
	if (r < 0)
		return err_set_errno(err, EXIT_IO, r, "cannot write in %s", st->path);
	return 0;
}

/* Blocks of a network file system tell nothing of the disks below. */
static void check_blocks(struct probe *p)
{
	const struct store_traits *t = &p->st->traits;

	if (t->block_size < STORE_BLOCK && !t->network)
		store_warn(p->lost, sizeof(p->lost),
			"blocks of %u bytes: a power cut would tear records of %u bytes; make the "
			"file "
			"system with blocks of %u bytes (mkfs.ext4 -b 4096, mkfs.xfs -b size=4096)",
			t->block_size, STORE_BLOCK, STORE_BLOCK);
}

int store_probe_active(struct store *st, char *warn, size_t warn_size, struct err *err)
{
	struct probe p = {.st = st, .warn = warn, .warn_size = warn_size};
	_cleanup_close_ int dir = -1;
	char name[64];
	int r;

	if (warn && warn_size > 0)
		warn[0] = 0;
	r = store_probe_static(st, NULL, 0);
	if (r < 0)
		return err_set_errno(err, EXIT_IO, r, "%s", st->path);
	r = make_scratch(st, name, sizeof(name), err);
	if (r < 0)
		return r;
	dir = st_openat(st, st->root, name, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0) {
		r = err_set_errno(err, EXIT_IO, dir, "cannot open %s/%s", st->path, name);
		(void)st_unlinkat(st, st->root, name, AT_REMOVEDIR);
		return r;
	}
	p.dir = dir;
	check_blocks(&p);
	r = run_trials(&p, err);
	remove_scratch(st, dir, name);
	if (r < 0)
		return r;
	if (p.lost[0])
		return err_set(err, EXIT_BACKING_UNFIT, -EOPNOTSUPP,
			"%s: the file system (%s) would lose data. It has\n%s", st->path,
			st->traits.fs_name, p.lost);
	traits_warn(&st->traits, warn, warn_size);
	return 0;
}
