/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>
#include "name/xattr_format.h"
#include "util/bytes.h"

#define NAME_MAX_STORED 255 /* XATTR_NAME_MAX */
#define SHORT_PREFIX "user.c."
#define LONG_PREFIX "user.l."
#define PREFIX_LEN 7
#define SHORT_TEXT_MAX (NAME_MAX_STORED - PREFIX_LEN)
#define LONG_NAME_LEN (PREFIX_LEN + B64_LEN(HASH_LEN))
#define SALT_LEN 16
#define HEAD_LEN (4 + SALT_LEN) /* generation, salt */

static const char name_label[] = "xattr-name";
static const char value_label[] = "xattr";
static const struct iovec name_aad = {(void *)name_label, sizeof(name_label) - 1};

static int digest_name(const char *text, size_t len, char *out)
{
	uint8_t digest[HASH_LEN];
	int r = sha256(text, len, digest);

	if (r < 0)
		return r;
	memcpy(out, LONG_PREFIX, PREFIX_LEN);
	b64url_encode(digest, sizeof(digest), out + PREFIX_LEN);
	return 0;
}

int xattr_name_seal(
	const struct keyring *k, uint32_t generation, const char *plain, struct xattr_name *ret)
{
	const struct siv *siv = keyring_xattr_names(k, generation);
	uint8_t sealed[SIV_LEN + XATTR_PLAIN_MAX];
	char text[XATTR_TEXT_MAX + 1];
	size_t len = strlen(plain), text_len;
	int r;

	if (len == 0)
		return -EINVAL;
	if (len > XATTR_PLAIN_MAX)
		return -ERANGE;
	if (!siv)
		return -ENOKEY;
	r = siv_seal(siv, &name_aad, 1, plain, len, sealed);
	if (r < 0)
		return r;
	text_len = b64url_encode(sealed, len + SIV_LEN, text);
	if (text_len <= SHORT_TEXT_MAX) {
		memcpy(ret->name, SHORT_PREFIX, PREFIX_LEN);
		memcpy(ret->name + PREFIX_LEN, text, text_len + 1);
		ret->head_len = 0;
		return 0;
	}
	r = digest_name(text, text_len, ret->name);
	if (r < 0)
		return r;
	put_le16(ret->head, (uint16_t)text_len);
	memcpy(ret->head + 2, text, text_len);
	ret->head_len = 2 + text_len;
	return 0;
}

bool xattr_name_is_long(const char *stored)
{
	return !strncmp(stored, LONG_PREFIX, PREFIX_LEN) && strlen(stored) == LONG_NAME_LEN;
}

/* The text at the head of a long name's value, checked against the stored name. NULL: not ours. */
static const char *text_of_long(
	const char *stored, const uint8_t *value, size_t value_len, size_t *ret_len)
{
	char expected[LONG_NAME_LEN + 1];
	size_t len;

	if (value_len < 2)
		return NULL;
	len = get_le16(value);
	if (len <= SHORT_TEXT_MAX || len > XATTR_TEXT_MAX || value_len - 2 < len)
		return NULL;
	if (digest_name((const char *)value + 2, len, expected) < 0 ||
		strcmp(expected, stored) != 0)
		return NULL;
	*ret_len = len;
	return (const char *)value + 2;
}

int xattr_name_open(const struct keyring *k, const char *stored, const uint8_t *value,
	size_t value_len, char *out)
{
	uint8_t sealed[XATTR_TEXT_MAX * 3 / 4 + 1];
	char plain[XATTR_PLAIN_MAX];
	const char *text = NULL;
	size_t len = 0;
	ssize_t n;

	if (xattr_name_is_long(stored)) {
		text = text_of_long(stored, value, value_len, &len);
	} else if (!strncmp(stored, SHORT_PREFIX, PREFIX_LEN)) {
		text = stored + PREFIX_LEN;
		len = strlen(text);
	}
	if (!text || len > XATTR_TEXT_MAX)
		return -EBADMSG;
	n = b64url_decode(text, len, sealed);
	if (n <= SIV_LEN || n > SIV_LEN + XATTR_PLAIN_MAX)
		return -EBADMSG;
	for (uint32_t g = keyring_current(k); g > 0; g--) {
		const struct siv *siv = keyring_xattr_names(k, g);
		int r = siv ? siv_open(siv, &name_aad, 1, sealed, (size_t)n, plain) : -EBADMSG;

		if (r == -EBADMSG)
			continue;
		if (r < 0)
			return r;
		n -= SIV_LEN;
		if (memchr(plain, 0, (size_t)n))
			return -EBADMSG;
		memcpy(out, plain, (size_t)n);
		out[n] = 0;
		return 0;
	}
	return -EBADMSG;
}

static void value_aad(struct iovec aad[3], const uint8_t *salt, const char *plain_name)
{
	aad[0] = (struct iovec){(void *)value_label, sizeof(value_label) - 1};
	aad[1] = (struct iovec){(void *)salt, SALT_LEN};
	aad[2] = (struct iovec){(void *)plain_name, strlen(plain_name)};
}

int xattr_value_seal(const struct keyring *k, const struct xattr_name *stored,
	const char *plain_name, const void *value, size_t len, uint8_t *out)
{
	const struct siv *siv = keyring_xattr_values(k, keyring_current(k));
	_cleanup_free_ uint8_t *message = NULL;
	struct iovec aad[3];
	uint8_t *sealed;
	int r;

	if (!siv)
		return -ENOKEY;
	/* One byte before the value, because SIV cannot take an empty message. */
	message = malloc(len + 1);
	if (!message)
		return -ENOMEM;
	message[0] = 0;
	if (len > 0)
		memcpy(message + 1, value, len);
	memcpy(out, stored->head, stored->head_len);
	sealed = out + stored->head_len;
	put_le32(sealed, keyring_current(k));
	r = random_bytes(sealed + 4, SALT_LEN);
	if (r < 0)
		return r;
	value_aad(aad, sealed + 4, plain_name);
	return siv_seal(siv, aad, 3, message, len + 1, sealed + HEAD_LEN);
}

ssize_t xattr_value_open(const struct keyring *k, const struct xattr_name *stored,
	const char *plain_name, const uint8_t *in, size_t in_len, void *value, size_t size)
{
	const uint8_t *sealed = in + stored->head_len;
	_cleanup_free_ uint8_t *message = NULL;
	const struct siv *siv;
	struct iovec aad[3];
	size_t len;
	int r;

	if (in_len < stored->head_len + XATTR_VALUE_OVERHEAD ||
		memcmp(in, stored->head, stored->head_len) != 0)
		return -EBADMSG;
	len = in_len - stored->head_len - XATTR_VALUE_OVERHEAD;
	siv = keyring_xattr_values(k, get_le32(sealed));
	if (!siv)
		return -ENOKEY;
	message = malloc(len + 1);
	if (!message)
		return -ENOMEM;
	value_aad(aad, sealed + 4, plain_name);
	r = siv_open(siv, aad, 3, sealed + HEAD_LEN, len + 1 + SIV_LEN, message);
	if (r < 0)
		return r;
	if (message[0] != 0)
		return -EBADMSG;
	if (len > size)
		return -ERANGE;
	memcpy(value, message + 1, len);
	return (ssize_t)len;
}
