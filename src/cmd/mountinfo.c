/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/mountinfo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

/* "\040" and the like, for blank, tab, newline and backslash. In place. */
static void unescape(char *text)
{
	char *out = text;
	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
			p[3] >= '0' && p[3] <= '7') {
			*out++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
}

static bool has_option(const char *options, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = options; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == ','))
			return true;
	}
	return false;
}

static void clear_entry(struct mount_entry *e)
{
	free(e->mountpoint);
	free(e->source);
}

/*
 * One line: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS...] - TYPE SOURCE SUPEROPTIONS
 * (proc_pid_mountinfo(5)). It is cut up in place. 1: one of ours, 0: another, -ENOMEM.
 */
static int parse_line(char *line, struct mount_entry *ret)
{
	char *field[6], *save = NULL;
	for (int i = 0; i < 6; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!field[i])
			return 0;
	}
	const char *word;
	do {
		word = strtok_r(NULL, " ", &save);
	} while (word && strcmp(word, "-") != 0);
	const char *type = strtok_r(NULL, " ", &save);
	char *source = strtok_r(NULL, " ", &save);
	if (!type || !source || strcmp(type, MOUNT_TYPE) != 0)
		return 0;
	const char *super = strtok_r(NULL, " ", &save);
	unescape(field[4]);
	unescape(source);
	struct mount_entry e = {.mountpoint = strdup(field[4]), .source = strdup(source)};
	e.read_only = has_option(field[5], "ro") || (super && has_option(super, "ro"));
	if (!e.mountpoint || !e.source) {
		clear_entry(&e);
		return -ENOMEM;
	}
	*ret = e;
	return 1;
}

static int append(struct mount_list *l, const struct mount_entry *e)
{
	struct mount_entry *grown = realloc(l->entries, (l->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->entries = grown;
	grown[l->count++] = *e;
	return 0;
}

int mount_list_parse(const char *text, struct mount_list *ret)
{
	struct mount_list l = {0};
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	char *save = NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_entry e;
		int rc = parse_line(line, &e);
		if (rc == 1) {
			rc = append(&l, &e);
			if (rc < 0)
				clear_entry(&e);
		}
		if (rc < 0) {
			mount_list_clear(&l);
			return rc;
		}
	}
	*ret = l;
	return 0;
}

int mount_list_read(struct mount_list *ret, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return err_set_errno(
			err, EXIT_INTERNAL, -errno, "cannot read /proc/self/mountinfo");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	errno = 0;
	/* The file holds no zero byte: this reads all of it. */
	ssize_t n = getdelim(&text, &size, '\0', f);
	if (n < 0 && errno)
		return err_set_errno(
			err, EXIT_INTERNAL, -errno, "cannot read /proc/self/mountinfo");
	int rc = mount_list_parse(n < 0 ? "" : text, ret);
	return rc < 0 ? err_set(err, EXIT_INTERNAL, rc, "out of memory") : 0;
}

void mount_list_clear(struct mount_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		clear_entry(&l->entries[i]);
	free(l->entries);
	*l = (struct mount_list){0};
}

char *mountpoint_absolute(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return NULL;
	size_t len = strlen(copy);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	char *slash = strrchr(copy, '/');
	const char *last = slash ? slash + 1 : copy;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return realpath(copy, NULL);
	_cleanup_free_ char *dir = NULL;
	if (!slash) {
		dir = realpath(".", NULL);
	} else {
		char first = *slash;
		*slash = '\0';
		dir = realpath(slash == copy ? "/" : copy, NULL);
		*slash = first;
	}
	if (!dir)
		return NULL;
	char *joined = NULL;
	if (asprintf(&joined, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, last) < 0)
		return NULL;
	return joined;
}

static const struct mount_entry *find_exact(const struct mount_list *l, const char *path)
{
	for (size_t i = l->count; path && i > 0; i--) {
		if (strcmp(l->entries[i - 1].mountpoint, path) == 0)
			return &l->entries[i - 1];
	}
	return NULL;
}

const struct mount_entry *mount_list_find(const struct mount_list *l, const char *path)
{
	_cleanup_free_ char *absolute = mountpoint_absolute(path);
	const struct mount_entry *e = find_exact(l, absolute);
	if (e)
		return e;
	_cleanup_free_ char *real = realpath(path, NULL);
	return find_exact(l, real);
}
