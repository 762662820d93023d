/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_STORE_STORE_PRIV_H
#define COFFER_STORE_STORE_PRIV_H

/* What the files of this folder share. Nobody else includes it, unit tests of this folder apart. */
#include "store/store.h"

/* The layers above write aligned blocks of this size, each of which must be old or new after a
 * power cut. */
#define STORE_BLOCK 4096u

/*
 * Immutable after store_open, but for traits (store_probe_static) and ops (store_set_ops), which
 * are set before other threads use the store. So no lock is needed.
 */
struct store {
	int root;
	char *path;
	bool read_only;
	struct store_traits traits;
	struct store_ops ops; /* no member is NULL */
};

/* The system calls themselves. */
extern const struct store_ops store_real_ops;

/* Runs a call again while a signal interrupts it. */
#define RETRY(call)                                                                                \
	({                                                                                         \
		__typeof__(call) result_;                                                          \
		do                                                                                 \
			result_ = (call);                                                          \
		while (result_ < 0 && errno == EINTR);                                             \
		result_;                                                                           \
	})

/* Result and errno of a libc call as 0-or-count or -errno. */
#define RESULT(call)                                                                               \
	({                                                                                         \
		__typeof__(call) r_ = RETRY(call);                                                 \
		r_ < 0 ? -errno : r_;                                                              \
	})

/* 0 if name is one component that leads nowhere else; else -EINVAL. */
int store_check_name(const char *name);

/* Appends one formatted line to a list of warnings; a line that does not fit is left out. */
void store_warn(char *warn, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Fills fs_name and what follows from the kind of file system alone; true if pages are always
 * stable. */
void traits_from_magic(unsigned long magic, struct store_traits *t);

/*
 * Fills what the device below says of itself: physical_block, atomic_write, aligned, stable_pages
 * (only ever set to true). sysfs is "/sys/dev/block" (another directory in tests). An unknown
 * device leaves all as it was.
 */
void traits_from_device(const char *sysfs, unsigned major, unsigned minor, struct store_traits *t);

/* The warnings that traits deserve. */
void traits_warn(const struct store_traits *t, char *warn, size_t size);

#endif
