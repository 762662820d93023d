/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NODE_NODE_H
#define COFFER_NODE_NODE_H

/*
 * Private to node/. The inode table, and how an inode is reached on disk without a descriptor of
 * its own.
 *
 * Locks, in the order in which they may be taken:
 *   1. checkpoint_lock, dirhandle->lock.
 *   2. node->lock, a child before its parent. Held across I/O that reaches the node by its place,
 * so that the place cannot change meanwhile: rename and unlink hold it too (of two nodes: lower
 * address first, and no directory is pinned while two are held). Reads, writes and syncs of a file
 * do not hold it: they pin the blob.
 *   3. dirty_lock.
 *   4. fdcache.lock, shard locks, fs->names: leaves, never held across I/O.
 *
 * A place is (parent node, encrypted entry), and changes only under node->lock and fs->names
 * (write). References: each kernel lookup, each child that has it as parent, each call in flight.
 * At zero the node leaves the table under its shard's lock.
 *
 * States: named (alias list not empty) -> hidden (its last known name went while it was open, or
 * may be reachable by a name that we do not know: it lives in data/.unlinked) or dead (gone from
 * disk; `ghost` answers stat). A hidden node becomes named by lookup or link.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "blob/blob.h"
#include "name/name.h"
#include "node/fdcache.h"
#include "node/fs.h"

#define HIDDEN_DIR ".unlinked"
#define TARGETS_DIR ".targets"
#define NODE_SHARDS 64
#define DAMAGE_REMEMBERED 256

/* A name by which a node is known. The first is in the node itself. */
struct alias {
	struct node
		*parent; /* referenced; NULL: none, or hidden (then entry is in data/.unlinked) */
	char *entry;
	struct alias *next;
};

/* State of a directory that is in use. Protected by node->lock. */
struct dirstate {
	struct fdslot slot; /* descriptor of the directory */
	int fd;             /* -1: evicted */
	struct dirid id;
	bool has_id;
	uint64_t own_change; /* fs->sync_seq + 1 when we last made .id or a side link in it; 0:
				never */
};

/* State of a regular file that is open or whose blob is still cached. Protected by node->lock. */
struct filestate {
	struct fdslot slot; /* the blob's descriptor */
	struct blob *blob;  /* NULL: evicted */
	unsigned opens;
	unsigned writers;
	int error;  /* of a write that nobody was told of, until fsync reports it */
	bool wrote; /* since the last checkpoint */
	/* The mtime that the kernel knows (fs.h, fs_write). stale: the backing file's is another
	 * one by our writes. */
	bool mtime_known, mtime_stale;
	struct timespec mtime;
};

struct node {
	struct node *hash_next;  /* shard lock; in a bucket or in the shard's list of the dead */
	struct node **hash_link; /* shard lock: what points to us */
	bool listed;             /* shard lock: in the table */
	struct fs *fs;           /* constant */
	ino_t ino;
	atomic_uint_fast64_t refs;
	pthread_mutex_t lock;
	struct alias name;  /* see above; names + lock */
	uint32_t mode;      /* type bits only; constant */
	bool hidden;        /* lock: it has a link in data/.unlinked, which its nlink counts */
	bool names_unknown; /* lock: more names than the alias list holds were seen */
	bool dead;          /* lock */
	bool settled;       /* lock: size checked after an unclean end */
	uint32_t dirty_at;  /* dirty_lock: position in fs->dirty plus one; 0: not there */
	union {
		struct dirstate *dir;   /* S_ISDIR */
		struct filestate *file; /* S_ISREG; NULL: neither open nor cached */
	};
	struct stat *ghost; /* lock: what a dead node answers to stat */
};

struct shard {
	pthread_mutex_t lock;
	struct node **buckets;
	struct node *dead;
	size_t bucket_count, count;
};

struct fs {
	struct store *store;
	const struct keyring *keys;
	struct epochs *epochs;
	struct blob_env blobs;
	struct fdcache *fds;
	struct node *root;
	dev_t dev;
	int data_fd, hidden_fd,
		targets_fd; /* constant; the latter two -1 if there is none (read-only) */
	pthread_rwlock_t names;
	struct shard shards[NODE_SHARDS];
	atomic_uint_fast64_t sync_seq; /* completed syncfs calls */
	atomic_uint_fast64_t hidden_seq;
	atomic_bool changed;        /* since the last checkpoint */
	pthread_mutex_t dirty_lock; /* leaf */
	struct node **dirty;        /* referenced: files written since the last checkpoint */
	size_t dirty_count, dirty_room;
	pthread_mutex_t handles_lock;    /* leaf */
	struct dirhandle *handles;       /* all open ones */
	uint64_t met[DAMAGE_REMEMBERED]; /* dirty_lock: damage that was told, as hashes */
	unsigned met_next;               /* dirty_lock */
	atomic_llong synced_before;      /* when the last finished syncfs began: ns since 1970 */
	pthread_mutex_t checkpoint_lock;
	pthread_mutex_t timer_lock;
	pthread_cond_t timer_cond;
	pthread_t timer;
	bool timer_runs, stopping;
	unsigned checkpoint_seconds;
	atomic_uint_fast64_t damage, recovered;
	bool unclean;
};

/* ---- table.c ---- */
int table_init(struct fs *fs);
void table_free(struct fs *fs);
/* Finds by inode number and takes a reference; NULL if not there. */
struct node *table_find(struct fs *fs, ino_t ino);
/* Finds or makes the node of a backing inode (one reference); a new one is named (parent, entry), a
 * known one learns it. */
int table_get(struct fs *fs, const struct stat *st, struct node *parent, const char *entry,
	struct node **ret);
/* Takes a node out of the table (its inode number may be reused), or puts it back. Holds
 * node->lock. */
void table_remove(struct fs *fs, struct node *n);
void table_insert(struct fs *fs, struct node *n);
uint64_t table_count(struct fs *fs);
void node_ref(struct node *n);
void node_unref(struct fs *fs, struct node *n, uint64_t count);
static inline void node_put(struct fs *fs, struct node *n)
{
	if (n)
		node_unref(fs, n, 1);
}
/* Frees a taken-out node at the end of the file system, without regard to references and parents.
 */
void node_free_flat(struct fs *fs, struct node *n);
/* For the end of the file system, with no call running: takes out any node, whatever its
 * references; NULL at the end. */
struct node *table_take_any(struct fs *fs);

/* ---- alias.c: a node's names; callers hold node->lock ---- */
int alias_add(struct fs *fs, struct node *n, struct node *parent, const char *entry);
/* True if it was known. */
bool alias_remove(struct fs *fs, struct node *n, struct node *parent, const char *entry);
bool alias_any(struct node *n);
void alias_clear(struct fs *fs, struct node *n);

/* ---- place.c ---- */
/* A pinned directory: its descriptor and identity stay valid until dir_put. */
struct dirref {
	struct node *node;
	int fd;
	struct dirid id;
};
/* Pins directory n, opening it if need be. -ENOENT: removed. need_id: with its identity (made if
 * the directory is empty). */
int dir_get(struct fs *fs, struct node *n, bool need_id, struct dirref *ret);
void dir_put(struct fs *fs, struct dirref *d);
/* Adds u+rwx to a directory, for an owner without privilege; *ret_mode is what to put back. */
int dir_open_up(struct fs *fs, int fd, mode_t *ret_mode);
/* Notes that we made an object of our own in it (see store_traits.needs_ancestor_sync). */
void dir_note_own(struct fs *fs, struct node *n);
/* Where a node lies: pins its parent. Caller holds n->lock until it is done with the place. -ENOENT
 * if dead. */
struct place {
	struct dirref dir;
	int fd;
	char entry[NAME_ENTRY_MAX + 1];
};
int place_get(struct fs *fs, struct node *n, struct place *ret);
void place_put(struct fs *fs, struct place *p);
static inline void strcpy_entry(char dst[NAME_ENTRY_MAX + 1], const char *src)
{
	snprintf(dst, NAME_ENTRY_MAX + 1, "%s", src);
}
/* The name of a hidden node in data/.unlinked: unique, because the inode lives as long as it. */
static inline void hidden_name(const struct node *n, char entry[NAME_ENTRY_MAX + 1])
{
	snprintf(entry, NAME_ENTRY_MAX + 1, "%llx", (unsigned long long)n->ino);
}
/* ---- attr.c ---- */
/* Turns a backing stat into what users see. Caller holds n->lock. place may be NULL. */
int attr_fill(struct fs *fs, struct node *n, const struct place *p, struct stat *st);
/* As fs_getattr, with n->lock held. */
int attr_get(struct fs *fs, struct node *n, struct stat *st);

/* ---- file.c ---- */
/* Pins the blob of a regular file, opening it if need be; n->lock held by the caller. */
int file_blob(struct fs *fs, struct node *n, bool writable, struct blob **ret);
/* Takes over a fresh blob's descriptor for node n (n->lock held); pinned once. */
int file_adopt(struct fs *fs, struct node *n, struct blob *b);
void file_unpin(struct fs *fs, struct node *n);
/* Writes record 0 if stale, and puts back the mtime. n->lock held. */
int file_finish(struct fs *fs, struct node *n);
/* The content of n (which has a blob) is about to change: the mtime is kept, or (direct) moves on.
 * n->lock held. */
int file_changes(struct fs *fs, struct node *n, bool direct);
/* The mtime was set. n->lock held. */
void file_mtime_set(struct fs *fs, struct node *n, const struct timespec *mtime);
/* Puts back the mtime where our writes moved it. n->lock held. */
int file_restore_mtime(struct fs *fs, struct node *n);
/* Drops a cached blob that nobody has open (its file was unlinked). n->lock held. */
void file_drop(struct fs *fs, struct node *n);
/* Truncates to nothing without reading what was there, so that damaged files can be overwritten.
 * n->lock held. */
int file_reset(struct fs *fs, struct node *n);
/* An error that nobody was told of; cleared. n->lock held. */
int file_take_error(struct node *n);
/* When the node goes: finishes, closes, frees. */
void file_free(struct fs *fs, struct node *n);
void dir_free(struct fs *fs, struct node *n);

/* ---- lookup.c ---- */
/* From a backing stat of dir's entry to a referenced node; st becomes what users see. */
int entry_node(
	struct fs *fs, struct dirref *dir, const char *entry, struct stat *st, struct node **ret);

/* ---- remove.c ---- */
/*
 * Around the removal (or replacement) of a name of n, with n->lock held: gone_prepare before, then
 * gone_commit or gone_undo. st is the backing stat of the name. keep_open: the name will stand for
 * another file at once, so who has looked up the old one may still open it, as on a local file
 * system (best effort: it stays open in the descriptor cache for a while).
 */
struct going {
	struct node *node; /* NULL: nobody knows the inode */
	bool made_hidden, unlisted, keep_open;
	char far_target[NAME_ENTRY_MAX + 1]; /* id of the symlink's text in data/.targets, or "" */
};
int gone_prepare(struct fs *fs, struct node *n, const struct dirref *dir, const char *entry,
	const struct stat *st, bool keep_open, struct going *ret);
void gone_commit(struct fs *fs, struct going *g, struct node *parent, const char *entry,
	const struct stat *st);
void gone_undo(struct fs *fs, struct going *g);
/* Removes the hidden link (n->lock held, or nobody else has n). */
void unhide(struct fs *fs, struct node *n);
/* A hidden node was closed for the last time (n->lock held): removes it from disk if no name is
 * left. */
void hidden_closed(struct fs *fs, struct node *n);
/* Removes what a crash left in data/.unlinked. */
int sweep_hidden(struct fs *fs);

/* ---- damage.c ---- */
void damage_record(void *cookie, uint64_t record, const char *reason); /* struct blob_env.damage */
void damage_recovered(void *cookie, const char *what); /* struct blob_env.recovered */
/* Logs and counts damage of a node that is no record of a file. */
void damage_note(struct fs *fs, struct node *n, const char *reason);
/* An entry of dir whose name does not authenticate. */
void damage_name(struct fs *fs, struct node *dir, const char *entry);

/* ---- path.c: for messages ---- */
/* The plaintext path below the mount, quoted, in buf; "?" parts where a name cannot be told. Takes
 * no node lock. */
char *node_path(struct fs *fs, struct node *n, char *buf, size_t size);
/* The path of the blob in the repository, data/... */
char *node_blob_path(struct fs *fs, struct node *n, char *buf, size_t size);

/* ---- creds.c: who new objects belong to ---- */
/*
 * Makes this thread create objects as `who` (file-system ids and umask of this thread alone),
 * keeping the capabilities that override permissions: the kernel has checked those already. Without
 * privilege only the umask changes. Returns a token for creds_leave.
 */
struct creds {
	bool switched;
};
struct creds creds_enter(const struct caller *who);
void creds_leave(struct creds c);

/* ---- readdir.c ---- */
/* Closes all directory handles that are left at the end. */
void handles_free(struct fs *fs);

/* ---- sync.c ---- */
/* Makes our own objects (.id, side links) in n's ancestors durable where the file system would not
 * (btrfs). */
int sync_ancestors(struct fs *fs, struct node *n);

/* ---- checkpoint.c ---- */
void fs_stop_timer(struct fs *fs);
/* Something in the repository changed: there is work for the next checkpoint. */
void fs_mark_changed(struct fs *fs);
/* File n was written (n->lock held): the next checkpoint finishes it. */
void fs_mark_written(struct fs *fs, struct node *n);
/* File n is gone: no checkpoint needs it, and none keeps it (and its space) alive. */
void fs_unmark_written(struct fs *fs, struct node *n);
/* True if a file with this ctime may have bytes that no sync has made durable. */
bool fs_maybe_unsynced(struct fs *fs, const struct timespec *ctime);

/* Content errors become EIO for callers above. */
static inline int fs_errno(int r)
{
	return r == -EBADMSG || r == -ENOKEY ? -EIO : r;
}

#endif
