/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "name/target.h"
#include "node/node.h"

/* What every creation begins with: the pinned directory and the encrypted name, its side link made.
 */
struct making {
	struct dirref dir;
	struct encname enc;
};

static int making_begin(struct fs *fs, struct node *dir, const char *name, struct making *m)
{
	if (store_read_only(fs->store))
		return -EROFS;
	int r = dir_get(fs, dir, true, &m->dir);
	if (r < 0)
		return r;
	r = name_encrypt(fs->keys, &m->dir.id, name, strlen(name), &m->enc);
	if (r == 0 && m->enc.is_long) {
		/* Existing entries keep their link; only a real creation needs one. */
		struct stat st;
		r = st_fstatat(fs->store, m->dir.fd, m->enc.entry, &st) == 0 ? -EEXIST : 0;
		if (r == 0)
			r = name_make_side(fs->store, m->dir.fd, &m->enc);
		if (r == 0)
			dir_note_own(fs, dir);
	}
	if (r < 0)
		dir_put(fs, &m->dir);
	return r;
}

/* Ends one. After a failure that left no entry, the side link goes too. */
static void making_end(struct fs *fs, struct making *m, int r)
{
	if (r < 0 && r != -EEXIST)
		name_drop_side(fs->store, m->dir.fd, &m->enc);
	dir_put(fs, &m->dir);
	fs_mark_changed(fs);
}

/* The reply to a creation: stat and node of what was made. */
static int made(struct fs *fs, struct making *m, struct node **ret, struct stat *st)
{
	int r = st_fstatat(fs->store, m->dir.fd, m->enc.entry, st);
	return r < 0 ? r : entry_node(fs, &m->dir, m->enc.entry, st, ret);
}

int fs_mknod(struct fs *fs, struct node *dir, const char *name, mode_t mode, dev_t dev,
	const struct caller *who, struct node **ret, struct stat *st)
{
	struct making m;
	int r = making_begin(fs, dir, name, &m);
	if (r < 0)
		return fs_errno(r);
	struct creds c = creds_enter(who);
	r = st_mknodat(fs->store, m.dir.fd, m.enc.entry, mode, dev);
	creds_leave(c);
	if (r == 0)
		r = made(fs, &m, ret, st);
	making_end(fs, &m, r);
	return fs_errno(r);
}

/*
 * A directory is usable by us from its first moment (mode | 0700) and gets its identity before
 * anything else; only then do the added bits go. A crash in between leaves an empty directory,
 * which gets a new identity when it is used.
 */
static int make_dir(struct fs *fs, struct making *m, mode_t mode, const struct caller *who)
{
	struct creds c = creds_enter(who);
	int r = st_mkdirat(fs->store, m->dir.fd, m->enc.entry, mode | 0700);
	creds_leave(c);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = st_open_dir(fs->store, m->dir.fd, m->enc.entry);
	struct dirid id;
	r = fd < 0 ? fd : dirid_create(fs->store, fs->keys, fd, &id);
	mode_t masked;
	if (r == -EACCES && dir_open_up(fs, fd, &masked) == 0) {
		/* The umask took the bits away from an owner without privilege. */
		r = dirid_create(fs->store, fs->keys, fd, &id);
		int back = st_fchmod(fs->store, fd, masked);
		r = r < 0 ? r : back;
	}
	struct stat st;
	if (r == 0 && (mode & 0700) != 0700)
		r = st_fstat(fs->store, fd, &st);
	if (r == 0 && (mode & 0700) != 0700)
		r = st_fchmod(fs->store, fd, st.st_mode & ~(0700 & ~mode) & 07777);
	if (r < 0) {
		if (fd >= 0)
			dir_strip(fs->store, fd);
		st_unlinkat(fs->store, m->dir.fd, m->enc.entry, AT_REMOVEDIR);
	}
	return r;
}

int fs_mkdir(struct fs *fs, struct node *dir, const char *name, mode_t mode,
	const struct caller *who, struct node **ret, struct stat *st)
{
	struct making m;
	int r = making_begin(fs, dir, name, &m);
	if (r < 0)
		return fs_errno(r);
	r = make_dir(fs, &m, mode, who);
	if (r == 0)
		r = made(fs, &m, ret, st);
	if (r == 0)
		dir_note_own(fs, *ret);
	making_end(fs, &m, r);
	return fs_errno(r);
}

/* A target too long for a symlink is stored in data/.targets, durably before the symlink that names
 * it. */
static int store_far_target(struct fs *fs, const char *target, size_t len, char *text)
{
	struct target_ref ref;
	uint8_t sealed[TARGET_SEALED_LEN(TARGET_MAX)];
	int r = target_ref_new(len, &ref, text);
	if (r == 0)
		r = target_seal(fs->keys, &ref, target, len, sealed);
	if (r < 0)
		return r;
	return st_replace_file(
		fs->store, fs->targets_fd, ref.id, sealed, TARGET_SEALED_LEN(len), 0600);
}

static void drop_far_target(struct fs *fs, const char *text)
{
	struct target_ref ref;
	if (target_ref_parse(text, strlen(text), &ref) == 0)
		st_unlinkat(fs->store, fs->targets_fd, ref.id, 0);
}

int fs_symlink(struct fs *fs, struct node *dir, const char *name, const char *target,
	const struct caller *who, struct node **ret, struct stat *st)
{
	size_t len = strlen(target);
	if (len == 0)
		return -ENOENT;
	if (len > TARGET_MAX)
		return -ENAMETOOLONG;
	struct making m;
	int r = making_begin(fs, dir, name, &m);
	if (r < 0)
		return fs_errno(r);
	char text[TARGET_TEXT_MAX + 1];
	bool far = !target_is_inline(len);
	r = far ? store_far_target(fs, target, len, text)
		: target_encrypt(fs->keys, target, len, text);
	if (r == 0) {
		struct creds c = creds_enter(who);
		r = st_symlinkat(fs->store, text, m.dir.fd, m.enc.entry);
		creds_leave(c);
		if (r < 0 && far)
			drop_far_target(fs, text);
	}
	if (r == 0)
		r = made(fs, &m, ret, st);
	making_end(fs, &m, r);
	return fs_errno(r);
}

int fs_link(struct fs *fs, struct node *n, struct node *dir, const char *name, struct stat *st)
{
	struct making m;
	int r = making_begin(fs, dir, name, &m);
	if (r < 0)
		return fs_errno(r);
	struct place p;
	pthread_mutex_lock(&n->lock);
	r = place_get(fs, n, &p);
	if (r == 0) {
		r = st_linkat(fs->store, p.fd, p.entry, m.dir.fd, m.enc.entry);
		place_put(fs, &p);
	}
	if (r == 0)
		r = alias_add(fs, n, dir, m.enc.entry);
	if (r == 0 && n->hidden)
		unhide(fs, n);
	if (r == 0)
		r = attr_get(fs, n, st);
	pthread_mutex_unlock(&n->lock);
	if (r == 0)
		node_ref(n);
	making_end(fs, &m, r);
	return fs_errno(r);
}

/* Turns a fresh, empty backing file into an open node. fd passes to it. */
static int adopt_new(struct fs *fs, struct dirref *dir, const char *entry, int *fd,
	struct node **ret, struct stat *st)
{
	_cleanup_(blob_closep) struct blob *b = NULL;
	struct node *n = NULL;
	int r = st_fstat(fs->store, *fd, st);
	if (r == 0)
		r = table_get(fs, st, dir ? dir->node : NULL, entry, &n);
	if (r < 0)
		return r;
	pthread_mutex_lock(&n->lock);
	r = blob_create(&fs->blobs, *fd, n, &b);
	if (r == 0) {
		TAKE_FD(*fd);
		r = file_adopt(fs, n, b);
	}
	if (r == 0) {
		TAKE_PTR(b);
		file_unpin(fs, n);
		n->file->mtime = st->st_mtim;
		n->file->mtime_known = true;
		if (!dir)
			n->hidden = true;
		r = attr_fill(fs, n, NULL, st);
	}
	pthread_mutex_unlock(&n->lock);
	if (r < 0)
		node_put(fs, n);
	else
		*ret = n;
	return r;
}

/* Counts an open of n. */
static void count_open(struct node *n, int flags)
{
	pthread_mutex_lock(&n->lock);
	n->file->opens++;
	if ((flags & O_ACCMODE) != O_RDONLY)
		n->file->writers++;
	pthread_mutex_unlock(&n->lock);
}

int fs_create(struct fs *fs, struct node *dir, const char *name, mode_t mode, int flags,
	const struct caller *who, struct node **ret, struct stat *st)
{
	struct making m;
	int r = making_begin(fs, dir, name, &m);
	if (r < 0)
		return fs_errno(r);
	struct creds c = creds_enter(who);
	_cleanup_close_ int fd = st_openat(
		fs->store, m.dir.fd, m.enc.entry, O_RDWR | O_CREAT | O_EXCL, mode & 07777);
	creds_leave(c);
	struct node *n = NULL;
	r = fd < 0 ? fd : adopt_new(fs, &m.dir, m.enc.entry, &fd, &n, st);
	if (r < 0 && r != -EEXIST)
		st_unlinkat(fs->store, m.dir.fd, m.enc.entry, 0);
	making_end(fs, &m, r);
	if (r < 0)
		return fs_errno(r);
	count_open(n, flags);
	*ret = n;
	return 0;
}

int fs_tmpfile(struct fs *fs, struct node *dir, mode_t mode, int flags, const struct caller *who,
	struct node **ret, struct stat *st)
{
	(void)dir;
	if (store_read_only(fs->store))
		return -EROFS;
	int hidden = fs->hidden_fd;
	/* Its final name there is its inode number, known only once it exists. */
	char temp[NAME_ENTRY_MAX + 1], entry[NAME_ENTRY_MAX + 1];
	snprintf(temp, sizeof(temp), "t%llx",
		(unsigned long long)atomic_fetch_add(&fs->hidden_seq, 1));
	struct creds c = creds_enter(who);
	_cleanup_close_ int fd =
		st_openat(fs->store, hidden, temp, O_RDWR | O_CREAT | O_EXCL, mode & 07777);
	creds_leave(c);
	if (fd < 0)
		return fd;
	int r = st_fstat(fs->store, fd, st);
	snprintf(entry, sizeof(entry), "%llx", (unsigned long long)st->st_ino);
	if (r == 0)
		r = st_renameat2(fs->store, hidden, temp, hidden, entry, 0);
	struct node *n = NULL;
	if (r == 0)
		r = adopt_new(fs, NULL, NULL, &fd, &n, st);
	if (r < 0) {
		st_unlinkat(fs->store, hidden, temp, 0);
		st_unlinkat(fs->store, hidden, entry, 0);
		return fs_errno(r);
	}
	count_open(n, flags);
	*ret = n;
	return 0;
}
