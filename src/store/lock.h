/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_STORE_LOCK_H
#define COFFER_STORE_LOCK_H

/*
 * state/lock: one mount owns a repository. An OFD write lock is held for the life of the mount and
 * is what excludes others; the text inside (host, pid, start time, mount point) tells people who
 * holds it. A text that names another host and was not cleared by a clean end is refused too (the
 * file system may not pass locks between hosts) until `coffer break-lock`.
 */
#include "store/store.h"

struct lock_holder {
	char host[256];
	long pid;
	long long since;       /* seconds since 1970 */
	char mountpoint[4096]; /* "" if not mounted (an offline command) */
};
/* The strings come from a file that anybody may have written: quote them where they are printed. */

/*
 * Takes the lock and writes who we are: this host, the calling process (a daemon calls it after it
 * forked; the lock itself would survive fork), now, and the mount point (NULL or "": none). On
 * -EBUSY (EXIT_REPO_IN_USE) err names the holder. This host's leftover text without the lock, or a
 * text that names nobody, is a crash and taken over silently. A lost state/ is made anew in a
 * directory that has coffer.ini. Returns a descriptor whose life is the lock's (it and its
 * duplicates), or -errno. Read-only stores: no lock is taken and -EROFS never arises; returns a
 * descriptor of the lock file, or -ENOENT (err is not set).
 */
int lock_take(struct store *st, const char *mountpoint, struct err *err);

/* Clears the text and closes. Call only after everything was written. fd may be negative (nothing
 * is done). */
void lock_release(struct store *st, int fd);

/*
 * Fills who holds or last held it. *ret_held: the OFD lock is held now (by any process that this
 * host sees; host is "" if the holder has not written its text yet). -ENOENT: nobody holds it, and
 * the text is empty, garbage or missing.
 */
int lock_query(struct store *st, struct lock_holder *ret, bool *ret_held);

/*
 * Removes a foreign host's text (durably; nothing to remove is no error). -EBUSY: somebody on this
 * host, or visible through the lock, holds it now.
 */
int lock_break(struct store *st, struct err *err);

#endif
