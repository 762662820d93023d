/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

/* A directory for one test, on whatever file system TMPDIR (default /tmp) is. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int scratch_remove_one(
	const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)f;
	/* A test may have taken the rights away. */
	if (type == FTW_D || type == FTW_DNR)
		(void)chmod(path, sb->st_mode | 0700);
	return remove(path);
}

static inline void scratch_remove(char *path)
{
	nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

/* The caller removes it with scratch_remove. */
static inline char *scratch_make(void)
{
	const char *tmp = getenv("TMPDIR");
	char *path;

	if (asprintf(&path, "%s/coffer-unit-XXXXXX", tmp && tmp[0] ? tmp : "/tmp") < 0)
		return NULL;
	if (!mkdtemp(path)) {
		perror(path);
		free(path);
		return NULL;
	}
	return path;
}

#endif
