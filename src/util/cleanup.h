/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_CLEANUP_H
#define COFFER_UTIL_CLEANUP_H

/*
 * Resources that release themselves when they go out of scope, on every path.
 * Ownership moves explicitly: `*ret = TAKE_PTR(p);` leaves NULL behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <dirent.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

/* Defines NAMEp(T *) for use with _cleanup_(): calls FUNC unless the pointer is NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
	static inline void func##p(type *p)                                                        \
	{                                                                                          \
		if (*p)                                                                            \
			func(*p);                                                                  \
	}

static inline void cleanup_free_(void *p)
{
	int saved = errno;
	free(*(void **)p);
	errno = saved;
}
static inline void cleanup_close_(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}
static inline void cleanup_fclose_(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void cleanup_closedir_(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _cleanup_free_ _cleanup_(cleanup_free_)
#define _cleanup_close_ _cleanup_(cleanup_close_)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose_)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir_)

#endif
