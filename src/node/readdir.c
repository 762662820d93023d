/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "node/node.h"

#define DENTS_SIZE 32768

/*
 * One opendir. It has its own descriptor (a position is state of a descriptor), in the cache like
 * all others: when that was closed it is opened again and put where it was.
 */
struct dirhandle {
	struct fs *fs;
	struct dirhandle *before, *after; /* fs->handles_lock */
	struct node *node;                /* the caller's open keeps it alive */
	pthread_mutex_t lock;
	struct fdslot slot;
	int fd;            /* lock; -1: evicted, or not opened yet */
	char *buf;         /* lock; entries read ahead, or NULL */
	size_t len, pos;   /* lock */
	off_t next;        /* lock; offset of the entry at pos */
	off_t disk_offset; /* lock; where the descriptor stands, behind all of buf */
};

static bool handle_evict(void *owner)
{
	struct dirhandle *h = owner;
	if (pthread_mutex_trylock(&h->lock) != 0)
		return false;
	bool done = h->fd >= 0 && !fdslot_pinned(h->fs->fds, &h->slot);
	if (done) {
		close(TAKE_FD(h->fd));
		fdcache_evicted(h->fs->fds, &h->slot);
	}
	pthread_mutex_unlock(&h->lock);
	return done;
}

int fs_opendir(struct fs *fs, struct node *n, struct dirhandle **ret)
{
	if (!S_ISDIR(n->mode))
		return -ENOTDIR;
	struct dirhandle *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->fs = fs;
	h->node = n;
	h->fd = -1;
	h->slot.evict = handle_evict;
	h->slot.owner = h;
	pthread_mutex_init(&h->lock, NULL);
	node_ref(n);
	pthread_mutex_lock(&fs->handles_lock);
	h->after = fs->handles;
	if (h->after)
		h->after->before = h;
	fs->handles = h;
	pthread_mutex_unlock(&fs->handles_lock);
	*ret = h;
	return 0;
}

/* What an unmount left open: the kernel sends RELEASEDIR late, or not at all. */
void handles_free(struct fs *fs)
{
	while (fs->handles)
		fs_closedir(fs, fs->handles);
}

void fs_closedir(struct fs *fs, struct dirhandle *h)
{
	pthread_mutex_lock(&fs->handles_lock);
	if (h->before)
		h->before->after = h->after;
	else
		fs->handles = h->after;
	if (h->after)
		h->after->before = h->before;
	pthread_mutex_unlock(&fs->handles_lock);
	fdcache_remove(fs->fds, &h->slot);
	if (h->fd >= 0)
		close(h->fd);
	node_put(fs, h->node);
	pthread_mutex_destroy(&h->lock);
	free(h->buf);
	free(h);
}

/* Opens (again) and pins the handle's descriptor, standing at disk_offset. */
static int handle_pin(struct dirhandle *h, const struct dirref *d)
{
	struct fs *fs = h->fs;
	if (h->fd >= 0) {
		fdcache_pin(fs->fds, &h->slot);
		return 0;
	}
	_cleanup_close_ int fd = st_openat(fs->store, d->fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	if (h->disk_offset != 0) {
		off_t r = st_lseek(fs->store, fd, h->disk_offset, SEEK_SET);
		if (r < 0)
			return (int)r;
	}
	h->fd = TAKE_FD(fd);
	fdcache_add(fs->fds, &h->slot);
	return 0;
}

/* Makes `pos` stand at the entry with this offset. */
static int seek_to(struct dirhandle *h, off_t offset)
{
	if (!h->buf) {
		h->buf = malloc(DENTS_SIZE);
		if (!h->buf)
			return -ENOMEM;
		h->len = h->pos = 0;
		h->next = h->disk_offset;
	}
	if (offset == h->next)
		return 0;
	off_t r = st_lseek(h->fs->store, h->fd, offset, SEEK_SET);
	if (r < 0)
		return (int)r;
	h->len = h->pos = 0;
	h->next = h->disk_offset = offset;
	return 0;
}

/* The entry at pos, reading more if needed; NULL at the end. */
static int current_entry(struct dirhandle *h, struct dirent64 **ret)
{
	if (h->pos >= h->len) {
		ssize_t len = st_getdents(h->fs->store, h->fd, h->buf, DENTS_SIZE);
		if (len < 0)
			return (int)len;
		h->len = (size_t)len;
		h->pos = 0;
		if (len == 0) {
			*ret = NULL;
			return 0;
		}
		for (size_t p = 0; p < h->len;) {
			struct dirent64 *e = (struct dirent64 *)(h->buf + p);
			h->disk_offset = e->d_off;
			p += e->d_reclen;
		}
	}
	*ret = (struct dirent64 *)(h->buf + h->pos);
	return 0;
}

/* Hands one entry to fill. 1: taken or left out, 0: no room. */
static int give(struct dirhandle *h, struct dirref *d, const struct dirent64 *e, bool plus,
	const struct dir_fill *f)
{
	struct fs *fs = h->fs;
	struct stat st = {.st_ino = e->d_ino, .st_mode = DTTOIF(e->d_type)};
	bool dot = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	char name[NAME_MAX_PLAIN + 1];
	if (dot) {
		strcpy(name, e->d_name);
	} else {
		if (name_is_ours(e->d_name))
			return 1;
		ssize_t len =
			name_decrypt_entry(fs->store, fs->keys, d->fd, &d->id, e->d_name, name);
		if (len < 0) {
			damage_name(fs, h->node, e->d_name);
			return 1;
		}
	}
	if (plus && !f->room(f->cookie, name))
		return 0;
	struct node *n = NULL;
	if (!dot && (plus || e->d_type == DT_UNKNOWN)) {
		int r = st_fstatat(fs->store, d->fd, e->d_name, &st);
		if (r == 0 && plus)
			r = entry_node(fs, d, e->d_name, &st, &n);
		if (r == -ENOENT)
			return 1;
		/* A directory may be listed without x; then its entries have names only. */
		if (r < 0 && r != -EACCES)
			return r;
	}
	if (f->fill(f->cookie, name, n, &st, e->d_off))
		return 1;
	node_put(fs, n);
	return 0;
}

int fs_readdir(
	struct fs *fs, struct dirhandle *h, off_t offset, bool plus, const struct dir_fill *f)
{
	struct dirref d;
	int r = dir_get(fs, h->node, true, &d);
	if (r == -ENOENT)
		return 0; /* removed meanwhile: nothing is in it */
	if (r < 0)
		return fs_errno(r);
	pthread_mutex_lock(&h->lock);
	r = handle_pin(h, &d);
	if (r == 0) {
		r = seek_to(h, offset);
		while (r == 0) {
			struct dirent64 *e = NULL;
			r = current_entry(h, &e);
			if (r < 0 || !e)
				break;
			r = give(h, &d, e, plus, f);
			if (r <= 0)
				break;
			h->next = e->d_off;
			h->pos += e->d_reclen;
			r = 0;
		}
		fdcache_unpin(fs->fds, &h->slot);
	}
	pthread_mutex_unlock(&h->lock);
	dir_put(fs, &d);
	return fs_errno(r);
}
