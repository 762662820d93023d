/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "node/node.h"

static struct shard *shard_of(struct fs *fs, ino_t ino)
{
	return &fs->shards[(ino * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}

_Static_assert(NODE_SHARDS == 64, "shard_of takes six bits");

static size_t bucket_of(const struct shard *s, ino_t ino)
{
	return (size_t)((ino * UINT64_C(0xc2b2ae3d27d4eb4f)) >> 16) & (s->bucket_count - 1);
}

int table_init(struct fs *fs)
{
	for (int i = 0; i < NODE_SHARDS; i++) {
		struct shard *s = &fs->shards[i];
		pthread_mutex_init(&s->lock, NULL);
		s->bucket_count = 64;
		s->buckets = calloc(s->bucket_count, sizeof(*s->buckets));
		if (!s->buckets)
			return -ENOMEM;
	}
	return 0;
}

void table_free(struct fs *fs)
{
	for (int i = 0; i < NODE_SHARDS; i++) {
		free(fs->shards[i].buckets);
		fs->shards[i].buckets = NULL;
		pthread_mutex_destroy(&fs->shards[i].lock);
	}
}

static void link_in(struct node **head, struct node *n)
{
	n->hash_next = *head;
	n->hash_link = head;
	if (*head)
		(*head)->hash_link = &n->hash_next;
	*head = n;
}

static void link_out(struct node *n)
{
	if (!n->hash_link)
		return;
	*n->hash_link = n->hash_next;
	if (n->hash_next)
		n->hash_next->hash_link = n->hash_link;
	n->hash_next = NULL;
	n->hash_link = NULL;
}

/* Keeps chains short. Without memory the old array simply stays. */
static void grow(struct shard *s)
{
	size_t old_count = s->bucket_count;
	struct node **old = s->buckets;
	struct node **more = calloc(old_count * 2, sizeof(*more));
	if (!more)
		return;
	s->buckets = more;
	s->bucket_count = old_count * 2;
	for (size_t i = 0; i < old_count; i++) {
		for (struct node *n = old[i], *next; n; n = next) {
			next = n->hash_next;
			link_in(&more[bucket_of(s, n->ino)], n);
		}
	}
	free(old);
}

static void insert_locked(struct shard *s, struct node *n)
{
	if (s->count > s->bucket_count)
		grow(s);
	link_in(&s->buckets[bucket_of(s, n->ino)], n);
	n->listed = true;
	s->count++;
}

/* From the table to the dead ones, which are only kept to be freed with the file system. */
static void remove_locked(struct shard *s, struct node *n)
{
	if (!n->listed)
		return;
	link_out(n);
	link_in(&s->dead, n);
	n->listed = false;
	s->count--;
}

static struct node *find_locked(struct shard *s, ino_t ino)
{
	for (struct node *n = s->buckets[bucket_of(s, ino)]; n; n = n->hash_next)
		if (n->ino == ino)
			return n;
	return NULL;
}

struct node *table_find(struct fs *fs, ino_t ino)
{
	struct shard *s = shard_of(fs, ino);
	pthread_mutex_lock(&s->lock);
	struct node *n = find_locked(s, ino);
	if (n)
		node_ref(n);
	pthread_mutex_unlock(&s->lock);
	return n;
}

void table_remove(struct fs *fs, struct node *n)
{
	struct shard *s = shard_of(fs, n->ino);
	pthread_mutex_lock(&s->lock);
	remove_locked(s, n);
	pthread_mutex_unlock(&s->lock);
}

void table_insert(struct fs *fs, struct node *n)
{
	struct shard *s = shard_of(fs, n->ino);
	pthread_mutex_lock(&s->lock);
	if (!n->listed) {
		link_out(n);
		insert_locked(s, n);
	}
	pthread_mutex_unlock(&s->lock);
}

uint64_t table_count(struct fs *fs)
{
	uint64_t sum = 0;
	for (int i = 0; i < NODE_SHARDS; i++) {
		pthread_mutex_lock(&fs->shards[i].lock);
		sum += fs->shards[i].count;
		pthread_mutex_unlock(&fs->shards[i].lock);
	}
	return sum;
}

struct node *table_take_any(struct fs *fs)
{
	for (int i = 0; i < NODE_SHARDS; i++) {
		struct shard *s = &fs->shards[i];
		if (s->dead) {
			struct node *n = s->dead;
			link_out(n);
			return n;
		}
		for (size_t b = 0; b < s->bucket_count; b++) {
			struct node *n = s->buckets[b];
			if (n) {
				remove_locked(s, n);
				link_out(n);
				return n;
			}
		}
	}
	return NULL;
}

static int node_new(struct fs *fs, const struct stat *st, struct node *parent, const char *entry,
	struct node **ret)
{
	struct node *n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	if (S_ISDIR(st->st_mode)) {
		n->dir = calloc(1, sizeof(*n->dir));
		if (!n->dir) {
			free(n);
			return -ENOMEM;
		}
		n->dir->fd = -1;
	}
	n->fs = fs;
	n->ino = st->st_ino;
	n->mode = st->st_mode & S_IFMT;
	pthread_mutex_init(&n->lock, NULL);
	atomic_init(&n->refs, 1);
	int r = entry ? alias_add(fs, n, parent, entry) : 0;
	if (r < 0) {
		pthread_mutex_destroy(&n->lock);
		if (S_ISDIR(n->mode))
			free(n->dir);
		free(n);
		return r;
	}
	*ret = n;
	return 0;
}

/* True without taking the node's lock if (parent, entry) is its first name: the common case. */
static bool is_first_name(struct fs *fs, struct node *n, struct node *parent, const char *entry)
{
	pthread_rwlock_rdlock(&fs->names);
	bool same = n->name.parent == parent && n->name.entry && strcmp(n->name.entry, entry) == 0;
	pthread_rwlock_unlock(&fs->names);
	return same;
}

static int learn_name(struct fs *fs, struct node *n, struct node *parent, const char *entry)
{
	if (is_first_name(fs, n, parent, entry))
		return 0;
	pthread_mutex_lock(&n->lock);
	int r = 0;
	if (!n->dead) {
		r = alias_add(fs, n, parent, entry);
		if (r == 0 && n->hidden)
			unhide(fs, n);
	}
	pthread_mutex_unlock(&n->lock);
	return r;
}

int table_get(struct fs *fs, const struct stat *st, struct node *parent, const char *entry,
	struct node **ret)
{
	struct shard *s = shard_of(fs, st->st_ino);
	struct node *n = table_find(fs, st->st_ino);
	if (!n) {
		struct node *fresh = NULL;
		int r = node_new(fs, st, parent, entry, &fresh);
		if (r < 0)
			return r;
		pthread_mutex_lock(&s->lock);
		n = find_locked(s, st->st_ino);
		if (!n) {
			insert_locked(s, fresh);
			pthread_mutex_unlock(&s->lock);
			*ret = fresh;
			return 0;
		}
		node_ref(n);
		pthread_mutex_unlock(&s->lock);
		node_put(fs, fresh);
	}
	if (n->mode != (st->st_mode & S_IFMT)) {
		/* Somebody else works in the repository: never hand out a node of another kind. */
		node_put(fs, n);
		return -ESTALE;
	}
	int r = entry ? learn_name(fs, n, parent, entry) : 0;
	if (r < 0) {
		node_put(fs, n);
		return r;
	}
	*ret = n;
	return 0;
}

void node_ref(struct node *n)
{
	atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
}

/* Closes and frees everything that n itself owns, but for its names. */
static void release_state(struct fs *fs, struct node *n)
{
	if (S_ISREG(n->mode))
		file_free(fs, n);
	else if (S_ISDIR(n->mode))
		dir_free(fs, n);
	if (n->hidden)
		unhide(fs, n);
	free(n->ghost);
	pthread_mutex_destroy(&n->lock);
}

/* Frees a node that nobody can reach any more; its first parent, whose reference passes to the
 * caller, or NULL. */
static struct node *node_free(struct fs *fs, struct node *n)
{
	struct node *parent = n->name.parent;
	if (parent)
		node_ref(parent);
	alias_clear(fs, n);
	release_state(fs, n);
	free(n);
	return parent;
}

void node_free_flat(struct fs *fs, struct node *n)
{
	release_state(fs, n);
	for (struct alias *a = n->name.next, *next; a; a = next) {
		next = a->next;
		free(a->entry);
		free(a);
	}
	free(n->name.entry);
	free(n);
}

void node_unref(struct fs *fs, struct node *n, uint64_t count)
{
	/* A loop over the parents, not a recursion: trees may be thousands of levels deep. */
	while (n) {
		uint_fast64_t old = atomic_load_explicit(&n->refs, memory_order_relaxed);
		while (old > count)
			if (atomic_compare_exchange_weak_explicit(&n->refs, &old, old - count,
				    memory_order_release, memory_order_relaxed))
				return;
		struct shard *s = shard_of(fs, n->ino);
		pthread_mutex_lock(&s->lock);
		if (atomic_fetch_sub_explicit(&n->refs, count, memory_order_acq_rel) != count) {
			pthread_mutex_unlock(&s->lock);
			return;
		}
		remove_locked(s, n);
		link_out(n);
		pthread_mutex_unlock(&s->lock);
		n = node_free(fs, n);
		count = 1;
	}
}
