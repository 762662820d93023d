/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "node/node.h"

static bool dir_evict(void *owner)
{
	struct node *n = owner;
	if (pthread_mutex_trylock(&n->lock) != 0)
		return false;
	struct fs *fs = n->fs;
	bool done = n->dir->fd >= 0 && !fdslot_pinned(fs->fds, &n->dir->slot);
	if (done) {
		close(TAKE_FD(n->dir->fd));
		fdcache_evicted(fs->fds, &n->dir->slot);
	}
	pthread_mutex_unlock(&n->lock);
	return done;
}

void dir_free(struct fs *fs, struct node *n)
{
	fdcache_remove(fs->fds, &n->dir->slot);
	if (n->dir->fd >= 0)
		close(n->dir->fd);
	free(n->dir);
}

void dir_note_own(struct fs *fs, struct node *n)
{
	pthread_mutex_lock(&n->lock);
	n->dir->own_change = atomic_load(&fs->sync_seq) + 1;
	pthread_mutex_unlock(&n->lock);
}

int dir_open_up(struct fs *fs, int fd, mode_t *ret_mode)
{
	struct stat st;
	int r = st_fstat(fs->store, fd, &st);
	if (r == 0)
		r = st_fchmod(fs->store, fd, (st.st_mode & 07777) | 0700);
	if (r == 0)
		*ret_mode = st.st_mode & 07777;
	return r;
}

static int read_id(struct fs *fs, struct dirstate *d)
{
	int r = dirid_read(fs->store, fs->keys, d->fd, &d->id);
	if (r != -EACCES)
		return r;
	/* An owner without privilege and without x on his directory may still list it: that needs
	 * the identity. */
	mode_t mode;
	r = dir_open_up(fs, d->fd, &mode);
	if (r < 0)
		return -EACCES;
	r = dirid_read(fs->store, fs->keys, d->fd, &d->id);
	st_fchmod(fs->store, d->fd, mode);
	return r;
}

/*
 * Loads a directory's identity. One without identity and without entries was cut off by a crash
 * between mkdir and its first object: it gets a new one. With entries it is damage: their names are
 * lost.
 */
static int load_id(struct fs *fs, struct node *n)
{
	struct dirstate *d = n->dir;
	int r = read_id(fs, d);
	if (r == -ENOENT) {
		r = dir_is_empty(fs->store, d->fd);
		if (r == 1 && !store_read_only(fs->store)) {
			r = dirid_create(fs->store, fs->keys, d->fd, &d->id);
			d->own_change = atomic_load(&fs->sync_seq) + 1;
		} else if (r == 1) {
			/* Nothing can be made in it, and nothing is in it: any identity will do. */
			d->id = (struct dirid){.generation = keyring_current(fs->keys)};
			r = 0;
		} else if (r == 0) {
			r = -EBADMSG;
		}
	}
	if (r == 0) {
		__atomic_store_n(&d->has_id, true, __ATOMIC_RELEASE);
	} else if (r == -EBADMSG || r == -ENOKEY) {
		damage_note(fs, n,
			"the directory's identity (.id) is missing or not authentic: the names in "
			"it "
			"cannot be read");
	}
	return r;
}

static int open_dir(struct fs *fs, struct node *n)
{
	struct place p;
	int r = place_get(fs, n, &p);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = st_open_dir(fs->store, p.fd, p.entry);
	place_put(fs, &p);
	if (fd < 0)
		return fd;
	struct stat st;
	r = st_fstat(fs->store, fd, &st);
	if (r < 0)
		return r;
	if (st.st_ino != n->ino)
		return -ESTALE;
	n->dir->fd = TAKE_FD(fd);
	n->dir->slot.evict = dir_evict;
	n->dir->slot.owner = n;
	fdcache_add(fs->fds, &n->dir->slot);
	return 0;
}

int dir_get(struct fs *fs, struct node *n, bool need_id, struct dirref *ret)
{
	if (!S_ISDIR(n->mode))
		return -ENOTDIR;
	pthread_mutex_lock(&n->lock);
	int r = 0;
	if (n->dead)
		r = -ENOENT;
	else if (n->dir->fd >= 0)
		fdcache_pin(fs->fds, &n->dir->slot);
	else
		r = open_dir(fs, n);
	if (r == 0 && need_id && !n->dir->has_id) {
		r = load_id(fs, n);
		if (r < 0)
			fdcache_unpin(fs->fds, &n->dir->slot);
	}
	if (r == 0)
		*ret = (struct dirref){.node = n, .fd = n->dir->fd, .id = n->dir->id};
	pthread_mutex_unlock(&n->lock);
	return r;
}

void dir_put(struct fs *fs, struct dirref *d)
{
	if (d->node)
		fdcache_unpin(fs->fds, &d->node->dir->slot);
	d->node = NULL;
}

int place_get(struct fs *fs, struct node *n, struct place *ret)
{
	if (n->dead)
		return -ENOENT;
	*ret = (struct place){.fd = -1};
	if (n == fs->root) {
		ret->fd = store_root(fs->store);
		strcpy_entry(ret->entry, "data");
		return 0;
	}
	/* The place cannot change: the caller holds n->lock. */
	if (!n->name.entry) {
		if (!n->hidden)
			return -ENOENT;
		ret->fd = fs->hidden_fd;
		hidden_name(n, ret->entry);
		return 0;
	}
	strcpy_entry(ret->entry, n->name.entry);
	int r = dir_get(fs, n->name.parent, false, &ret->dir);
	if (r == 0)
		ret->fd = ret->dir.fd;
	return r;
}

void place_put(struct fs *fs, struct place *p)
{
	dir_put(fs, &p->dir);
	p->fd = -1;
}
