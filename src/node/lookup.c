/* SPDX-License-Identifier: Apache-2.0 */
#include "name/target.h"
#include "node/node.h"

/* From a backing stat to a referenced node and what users see of it. */
int entry_node(
	struct fs *fs, struct dirref *dir, const char *entry, struct stat *st, struct node **ret)
{
	if (st->st_dev != fs->dev)
		return -EXDEV; /* something is mounted inside the repository */
	struct node *n;
	int r = table_get(fs, st, dir->node, entry, &n);
	if (r < 0)
		return r;
	struct place p = {.fd = dir->fd};
	strcpy_entry(p.entry, entry);
	pthread_mutex_lock(&n->lock);
	r = attr_fill(fs, n, &p, st);
	pthread_mutex_unlock(&n->lock);
	if (r < 0) {
		node_put(fs, n);
		return r;
	}
	*ret = n;
	return 0;
}

int fs_lookup(struct fs *fs, struct node *dir, const char *name, struct node **ret, struct stat *st)
{
	struct dirref d;
	int r = dir_get(fs, dir, true, &d);
	if (r < 0)
		return fs_errno(r);
	struct encname enc;
	r = name_encrypt(fs->keys, &d.id, name, strlen(name), &enc);
	if (r == 0)
		r = st_fstatat(fs->store, d.fd, enc.entry, st);
	if (r == 0)
		r = entry_node(fs, &d, enc.entry, st, ret);
	dir_put(fs, &d);
	return fs_errno(r);
}

void fs_forget(struct fs *fs, struct node *n, uint64_t count)
{
	node_unref(fs, n, count);
}

/* The text of a target that is too long for a symlink, from data/.targets. */
static ssize_t read_far_target(struct fs *fs, const struct target_ref *ref, char *target)
{
	if (fs->targets_fd < 0)
		return -EBADMSG;
	_cleanup_free_ char *sealed = NULL;
	size_t len;
	int r = st_read_file(
		fs->store, fs->targets_fd, ref->id, TARGET_SEALED_LEN(TARGET_MAX), &sealed, &len);
	if (r < 0)
		return r == -ENOENT || r == -EFBIG ? -EBADMSG : r;
	return target_open(fs->keys, ref, (const uint8_t *)sealed, len, target);
}

ssize_t fs_readlink(struct fs *fs, struct node *n, char *target)
{
	char text[TARGET_TEXT_MAX + 1];
	struct target_ref ref;
	struct place p;
	pthread_mutex_lock(&n->lock);
	ssize_t len = S_ISLNK(n->mode) ? place_get(fs, n, &p) : -EINVAL;
	if (len == 0) {
		len = st_readlinkat(fs->store, p.fd, p.entry, text, sizeof(text));
		place_put(fs, &p);
		if (len == -ENAMETOOLONG)
			len = -EBADMSG;
	}
	pthread_mutex_unlock(&n->lock);
	if (len < 0)
		return fs_errno((int)len);
	if (target_ref_parse(text, (size_t)len, &ref) == 0)
		len = read_far_target(fs, &ref, target);
	else
		len = target_decrypt(fs->keys, text, (size_t)len, target);
	if (len == -EBADMSG || len == -ENOKEY)
		damage_note(fs, n, "the symlink's target is not authentic");
	return len < 0 ? fs_errno((int)len) : len;
}
