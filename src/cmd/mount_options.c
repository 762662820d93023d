/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/mount_options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cmd/nearest.h"
#include "util/cleanup.h"

enum kind {
	SET,    /* the flag at `field` becomes true */
	UNSET,  /* it becomes false */
	TEXT,   /* name=value, stored at `field` */
	IGNORE, /* has no effect here; a value, if any, is dropped */
	REFUSE, /* not supported; `why` says why */
};

struct option_word {
	const char *name;
	enum kind kind;
	size_t field;
	const char *why;
};

#define AT(member) offsetof(struct mount_options, member)
#define OWNERS                                                                                     \
	"files keep the owners that they have in the repository; use chown, or mount as root "     \
	"with allow_other"

static const struct option_word words[] = {
	{"ro", SET, AT(read_only), NULL},
	{"rw", UNSET, AT(read_only), NULL},
	{"suid", SET, AT(suid), NULL},
	{"nosuid", UNSET, AT(suid), NULL},
	{"dev", SET, AT(dev), NULL},
	{"nodev", UNSET, AT(dev), NULL},
	{"noexec", SET, AT(noexec), NULL},
	{"exec", UNSET, AT(noexec), NULL},
	{"sync", SET, AT(sync), NULL},
	{"async", UNSET, AT(sync), NULL},
	{"dirsync", SET, AT(dirsync), NULL},
	{"noatime", SET, AT(noatime), NULL},
	{"atime", UNSET, AT(noatime), NULL},
	{"nodiratime", SET, AT(nodiratime), NULL},
	{"diratime", UNSET, AT(nodiratime), NULL},
	{"allow_other", SET, AT(allow_other), NULL},
	{"allow_root", SET, AT(allow_root), NULL},
	{"nonempty", SET, AT(nonempty), NULL},
	{"password_file", TEXT, AT(password_file), NULL},
	{"password_command", TEXT, AT(password_command), NULL},
	/* fuse/ always sets it: without it every user could do everything through the daemon. */
	{"default_permissions", IGNORE, 0, NULL},
	/* What mount(8), mount.fuse3, systemd and automounters put into lines or act on themselves.
	 */
	{"defaults", IGNORE, 0, NULL},
	{"auto", IGNORE, 0, NULL},
	{"noauto", IGNORE, 0, NULL},
	{"nofail", IGNORE, 0, NULL},
	{"user", IGNORE, 0, NULL},
	{"nouser", IGNORE, 0, NULL},
	{"users", IGNORE, 0, NULL},
	{"nousers", IGNORE, 0, NULL},
	{"owner", IGNORE, 0, NULL},
	{"noowner", IGNORE, 0, NULL},
	{"group", IGNORE, 0, NULL},
	{"nogroup", IGNORE, 0, NULL},
	{"_netdev", IGNORE, 0, NULL},
	{"comment", IGNORE, 0, NULL},
	{"relatime", IGNORE, 0, NULL},
	{"norelatime", IGNORE, 0, NULL},
	{"strictatime", IGNORE, 0, NULL},
	{"nostrictatime", IGNORE, 0, NULL},
	{"lazytime", IGNORE, 0, NULL},
	{"nolazytime", IGNORE, 0, NULL},
	{"silent", IGNORE, 0, NULL},
	{"loud", IGNORE, 0, NULL},
	{"uid", REFUSE, 0, OWNERS},
	{"gid", REFUSE, 0, OWNERS},
	{"umask", REFUSE, 0, "files keep the modes that they have in the repository; use chmod"},
	{"remount", REFUSE, 0, "unmount and mount again"},
	{"auto_unmount", REFUSE, 0,
		"not needed: the next mount clears what a killed daemon left behind"},
};
#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static bool is_for_others(const char *name)
{
	return strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0;
}

static const struct option_word *find_word(const char *name)
{
	for (size_t i = 0; i < WORD_COUNT; i++) {
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

static int unknown(const char *name, struct err *err)
{
	struct nearest n = {0};
	for (size_t i = 0; i < WORD_COUNT; i++) {
		if (words[i].kind != REFUSE)
			nearest_offer(&n, name, words[i].name);
	}
	if (n.name)
		return err_set(err, EXIT_USAGE, -EINVAL,
			"unknown mount option \"%s\"; did you mean \"%s\"?", name, n.name);
	return err_set(err, EXIT_USAGE, -EINVAL, "unknown mount option \"%s\"", name);
}

static int set_text(
	struct mount_options *o, const struct option_word *w, const char *value, struct err *err)
{
	if (!value || !*value)
		return err_set(
			err, EXIT_USAGE, -EINVAL, "mount option \"%s\" needs a value", w->name);
	char **field = (char **)((char *)o + w->field);
	char *copy = strdup(value);
	if (!copy)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

/* One option, "name" or "name=value"; cut up in place. */
static int apply(struct mount_options *o, char *text, struct err *err)
{
	char *value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	if (is_for_others(text))
		return 0;
	const struct option_word *w = find_word(text);
	if (!w)
		return unknown(text, err);
	if (w->kind == IGNORE)
		return 0;
	if (w->kind == REFUSE)
		return err_set(err, EXIT_USAGE, -EINVAL, "mount option \"%s\" is not supported: %s",
			w->name, w->why);
	if (w->kind == TEXT)
		return set_text(o, w, value, err);
	if (value)
		return err_set(
			err, EXIT_USAGE, -EINVAL, "mount option \"%s\" takes no value", w->name);
	*(bool *)((char *)o + w->field) = w->kind == SET;
	return 0;
}

int mount_options_parse(struct mount_options *o, const char *text, struct err *err)
{
	_cleanup_free_ char *word = malloc(strlen(text) + 1);
	if (!word)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	const char *p = text;
	while (*p) {
		size_t n = 0;
		for (; *p && *p != ','; p++) {
			if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
				p++;
			word[n++] = *p;
		}
		p += *p == ',';
		word[n] = '\0';
		int rc = n ? apply(o, word, err) : 0; /* "a,,b": mount(8) makes such lists */
		if (rc < 0)
			return rc;
	}
	return 0;
}

void mount_options_clear(struct mount_options *o)
{
	free(o->password_file);
	free(o->password_command);
	*o = (struct mount_options){0};
}

int mount_options_kernel(const struct mount_options *o, char *out, size_t size)
{
	const struct {
		bool on;
		const char *name;
	} list[] = {
		{o->read_only, "ro"},
		{true, o->suid ? "suid" : "nosuid"},
		{true, o->dev ? "dev" : "nodev"},
		{o->noexec, "noexec"},
		{o->sync, "sync"},
		{o->dirsync, "dirsync"},
		{o->noatime, "noatime"},
		{o->nodiratime, "nodiratime"},
		{o->allow_other, "allow_other"},
		{o->allow_root && !o->allow_other, "allow_root"},
	};
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (!list[i].on)
			continue;
		int n = snprintf(out + used, size - used, "%s%s", used ? "," : "", list[i].name);
		if (n < 0 || (size_t)n >= size - used)
			return -ENAMETOOLONG;
		used += (size_t)n;
	}
	return 0;
}
