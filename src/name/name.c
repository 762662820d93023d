/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>
#include "name/name.h"
#include "util/b64.h"

#define DIGEST_TEXT_LEN B64_LEN(HASH_LEN)
#define LONG_PREFIX ".l"
#define SIDE_PREFIX ".n"
#define PREFIX_LEN 2
#define LONG_ENTRY_LEN (PREFIX_LEN + DIGEST_TEXT_LEN)

_Static_assert(NAME_TEXT_MAX == B64_LEN(NAME_MAX_PLAIN + SIV_LEN), "longest text of a name");
_Static_assert(LONG_ENTRY_LEN < sizeof(((struct encname *)0)->side), "side link's name");

/* What no directory entry can be called. */
static bool is_impossible(const char *name, size_t len)
{
	return len == 0 || memchr(name, 0, len) || memchr(name, '/', len) ||
	       (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

/* Writes prefix and the digest of a long text: LONG_ENTRY_LEN characters and a zero. */
static int digest_name(const char *prefix, const char *text, size_t len, char *out)
{
	uint8_t digest[HASH_LEN];
	int r = sha256(text, len, digest);

	if (r < 0)
		return r;
	memcpy(out, prefix, PREFIX_LEN);
	b64url_encode(digest, sizeof(digest), out + PREFIX_LEN);
	return 0;
}

int name_encrypt(const struct keyring *k, const struct dirid *dir, const char *name, size_t len,
	struct encname *ret)
{
	const struct iovec aad = {.iov_base = (void *)dir->id, .iov_len = DIRID_LEN};
	const struct siv *siv = keyring_names(k, dir->generation);
	uint8_t sealed[SIV_LEN + NAME_MAX_PLAIN];
	struct encname n = {.is_long = false};
	char text[NAME_TEXT_MAX + 1];
	size_t text_len;
	int r;

	if (len > NAME_MAX_PLAIN)
		return -ENAMETOOLONG;
	if (is_impossible(name, len))
		return -EINVAL;
	if (!siv)
		return -ENOKEY;
	r = siv_seal(siv, &aad, 1, name, len, sealed);
	if (r < 0)
		return r;
	text_len = b64url_encode(sealed, len + SIV_LEN, text);
	if (text_len <= NAME_ENTRY_MAX) {
		memcpy(n.entry, text, text_len + 1);
	} else {
		n.is_long = true;
		memcpy(n.side_target, text, text_len + 1);
		r = digest_name(LONG_PREFIX, text, text_len, n.entry);
		if (r == 0)
			r = digest_name(SIDE_PREFIX, text, text_len, n.side);
		if (r < 0)
			return r;
	}
	*ret = n;
	return 0;
}

bool name_is_ours(const char *entry)
{
	return entry[0] == '.' && !name_is_long(entry);
}

bool name_is_long(const char *entry)
{
	return strncmp(entry, LONG_PREFIX, PREFIX_LEN) == 0;
}

ssize_t name_decrypt(
	const struct keyring *k, const struct dirid *dir, const char *text, size_t len, char *out)
{
	const struct iovec aad = {.iov_base = (void *)dir->id, .iov_len = DIRID_LEN};
	const struct siv *siv = keyring_names(k, dir->generation);
	uint8_t sealed[NAME_TEXT_MAX * 3 / 4 + 1];
	char name[NAME_MAX_PLAIN];
	ssize_t n;
	int r;

	if (!siv)
		return -ENOKEY;
	if (len > NAME_TEXT_MAX)
		return -EBADMSG;
	n = b64url_decode(text, len, sealed);
	if (n <= SIV_LEN || n > SIV_LEN + NAME_MAX_PLAIN)
		return -EBADMSG;
	r = siv_open(siv, &aad, 1, sealed, (size_t)n, name);
	if (r < 0)
		return r;
	n -= SIV_LEN;
	/* Authentic, and still nothing that a program may be shown as a name. */
	if (is_impossible(name, (size_t)n))
		return -EBADMSG;
	memcpy(out, name, (size_t)n);
	out[n] = 0;
	return n;
}

/* The full text of a ".l" entry, checked against the entry. text has NAME_TEXT_MAX + 1 bytes. */
static ssize_t read_side(struct store *st, int dirfd, const char *entry, char *text)
{
	char side[LONG_ENTRY_LEN + 1], expected[LONG_ENTRY_LEN + 1];
	ssize_t n;
	int r;

	if (strlen(entry) != LONG_ENTRY_LEN)
		return -EBADMSG;
	memcpy(side, SIDE_PREFIX, PREFIX_LEN);
	memcpy(side + PREFIX_LEN, entry + PREFIX_LEN, DIGEST_TEXT_LEN + 1);
	n = st_readlinkat(st, dirfd, side, text, NAME_TEXT_MAX + 1);
	/* Missing, no symlink, or longer than any of ours. */
	if (n == -ENOENT || n == -EINVAL || n == -ENAMETOOLONG)
		return -EBADMSG;
	if (n < 0)
		return n;
	/* A text that fits into an entry has no other place: else one name could stand twice in a
	 * directory. */
	if (n <= NAME_ENTRY_MAX)
		return -EBADMSG;
	r = digest_name(LONG_PREFIX, text, (size_t)n, expected);
	if (r < 0)
		return r;
	return strcmp(expected, entry) == 0 ? n : -EBADMSG;
}

ssize_t name_decrypt_entry(struct store *st, const struct keyring *k, int dirfd,
	const struct dirid *dir, const char *entry, char *out)
{
	char text[NAME_TEXT_MAX + 1];
	ssize_t n;

	if (name_is_ours(entry))
		return -EBADMSG;
	if (!name_is_long(entry)) {
		size_t len = strlen(entry);

		return len <= NAME_ENTRY_MAX ? name_decrypt(k, dir, entry, len, out) : -EBADMSG;
	}
	n = read_side(st, dirfd, entry, text);
	return n < 0 ? n : name_decrypt(k, dir, text, (size_t)n, out);
}

int name_make_side(struct store *st, int dirfd, const struct encname *n)
{
	char there[NAME_TEXT_MAX + 1];
	ssize_t len;
	int r;

	if (!n->is_long)
		return 0;
	r = st_symlinkat(st, n->side_target, dirfd, n->side);
	if (r != -EEXIST)
		return r;
	len = st_readlinkat(st, dirfd, n->side, there, sizeof(there));
	if (len >= 0 && strcmp(there, n->side_target) == 0)
		return 0;
	if (len < 0 && len != -EINVAL && len != -ENAMETOOLONG)
		return (int)len;
	/* Its name is the digest of its target: a link to anything else is damage and useful to
	 * nobody. */
	r = st_unlinkat(st, dirfd, n->side, 0);
	return r < 0 ? r : st_symlinkat(st, n->side_target, dirfd, n->side);
}

void name_drop_side(struct store *st, int dirfd, const struct encname *n)
{
	if (n->is_long)
		(void)st_unlinkat(st, dirfd, n->side, 0);
}
