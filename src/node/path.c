/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "node/node.h"
#include "util/log.h"

#define DEPTH_SHOWN 32

/*
 * Collects the chain of entries up to the root. The parents' identities are read without their
 * locks being taken (this runs inside reads and writes that hold some): an identity never changes
 * once has_id is set.
 */
struct step {
	char entry[NAME_ENTRY_MAX + 1];
	struct dirid id;
	bool has_id;
};

static int collect(struct fs *fs, struct node *n, struct step *steps, bool *ret_cut)
{
	int depth = 0;
	pthread_rwlock_rdlock(&fs->names);
	while (n != fs->root && n->name.entry && n->name.parent && depth < DEPTH_SHOWN) {
		struct step *s = &steps[depth++];
		strcpy_entry(s->entry, n->name.entry);
		n = n->name.parent;
		s->has_id = __atomic_load_n(&n->dir->has_id, __ATOMIC_ACQUIRE);
		if (s->has_id)
			s->id = n->dir->id;
	}
	*ret_cut = n != fs->root;
	pthread_rwlock_unlock(&fs->names);
	return depth;
}

static void append(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);
	if (len + 1 < size)
		snprintf(buf + len, size - len, "%s", text);
}

char *node_path(struct fs *fs, struct node *n, char *buf, size_t size)
{
	struct step *steps = calloc(DEPTH_SHOWN, sizeof(*steps));
	buf[0] = '\0';
	if (!steps)
		return buf;
	bool cut;
	int depth = collect(fs, n, steps, &cut);
	if (cut)
		append(buf, size, depth ? "..." : "(deleted)");
	if (depth == 0 && !cut)
		append(buf, size, "/");
	for (int i = depth - 1; i >= 0; i--) {
		char name[NAME_MAX_PLAIN + 1], quoted[4 * NAME_MAX_PLAIN + 1];
		ssize_t len = -EBADMSG;
		/* Long names would need the disk: their entry must do. */
		if (steps[i].has_id && !name_is_long(steps[i].entry))
			len = name_decrypt(fs->keys, &steps[i].id, steps[i].entry,
				strlen(steps[i].entry), name);
		append(buf, size, "/");
		append(buf, size,
			len > 0 ? log_quote(quoted, sizeof(quoted), name) : steps[i].entry);
	}
	free(steps);
	return buf;
}

char *node_blob_path(struct fs *fs, struct node *n, char *buf, size_t size)
{
	struct step *steps = calloc(DEPTH_SHOWN, sizeof(*steps));
	snprintf(buf, size, "data");
	if (!steps)
		return buf;
	bool cut;
	int depth = collect(fs, n, steps, &cut);
	if (cut)
		append(buf, size, "/...");
	for (int i = depth - 1; i >= 0; i--) {
		append(buf, size, "/");
		append(buf, size, steps[i].entry);
	}
	free(steps);
	return buf;
}
