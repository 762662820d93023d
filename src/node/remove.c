/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "name/target.h"
#include "node/node.h"
#include "util/log.h"

void unhide(struct fs *fs, struct node *n)
{
	char entry[NAME_ENTRY_MAX + 1];
	hidden_name(n, entry);
	st_unlinkat(fs->store, fs->hidden_fd, entry, 0);
	n->hidden = false;
}

/* A node that leaves the disk while somebody may still ask about it answers from this copy. */
static void die(struct fs *fs, struct node *n, const struct stat *st)
{
	struct stat *ghost = malloc(sizeof(*ghost));
	if (ghost) {
		*ghost = *st;
		attr_fill(fs, n, NULL, ghost);
		ghost->st_nlink = 0;
	}
	free(n->ghost);
	n->ghost = ghost;
	n->dead = true;
	n->hidden = false;
	table_remove(fs, n);
	fs_unmark_written(fs, n);
}

void hidden_closed(struct fs *fs, struct node *n)
{
	char entry[NAME_ENTRY_MAX + 1];
	struct stat st;
	hidden_name(n, entry);
	if (alias_any(n) || st_fstatat(fs->store, fs->hidden_fd, entry, &st) < 0)
		return;
	if (st.st_nlink > 1) {
		/* It has names elsewhere. If the kernel may know one that we do not, it stays
		 * reachable. */
		if (!n->names_unknown)
			unhide(fs, n);
		return;
	}
	/* Its descriptor stays in the cache until FORGET: who looked it up before may still be
	 * about to open it. */
	die(fs, n, &st);
	st_unlinkat(fs->store, fs->hidden_fd, entry, 0);
}

static bool has_other_name(struct node *n, struct node *parent, const char *entry)
{
	if (!n->name.entry)
		return false;
	for (struct alias *a = &n->name; a; a = a->next)
		if (a->parent != parent || strcmp(a->entry, entry) != 0)
			return true;
	return false;
}

/* A far target's file is removed with the last name of its symlink. */
static void note_far_target(struct fs *fs, const struct dirref *dir, const char *entry,
	const struct stat *st, struct going *g)
{
	char text[TARGET_TEXT_MAX + 1];
	struct target_ref ref;
	if (!S_ISLNK(st->st_mode) || st->st_size != TARGET_REF_LEN || st->st_nlink > 1)
		return;
	ssize_t len = st_readlinkat(fs->store, dir->fd, entry, text, sizeof(text));
	if (len > 0 && target_ref_parse(text, (size_t)len, &ref) == 0)
		strcpy_entry(g->far_target, ref.id);
}

/* True if the node must stay reachable on disk although this name goes. */
static bool must_hide(
	struct node *n, const struct dirref *dir, const char *entry, const struct stat *st)
{
	if (!S_ISREG(n->mode) || n->hidden || has_other_name(n, dir->node, entry))
		return false;
	bool open = n->file && n->file->opens > 0;
	return open || (st->st_nlink > 1 && n->names_unknown);
}

static int strip_dir(struct fs *fs, struct node *n)
{
	if (n->dir->fd < 0)
		return -ESTALE; /* the caller pinned it */
	int r = dir_is_empty(fs->store, n->dir->fd);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOTEMPTY;
	__atomic_store_n(&n->dir->has_id, false, __ATOMIC_RELEASE);
	r = dir_strip(fs->store, n->dir->fd);
	mode_t mode;
	if (r == -EACCES && dir_open_up(fs, n->dir->fd, &mode) == 0) {
		/* Its owner may remove it whatever its mode: we only have to empty it of our own
		 * objects. */
		r = dir_strip(fs->store, n->dir->fd);
		st_fchmod(fs->store, n->dir->fd, mode);
	}
	return r;
}

int gone_prepare(struct fs *fs, struct node *n, const struct dirref *dir, const char *entry,
	const struct stat *st, bool keep_open, struct going *g)
{
	*g = (struct going){.node = n, .keep_open = keep_open};
	note_far_target(fs, dir, entry, st, g);
	if (!n)
		return 0;
	int r = 0;
	if (S_ISDIR(st->st_mode)) {
		r = strip_dir(fs, n);
	} else if (must_hide(n, dir, entry, st)) {
		char hidden[NAME_ENTRY_MAX + 1];
		hidden_name(n, hidden);
		r = st_linkat(fs->store, dir->fd, entry, fs->hidden_fd, hidden);
		if (r == 0)
			g->made_hidden = n->hidden = true;
	}
	/*
	 * The inode number is free for others the moment the last link goes: the node leaves the
	 * table first. A hidden node keeps its inode.
	 */
	if (r == 0 && keep_open && S_ISREG(st->st_mode)) {
		struct blob *b;
		if (file_blob(fs, n, false, &b) == 0)
			file_unpin(fs, n);
	}
	if (r == 0 && !n->hidden && (S_ISDIR(st->st_mode) || st->st_nlink == 1)) {
		table_remove(fs, n);
		g->unlisted = true;
	}
	if (r < 0)
		gone_undo(fs, g);
	return r;
}

void gone_undo(struct fs *fs, struct going *g)
{
	if (!g->node)
		return;
	if (g->made_hidden)
		unhide(fs, g->node);
	if (g->unlisted)
		table_insert(fs, g->node);
	/* A stripped directory is empty: it gets a new identity when it is next used. */
	g->node = NULL;
}

void gone_commit(struct fs *fs, struct going *g, struct node *parent, const char *entry,
	const struct stat *st)
{
	struct node *n = g->node;
	if (g->far_target[0])
		st_unlinkat(fs->store, fs->targets_fd, g->far_target, 0);
	if (!n)
		return;
	if (g->unlisted) {
		die(fs, n, st);
		if (S_ISREG(n->mode) && !g->keep_open)
			file_drop(fs, n);
	}
	alias_remove(fs, n, parent, entry);
}

/* Finds the name's inode and the node that knows it, if any. */
static int find_name(struct fs *fs, struct node *dir, const char *name, struct dirref *d,
	struct encname *enc, struct stat *st)
{
	if (store_read_only(fs->store))
		return -EROFS;
	int r = dir_get(fs, dir, true, d);
	if (r < 0)
		return r;
	r = name_encrypt(fs->keys, &d->id, name, strlen(name), enc);
	if (r == 0)
		r = st_fstatat(fs->store, d->fd, enc->entry, st);
	if (r < 0)
		dir_put(fs, d);
	return r;
}

int fs_unlink(struct fs *fs, struct node *dir, const char *name)
{
	struct dirref d;
	struct encname enc;
	struct stat st;
	struct going g;
	int r = find_name(fs, dir, name, &d, &enc, &st);
	if (r < 0)
		return fs_errno(r);
	if (S_ISDIR(st.st_mode)) {
		dir_put(fs, &d);
		return -EISDIR;
	}
	struct node *n = table_find(fs, st.st_ino);
	if (n)
		pthread_mutex_lock(&n->lock);
	r = gone_prepare(fs, n, &d, enc.entry, &st, false, &g);
	if (r == 0) {
		r = st_unlinkat(fs->store, d.fd, enc.entry, 0);
		if (r < 0)
			gone_undo(fs, &g);
		else
			gone_commit(fs, &g, dir, enc.entry, &st);
	}
	if (n)
		pthread_mutex_unlock(&n->lock);
	if (r == 0)
		name_drop_side(fs->store, d.fd, &enc);
	dir_put(fs, &d);
	node_put(fs, n);
	fs_mark_changed(fs);
	return fs_errno(r);
}

int fs_rmdir(struct fs *fs, struct node *dir, const char *name)
{
	struct dirref d, self;
	struct encname enc;
	struct stat st;
	struct going g;
	struct node *n = NULL;
	int r = find_name(fs, dir, name, &d, &enc, &st);
	if (r < 0)
		return fs_errno(r);
	r = S_ISDIR(st.st_mode) ? table_get(fs, &st, dir, enc.entry, &n) : -ENOTDIR;
	if (r == 0)
		r = dir_get(fs, n, false, &self);
	if (r == 0) {
		pthread_mutex_lock(&n->lock);
		r = gone_prepare(fs, n, &d, enc.entry, &st, false, &g);
		if (r == 0) {
			r = st_unlinkat(fs->store, d.fd, enc.entry, AT_REMOVEDIR);
			if (r < 0)
				gone_undo(fs, &g);
			else
				gone_commit(fs, &g, dir, enc.entry, &st);
		}
		pthread_mutex_unlock(&n->lock);
		dir_put(fs, &self);
	}
	if (r == 0)
		name_drop_side(fs->store, d.fd, &enc);
	dir_put(fs, &d);
	node_put(fs, n);
	fs_mark_changed(fs);
	return fs_errno(r);
}

int sweep_hidden(struct fs *fs)
{
	char buf[8192] __attribute__((aligned(8)));
	int fd = fs->hidden_fd;
	unsigned swept = 0;
	ssize_t len;
	while ((len = st_getdents(fs->store, fd, buf, sizeof(buf))) > 0) {
		for (ssize_t pos = 0; pos < len;) {
			struct dirent64 *e = (struct dirent64 *)(buf + pos);
			pos += e->d_reclen;
			if (e->d_name[0] != '.' && st_unlinkat(fs->store, fd, e->d_name, 0) == 0)
				swept++;
		}
	}
	if (swept > 0)
		log_info("removed %u files that were unlinked but open when the last session ended",
			swept);
	return len < 0 ? (int)len : 0;
}
