/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "node/node.h"

/* One end of a rename. */
struct end {
	struct node *dir;
	struct dirref d;
	struct encname enc;
	struct stat st;
	struct node *n; /* NULL: the name is free */
};

static int end_get(struct fs *fs, struct node *dir, const char *name, struct end *e)
{
	e->dir = dir;
	int r = dir_get(fs, dir, true, &e->d);
	if (r == 0)
		r = name_encrypt(fs->keys, &e->d.id, name, strlen(name), &e->enc);
	if (r == 0)
		r = st_fstatat(fs->store, e->d.fd, e->enc.entry, &e->st);
	if (r == 0)
		r = table_get(fs, &e->st, dir, e->enc.entry, &e->n);
	return r;
}

static void end_put(struct fs *fs, struct end *e)
{
	dir_put(fs, &e->d);
	node_put(fs, e->n);
}

/* Lower address first: the order for two nodes of one level (node.h). */
static void lock_two(struct node *a, struct node *b)
{
	if (b && b < a) {
		pthread_mutex_lock(&b->lock);
		pthread_mutex_lock(&a->lock);
	} else {
		pthread_mutex_lock(&a->lock);
		if (b)
			pthread_mutex_lock(&b->lock);
	}
}

static void unlock_two(struct node *a, struct node *b)
{
	pthread_mutex_unlock(&a->lock);
	if (b)
		pthread_mutex_unlock(&b->lock);
}

static int call_rename(struct fs *fs, struct end *from, struct end *to, unsigned flags)
{
	int r = st_renameat2(
		fs->store, from->d.fd, from->enc.entry, to->d.fd, to->enc.entry, flags);
	/* Where the backing store lacks the flag, the kernel's own check (it knows every name) is
	 * enough. */
	if (r == -EINVAL && flags == RENAME_NOREPLACE && !to->n)
		r = st_renameat2(
			fs->store, from->d.fd, from->enc.entry, to->d.fd, to->enc.entry, 0);
	return r;
}

static int exchange(struct fs *fs, struct end *from, struct end *to)
{
	lock_two(from->n, to->n);
	int r = alias_add(fs, from->n, to->dir, to->enc.entry);
	if (r == 0)
		r = alias_add(fs, to->n, from->dir, from->enc.entry);
	if (r == 0)
		r = call_rename(fs, from, to, RENAME_EXCHANGE);
	bool done = r == 0;
	alias_remove(
		fs, from->n, done ? from->dir : to->dir, done ? from->enc.entry : to->enc.entry);
	alias_remove(fs, to->n, done ? to->dir : from->dir, done ? to->enc.entry : from->enc.entry);
	unlock_two(from->n, to->n);
	return r;
}

static int move(struct fs *fs, struct end *from, struct end *to, unsigned flags)
{
	struct going g = {0};
	lock_two(from->n, to->n);
	int r = alias_add(fs, from->n, to->dir, to->enc.entry);
	if (r == 0 && to->n)
		r = gone_prepare(fs, to->n, &to->d, to->enc.entry, &to->st, true, &g);
	if (r == 0) {
		r = call_rename(fs, from, to, flags);
		if (r < 0)
			gone_undo(fs, &g);
		else
			gone_commit(fs, &g, to->dir, to->enc.entry, &to->st);
	}
	if (r == 0) {
		alias_remove(fs, from->n, from->dir, from->enc.entry);
		/* Once more: a full list did not take it before the old name went. */
		r = alias_add(fs, from->n, to->dir, to->enc.entry);
	} else {
		alias_remove(fs, from->n, to->dir, to->enc.entry);
	}
	unlock_two(from->n, to->n);
	return r;
}

static int replaceable(const struct end *from, const struct end *to)
{
	bool from_dir = S_ISDIR(from->st.st_mode), to_dir = S_ISDIR(to->st.st_mode);
	if (from_dir && !to_dir)
		return -ENOTDIR;
	if (!from_dir && to_dir)
		return -EISDIR;
	return 0;
}

static int rename_ends(struct fs *fs, struct end *from, struct end *to, unsigned flags)
{
	if (to->n && flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (!to->n && flags == RENAME_EXCHANGE)
		return -ENOENT;
	if (from->n == to->n)
		return 0; /* two names of one file: POSIX says nothing happens */
	if (flags == RENAME_EXCHANGE)
		return exchange(fs, from, to);
	int r = to->n ? replaceable(from, to) : 0;
	if (r < 0)
		return r;
	struct dirref victim = {0};
	if (to->n && S_ISDIR(to->st.st_mode)) {
		r = dir_get(fs, to->n, false, &victim);
		if (r < 0)
			return r;
	}
	if (!to->n && to->enc.is_long) {
		r = name_make_side(fs->store, to->d.fd, &to->enc);
		if (r == 0)
			dir_note_own(fs, to->dir);
	}
	if (r == 0)
		r = move(fs, from, to, flags);
	dir_put(fs, &victim);
	if (r == 0)
		name_drop_side(fs->store, from->d.fd, &from->enc);
	else if (!to->n)
		name_drop_side(fs->store, to->d.fd, &to->enc);
	return r;
}

int fs_rename(struct fs *fs, struct node *olddir, const char *old, struct node *newdir,
	const char *new, unsigned flags)
{
	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (store_read_only(fs->store))
		return -EROFS;
	struct end from = {0}, to = {0};
	int r = end_get(fs, olddir, old, &from);
	if (r == 0) {
		r = end_get(fs, newdir, new, &to);
		if (r == -ENOENT && to.d.node)
			r = 0;
	}
	if (r == 0)
		r = rename_ends(fs, &from, &to, flags);
	end_put(fs, &from);
	end_put(fs, &to);
	fs_mark_changed(fs);
	return fs_errno(r);
}
