/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>
#include "name/xattr.h"
#include "name/xattr_format.h"

/* The operations on what at means. */
static ssize_t raw_get(const struct xattr_at *at, const char *name, void *value, size_t size)
{
	return at->fd >= 0 ? st_fgetxattr(at->st, at->fd, name, value, size)
			   : st_getxattrat(at->st, at->dirfd, at->entry, name, value, size);
}

static int raw_set(
	const struct xattr_at *at, const char *name, const void *value, size_t size, int flags)
{
	return at->fd >= 0 ? st_fsetxattr(at->st, at->fd, name, value, size, flags)
			   : st_setxattrat(at->st, at->dirfd, at->entry, name, value, size, flags);
}

static ssize_t raw_list(const struct xattr_at *at, char *list, size_t size)
{
	return at->fd >= 0 ? st_flistxattr(at->st, at->fd, list, size)
			   : st_listxattrat(at->st, at->dirfd, at->entry, list, size);
}

static int raw_remove(const struct xattr_at *at, const char *name)
{
	return at->fd >= 0 ? st_fremovexattr(at->st, at->fd, name)
			   : st_removexattrat(at->st, at->dirfd, at->entry, name);
}

enum xattr_class xattr_classify(const char *name)
{
	if (!strncmp(name, XATTR_USER_PREFIX, XATTR_USER_PREFIX_LEN))
		return XATTR_ENCRYPTED;
	if (!strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default") ||
		!strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN) ||
		!strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN))
		return XATTR_PLAIN;
	return XATTR_REFUSED;
}

/*
 * The stored name says nothing of its generation. So the newest generation's name is looked for
 * first, then older ones', which exist only while names are being re-encrypted. Calls act() for
 * each until it returns other than -ENODATA.
 */
static ssize_t for_generations(const struct xattr_at *at, const struct keyring *k, uint32_t newest,
	const char *name,
	ssize_t (*act)(const struct xattr_at *, const struct xattr_name *, void *), void *arg)
{
	struct xattr_name stored;
	ssize_t r = newest == 0 ? -ENOKEY : -ENODATA;

	for (uint32_t g = newest; g > 0 && r == -ENODATA; g--) {
		if (!keyring_xattr_names(k, g))
			continue;
		r = xattr_name_seal(k, g, name + XATTR_USER_PREFIX_LEN, &stored);
		if (r == 0)
			r = act(at, &stored, arg);
	}
	return r;
}

struct get_request {
	const struct keyring *keys;
	const char *name; /* after "user." */
	void *value;
	size_t size;
};

static ssize_t get_one(const struct xattr_at *at, const struct xattr_name *stored, void *arg)
{
	const struct get_request *q = arg;
	const size_t overhead = XATTR_VALUE_OVERHEAD + stored->head_len;
	_cleanup_free_ uint8_t *raw = NULL;
	size_t room;
	ssize_t n;

	if (q->size == 0) {
		n = raw_get(at, stored->name, NULL, 0);
		if (n < 0)
			return n;
		return (size_t)n < overhead ? -EBADMSG : n - (ssize_t)overhead;
	}
	/* With room for just what fits into the caller's buffer, a longer value is -ERANGE by
	 * itself. */
	room = q->size < XATTR_SIZE_MAX ? q->size + overhead : XATTR_SIZE_MAX;
	if (room > XATTR_SIZE_MAX)
		room = XATTR_SIZE_MAX;
	raw = malloc(room);
	if (!raw)
		return -ENOMEM;
	n = raw_get(at, stored->name, raw, room);
	if (n < 0)
		return n;
	return xattr_value_open(q->keys, stored, q->name, raw, (size_t)n, q->value, q->size);
}

ssize_t xattr_get(const struct xattr_at *at, const struct keyring *k, const char *name, void *value,
	size_t size)
{
	struct get_request q = {k, name + XATTR_USER_PREFIX_LEN, value, size};

	switch (xattr_classify(name)) {
	case XATTR_PLAIN:
		return raw_get(at, name, value, size);
	case XATTR_ENCRYPTED:
		return for_generations(at, k, keyring_current(k), name, get_one, &q);
	case XATTR_REFUSED:
		break;
	}
	return -EOPNOTSUPP;
}

static ssize_t probe_one(const struct xattr_at *at, const struct xattr_name *stored, void *arg)
{
	(void)arg;
	return raw_get(at, stored->name, NULL, 0);
}

static ssize_t remove_one(const struct xattr_at *at, const struct xattr_name *stored, void *arg)
{
	(void)arg;
	return raw_remove(at, stored->name);
}

static int set_encrypted(const struct xattr_at *at, const struct keyring *k, const char *name,
	const void *value, size_t size, int flags)
{
	const uint32_t current = keyring_current(k);
	_cleanup_free_ uint8_t *raw = NULL;
	struct xattr_name stored;
	size_t raw_len;
	ssize_t old;
	int r;

	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	r = xattr_name_seal(k, current, name + XATTR_USER_PREFIX_LEN, &stored);
	if (r < 0)
		return r;
	old = for_generations(at, k, current - 1, name, probe_one, NULL);
	if (old >= 0 && (flags & XATTR_CREATE))
		return -EEXIST;
	if (old >= 0)
		flags &= ~XATTR_REPLACE;
	raw_len = stored.head_len + XATTR_VALUE_OVERHEAD + size;
	raw = malloc(raw_len);
	if (!raw)
		return -ENOMEM;
	r = xattr_value_seal(k, &stored, name + XATTR_USER_PREFIX_LEN, value, size, raw);
	if (r == 0)
		r = raw_set(at, stored.name, raw, raw_len, flags);
	if (r == 0 && old >= 0)
		r = (int)for_generations(at, k, current - 1, name, remove_one, NULL);
	return r;
}

int xattr_set(const struct xattr_at *at, const struct keyring *k, const char *name,
	const void *value, size_t size, int flags)
{
	switch (xattr_classify(name)) {
	case XATTR_PLAIN:
		return raw_set(at, name, value, size, flags);
	case XATTR_ENCRYPTED:
		return set_encrypted(at, k, name, value, size, flags);
	case XATTR_REFUSED:
		break;
	}
	return -EOPNOTSUPP;
}

int xattr_remove(const struct xattr_at *at, const struct keyring *k, const char *name)
{
	switch (xattr_classify(name)) {
	case XATTR_PLAIN:
		return raw_remove(at, name);
	case XATTR_ENCRYPTED:
		return (int)for_generations(at, k, keyring_current(k), name, remove_one, NULL);
	case XATTR_REFUSED:
		break;
	}
	return -EOPNOTSUPP;
}

/*
 * The plaintext of a listed "user." name, after "user.", in out[XATTR_PLAIN_MAX + 1]. -ENODATA and
 * -EBADMSG: none of ours, or gone meanwhile.
 */
static int open_listed(
	const struct xattr_at *at, const struct keyring *k, const char *stored, char *out)
{
	_cleanup_free_ uint8_t *raw = NULL;
	ssize_t n;

	if (!xattr_name_is_long(stored))
		return xattr_name_open(k, stored, NULL, 0, out);
	raw = malloc(XATTR_SIZE_MAX);
	if (!raw)
		return -ENOMEM;
	n = raw_get(at, stored, raw, XATTR_SIZE_MAX);
	return n < 0 ? (int)n : xattr_name_open(k, stored, raw, (size_t)n, out);
}

/* A list under construction; with size 0 only its length is wanted. */
struct name_list {
	char *list;
	size_t size;
	size_t used;
};

static int add_name(struct name_list *l, const char *prefix, const char *name)
{
	size_t prefix_len = strlen(prefix), len = strlen(name) + 1;

	if (l->size > 0) {
		if (prefix_len + len > l->size - l->used)
			return -ERANGE;
		memcpy(l->list + l->used, prefix, prefix_len);
		memcpy(l->list + l->used + prefix_len, name, len);
	}
	l->used += prefix_len + len;
	return 0;
}

static int add_listed(
	const struct xattr_at *at, const struct keyring *k, const char *stored, struct name_list *l)
{
	char plain[XATTR_PLAIN_MAX + 1];
	int r;

	switch (xattr_classify(stored)) {
	case XATTR_PLAIN:
		return add_name(l, "", stored);
	case XATTR_ENCRYPTED:
		r = open_listed(at, k, stored, plain);
		if (r == 0)
			return add_name(l, XATTR_USER_PREFIX, plain);
		return r == -EBADMSG || r == -ENODATA ? 0 : r;
	case XATTR_REFUSED:
		break;
	}
	return 0;
}

ssize_t xattr_list(const struct xattr_at *at, const struct keyring *k, char *list, size_t size)
{
	struct name_list l = {list, size, 0};
	_cleanup_free_ char *large = NULL;
	char small[1024];
	char *raw = small;
	ssize_t n;

	n = raw_list(at, small, sizeof(small));
	if (n == -ERANGE) {
		raw = large = malloc(XATTR_LIST_MAX);
		if (!large)
			return -ENOMEM;
		n = raw_list(at, large, XATTR_LIST_MAX);
	}
	if (n < 0)
		return n;
	for (char *name = raw, *end = raw + n; name < end;) {
		char *zero = memchr(name, 0, (size_t)(end - name));
		int r;

		if (!zero)
			break;
		r = add_listed(at, k, name, &l);
		if (r < 0)
			return r;
		name = zero + 1;
	}
	return (ssize_t)l.used;
}
