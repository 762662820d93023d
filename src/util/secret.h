/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_SECRET_H
#define COFFER_UTIL_SECRET_H

#include <stddef.h>
#include "util/cleanup.h"

/*
 * The only place where keys, passwords and tokens live: page-mapped memory that is locked (mlock; a
 * limit that is too low is tolerated and counted, see secret_unlocked), left out of core dumps,
 * wiped by fork in the child (Linux 4.14), zeroed when made and wiped when freed. Nothing else
 * keeps a copy. Thread-safe. Small secrets share pages: 10,000 file keys take 500 kB.
 *
 * After fork(2) a child finds zeros in what it inherited, and may free it; a daemon therefore forks
 * before it reads its secrets.
 */

/* Returns zeroed memory of size bytes (<= 1 MiB), aligned to 16, or NULL: out of memory, or too
 * large. */
void *secret_alloc(size_t size);

/* Wipes and frees; NULL is allowed. p must come from secret_alloc; anything else aborts, as free(3)
 * does. */
void secret_free(void *p);

/* How many bytes of pages with secrets could not be locked in memory (RLIMIT_MEMLOCK); status shows
 * it. */
size_t secret_unlocked(void);

/* Overwrites memory with zeros in a way that the compiler keeps. len 0: nothing is touched. */
void wipe(void *p, size_t len);

static inline void cleanup_secret_(void *p)
{
	secret_free(*(void **)p);
}
#define _cleanup_secret_ _cleanup_(cleanup_secret_)

#endif
