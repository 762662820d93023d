/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "node/node.h"

/*
 * The kernel may reach an inode through any name it has looked up, so all of those are kept. Files
 * with very many hard links (rsync --link-dest) would make that quadratic: above this number the
 * rest is only noted (names_unknown), and when the known ones are gone the file gets a hidden link
 * instead.
 */
#define ALIASES_MAX 64

static struct alias *find(
	struct node *n, struct node *parent, const char *entry, unsigned *ret_count)
{
	unsigned count = 0;
	struct alias *hit = NULL;
	if (n->name.entry) {
		for (struct alias *a = &n->name; a; a = a->next) {
			count++;
			if (a->parent == parent && strcmp(a->entry, entry) == 0)
				hit = a;
		}
	}
	*ret_count = count;
	return hit;
}

int alias_add(struct fs *fs, struct node *n, struct node *parent, const char *entry)
{
	unsigned count;
	if (find(n, parent, entry, &count))
		return 0;
	if (count >= ALIASES_MAX) {
		n->names_unknown = true;
		return 0;
	}
	char *copy = strdup(entry);
	struct alias *more = count > 0 ? malloc(sizeof(*more)) : NULL;
	if (!copy || (count > 0 && !more)) {
		free(copy);
		free(more);
		return -ENOMEM;
	}
	if (parent)
		node_ref(parent);
	pthread_rwlock_wrlock(&fs->names);
	if (more) {
		*more = (struct alias){.parent = parent, .entry = copy, .next = n->name.next};
		n->name.next = more;
	} else {
		n->name.parent = parent;
		n->name.entry = copy;
	}
	pthread_rwlock_unlock(&fs->names);
	return 0;
}

bool alias_remove(struct fs *fs, struct node *n, struct node *parent, const char *entry)
{
	unsigned count;
	struct alias *a = find(n, parent, entry, &count);
	if (!a)
		return false;
	pthread_rwlock_wrlock(&fs->names);
	char *old_entry = a->entry;
	struct alias *spare = NULL;
	if (a == &n->name) {
		spare = a->next;
		if (spare)
			*a = *spare;
		else
			*a = (struct alias){0};
	} else {
		struct alias *before = &n->name;
		while (before->next != a)
			before = before->next;
		before->next = a->next;
		spare = a;
	}
	pthread_rwlock_unlock(&fs->names);
	free(spare);
	free(old_entry);
	node_put(fs, parent);
	return true;
}

bool alias_any(struct node *n)
{
	return n->name.entry != NULL;
}

void alias_clear(struct fs *fs, struct node *n)
{
	while (n->name.entry)
		alias_remove(fs, n, n->name.parent, n->name.entry);
}
