/* SPDX-License-Identifier: Apache-2.0 */
#include "name/xattr.h"
#include "node/node.h"

/* Points at n for an xattr call; n->lock held until target_put. */
static int target_get(struct fs *fs, struct node *n, struct place *p, struct xattr_at *at)
{
	*p = (struct place){.fd = -1};
	*at = (struct xattr_at){.st = fs->store, .fd = -1, .dirfd = -1};
	if (S_ISREG(n->mode) && n->file && n->file->blob) {
		at->fd = blob_fd(n->file->blob);
		return 0;
	}
	int r = place_get(fs, n, p);
	if (r == 0) {
		at->dirfd = p->fd;
		at->entry = p->entry;
	}
	return r;
}

ssize_t fs_getxattr(struct fs *fs, struct node *n, const char *name, void *value, size_t size)
{
	struct place p;
	struct xattr_at at;
	pthread_mutex_lock(&n->lock);
	ssize_t r = target_get(fs, n, &p, &at);
	if (r == 0) {
		r = xattr_get(&at, fs->keys, name, value, size);
		place_put(fs, &p);
	}
	pthread_mutex_unlock(&n->lock);
	if (r == -EBADMSG || r == -ENOKEY)
		damage_note(fs, n, "an extended attribute is not authentic");
	return r < 0 ? fs_errno((int)r) : r;
}

int fs_setxattr(
	struct fs *fs, struct node *n, const char *name, const void *value, size_t size, int flags)
{
	if (store_read_only(fs->store))
		return -EROFS;
	struct place p;
	struct xattr_at at;
	pthread_mutex_lock(&n->lock);
	int r = target_get(fs, n, &p, &at);
	if (r == 0) {
		r = xattr_set(&at, fs->keys, name, value, size, flags);
		place_put(fs, &p);
	}
	pthread_mutex_unlock(&n->lock);
	fs_mark_changed(fs);
	return fs_errno(r);
}

ssize_t fs_listxattr(struct fs *fs, struct node *n, char *list, size_t size)
{
	struct place p;
	struct xattr_at at;
	pthread_mutex_lock(&n->lock);
	ssize_t r = target_get(fs, n, &p, &at);
	if (r == 0) {
		r = xattr_list(&at, fs->keys, list, size);
		place_put(fs, &p);
	}
	pthread_mutex_unlock(&n->lock);
	return r < 0 ? fs_errno((int)r) : r;
}

int fs_removexattr(struct fs *fs, struct node *n, const char *name)
{
	if (store_read_only(fs->store))
		return -EROFS;
	struct place p;
	struct xattr_at at;
	pthread_mutex_lock(&n->lock);
	int r = target_get(fs, n, &p, &at);
	if (r == 0) {
		r = xattr_remove(&at, fs->keys, name);
		place_put(fs, &p);
	}
	pthread_mutex_unlock(&n->lock);
	fs_mark_changed(fs);
	return fs_errno(r);
}
