/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

/*
 * btrfs logs a file's fsync with its new ancestors, but not the symlinks beside them: each ancestor
 * in which we made an object of our own since its last sync is synced by itself. Elsewhere the
 * journal's order already promises it.
 */
static int sync_own(struct fs *fs, struct node *dir)
{
	pthread_mutex_lock(&dir->lock);
	uint64_t change = dir->dir->own_change;
	bool due = change > atomic_load(&fs->sync_seq);
	pthread_mutex_unlock(&dir->lock);
	if (!due)
		return 0;
	struct dirref d;
	int r = dir_get(fs, dir, false, &d);
	if (r < 0)
		return r;
	r = st_fsync(fs->store, d.fd);
	dir_put(fs, &d);
	if (r == 0) {
		pthread_mutex_lock(&dir->lock);
		if (dir->dir->own_change == change)
			dir->dir->own_change = 0;
		pthread_mutex_unlock(&dir->lock);
	}
	return r;
}

/* The parent of n by its first name, with a reference; NULL at the root or for a nameless node. */
static struct node *parent_of(struct fs *fs, struct node *n)
{
	pthread_rwlock_rdlock(&fs->names);
	struct node *parent = n->name.parent;
	if (parent)
		node_ref(parent);
	pthread_rwlock_unlock(&fs->names);
	return parent;
}

int sync_ancestors(struct fs *fs, struct node *n)
{
	if (!store_traits(fs->store)->needs_ancestor_sync || store_read_only(fs->store))
		return 0;
	int r = 0;
	struct node *dir = parent_of(fs, n);
	while (dir && r == 0) {
		r = sync_own(fs, dir);
		struct node *up = parent_of(fs, dir);
		node_put(fs, dir);
		dir = up;
	}
	node_put(fs, dir);
	return r == -ENOENT ? 0 : r;
}

int fs_fsyncdir(struct fs *fs, struct node *n)
{
	if (store_read_only(fs->store))
		return 0;
	struct dirref d;
	int r = dir_get(fs, n, false, &d);
	if (r == -ENOENT)
		return 0; /* removed: nothing to keep */
	if (r < 0)
		return fs_errno(r);
	/* Before the directory itself: what it then durably names must be complete. */
	r = sync_ancestors(fs, n);
	if (r == 0)
		r = st_fsync(fs->store, d.fd);
	dir_put(fs, &d);
	return fs_errno(r);
}
