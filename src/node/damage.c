/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "node/node.h"
#include "util/log.h"

#define PATH_SHOWN 4096

void damage_record(void *cookie, uint64_t record, const char *reason)
{
	struct node *n = cookie;
	char path[PATH_SHOWN], blob[PATH_SHOWN], where[32] = "";
	atomic_fetch_add(&n->fs->damage, 1);
	if (record != UINT64_MAX)
		snprintf(where, sizeof(where), ", record %" PRIu64, record);
	log_error("damage: %s (blob %s%s): %s", node_path(n->fs, n, path, sizeof(path)),
		node_blob_path(n->fs, n, blob, sizeof(blob)), where, reason);
}

void damage_recovered(void *cookie, const char *what)
{
	struct node *n = cookie;
	char path[PATH_SHOWN];
	atomic_fetch_add(&n->fs->recovered, 1);
	log_info("recovered: %s: %s", node_path(n->fs, n, path, sizeof(path)), what);
}

/* True the first time that this is met, as far as the last DAMAGE_REMEMBERED ones tell. */
static bool first_met(struct fs *fs, ino_t ino, const char *what)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)ino; /* FNV-1a */
	for (; *what; what++)
		hash = (hash ^ (uint8_t)*what) * UINT64_C(0x100000001b3);
	bool met = false;
	pthread_mutex_lock(&fs->dirty_lock);
	for (unsigned i = 0; i < DAMAGE_REMEMBERED; i++)
		met |= fs->met[i] == hash;
	if (!met)
		fs->met[fs->met_next++ % DAMAGE_REMEMBERED] = hash;
	pthread_mutex_unlock(&fs->dirty_lock);
	return !met;
}

void damage_note(struct fs *fs, struct node *n, const char *reason)
{
	if (first_met(fs, n->ino, reason))
		damage_record(n, UINT64_MAX, reason);
}

void damage_name(struct fs *fs, struct node *dir, const char *entry)
{
	char path[PATH_SHOWN], blob[PATH_SHOWN], quoted[4 * NAME_ENTRY_MAX + 1];
	if (!first_met(fs, dir->ino, entry))
		return;
	atomic_fetch_add(&fs->damage, 1);
	log_error("damage: in directory %s: the entry %s/%s is not a name of this directory "
		  "(changed, or moved here from another one); it is not shown",
		node_path(fs, dir, path, sizeof(path)), node_blob_path(fs, dir, blob, sizeof(blob)),
		log_quote(quoted, sizeof(quoted), entry));
}
