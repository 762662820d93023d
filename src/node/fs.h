/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_NODE_FS_H
#define COFFER_NODE_FS_H

/*
 * The file system without FUSE: inode table, open blobs, directory handles, checkpoints. fuse/ decodes requests, calls
 * these, and replies; unit tests call them without a mount. (Placeholder: the node layer's author owns this file.)
 */
#include "blob/epoch.h"
#include "crypto/keyring.h"
#include "store/store.h"

struct fs;

struct fs_options {
	unsigned max_open; /* descriptors that may be held open for blobs and directories; 0: from RLIMIT_NOFILE */
	unsigned checkpoint_seconds; /* 0: default 60 */
};

/* Opens data/, begins a session (unless read-only). Members are borrowed. */
int fs_open(struct store *st, const struct keyring *keys, const struct fs_options *o, struct fs **ret, struct err *err);
/* Finishes all blobs, syncs, ends the session cleanly, frees. *first error is returned, everything is freed. */
int fs_close(struct fs *fs);
/* Everything written so far is durable: finish, syncfs, new epoch. */
int fs_checkpoint(struct fs *fs);

#endif
