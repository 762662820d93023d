/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include "name/name.h"
#include "util/b64.h"
#include "util/bytes.h"

#define DIRID_NAME ".id"
#define DIRID_BYTES (4 + DIRID_LEN)
#define DIRID_TEXT_LEN B64_LEN(DIRID_BYTES)

int dirid_read(struct store *st, const struct keyring *k, int dirfd, struct dirid *ret)
{
	char text[DIRID_TEXT_LEN + 1];
	uint8_t bytes[DIRID_BYTES];
	struct dirid id;
	ssize_t n;

	n = st_readlinkat(st, dirfd, DIRID_NAME, text, sizeof(text));
	/* Longer than any of ours, or no symlink. */
	if (n == -ENAMETOOLONG || n == -EINVAL)
		return -EBADMSG;
	if (n < 0)
		return (int)n;
	if ((size_t)n != DIRID_TEXT_LEN || b64url_decode(text, (size_t)n, bytes) != DIRID_BYTES)
		return -EBADMSG;
	id.generation = get_le32(bytes);
	memcpy(id.id, bytes + 4, DIRID_LEN);
	if (!keyring_names(k, id.generation))
		return -ENOKEY;
	*ret = id;
	return 0;
}

int dirid_create(struct store *st, const struct keyring *k, int dirfd, struct dirid *ret)
{
	struct dirid id = {.generation = keyring_current(k)};
	char text[DIRID_TEXT_LEN + 1];
	uint8_t bytes[DIRID_BYTES];
	int r;

	if (id.generation == 0)
		return -ENOKEY;
	r = random_bytes(id.id, DIRID_LEN);
	if (r < 0)
		return r;
	put_le32(bytes, id.generation);
	memcpy(bytes + 4, id.id, DIRID_LEN);
	b64url_encode(bytes, DIRID_BYTES, text);
	r = st_symlinkat(st, text, dirfd, DIRID_NAME);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/*
 * Walks a directory from its beginning and calls each(dirfd, entry) for all but "." and "..". Ends
 * early when it returns other than 0, and returns that.
 */
static int walk(struct store *st, int dirfd, int (*each)(struct store *, int, const char *))
{
	_Alignas(struct dirent64) char buf[8192];
	ssize_t n;

	n = st_lseek(st, dirfd, 0, SEEK_SET);
	if (n < 0)
		return (int)n;
	while ((n = st_getdents(st, dirfd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + i);
			int r = is_dot(d->d_name) ? 0 : each(st, dirfd, d->d_name);

			if (r != 0)
				return r;
			i += d->d_reclen;
		}
	}
	return (int)n;
}

static int refuse_entry(struct store *st, int dirfd, const char *entry)
{
	(void)st;
	(void)dirfd;
	return name_is_ours(entry) ? 0 : -ENOTEMPTY;
}

int dir_is_empty(struct store *st, int dirfd)
{
	int r = walk(st, dirfd, refuse_entry);

	if (r == -ENOTEMPTY)
		return 0;
	return r < 0 ? r : 1;
}

/* All of ours but the identity. 1 says that something was removed and the walk must begin anew. */
static int strip_entry(struct store *st, int dirfd, const char *entry)
{
	int r;

	if (!name_is_ours(entry))
		return -ENOTEMPTY;
	if (!strcmp(entry, DIRID_NAME))
		return 0;
	r = st_unlinkat(st, dirfd, entry, 0);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : 1;
}

int dir_strip(struct store *st, int dirfd)
{
	int r;

	/* Removing while reading makes some file systems skip entries. */
	do
		r = walk(st, dirfd, strip_entry);
	while (r == 1);
	if (r < 0)
		return r;
	r = st_unlinkat(st, dirfd, DIRID_NAME, 0);
	return r == -ENOENT ? 0 : r;
}
