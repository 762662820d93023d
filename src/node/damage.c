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

void damage_note(struct fs *fs, struct node *n, const char *reason)
{
	(void)fs;
	damage_record(n, UINT64_MAX, reason);
}

void damage_name(struct fs *fs, struct node *dir, const char *entry)
{
	char path[PATH_SHOWN], blob[PATH_SHOWN], quoted[4 * NAME_ENTRY_MAX + 1];
	atomic_fetch_add(&fs->damage, 1);
	log_error("damage: in directory %s: the entry %s/%s is not a name of this directory "
		  "(changed, or moved "
		  "here from another one); it is not shown",
		node_path(fs, dir, path, sizeof(path)), node_blob_path(fs, dir, blob, sizeof(blob)),
		log_quote(quoted, sizeof(quoted), entry));
}
