/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/holders.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/log.h"

static bool is_inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || path[n] == ' ');
}

/* Where the link `name` of a process's directory points, if it lies in the mount. */
static bool link_inside(int dirfd, const char *name, const char *mountpoint, char path[PATH_MAX])
{
	ssize_t n = readlinkat(dirfd, name, path, PATH_MAX - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_inside(path, mountpoint);
}

static bool fd_inside(int process, const char *mountpoint, char path[PATH_MAX])
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	_cleanup_closedir_ DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return false;
	}
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (link_inside(dirfd(d), e->d_name, mountpoint, path))
			return true;
	}
	return false;
}

/* A line of maps: addresses, four more columns, then the path. */
static bool map_inside(int process, const char *mountpoint, char path[PATH_MAX])
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, f) > 0) {
		const char *slash = strchr(line, '/');
		if (slash && is_inside(slash, mountpoint)) {
			(void)snprintf(path, PATH_MAX, "%.*s", (int)strcspn(slash, "\n"), slash);
			return true;
		}
	}
	return false;
}

static const char *how_held(int process, const char *mountpoint, char path[PATH_MAX])
{
	if (link_inside(process, "cwd", mountpoint, path))
		return "working directory";
	if (link_inside(process, "root", mountpoint, path))
		return "root directory";
	if (fd_inside(process, mountpoint, path))
		return "open file";
	if (map_inside(process, mountpoint, path))
		return "mapped file";
	return NULL;
}

static void read_name(int process, char *out, size_t size)
{
	_cleanup_close_ int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

unsigned holders_print(const char *mountpoint, unsigned most, FILE *to)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	_cleanup_free_ char *path = malloc(PATH_MAX);
	unsigned found = 0;
	const struct dirent *e;
	while (proc && path && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		_cleanup_close_ int process =
			openat(dirfd(proc), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		const char *how = process < 0 ? NULL : how_held(process, mountpoint, path);
		if (!how)
			continue;
		char name[64], shown_name[256], shown_path[512];
		read_name(process, name, sizeof(name));
		if (found++ < most)
			(void)fprintf(to, "    process %s (%s): %s %s\n", e->d_name,
				log_quote(shown_name, sizeof(shown_name), name), how,
				log_quote(shown_path, sizeof(shown_path), path));
	}
	if (found > most)
		(void)fprintf(to, "    and %u more\n", found - most);
	return found;
}
