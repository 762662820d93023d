/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>
#include "name/target.h"
#include "util/b64.h"
#include "util/bytes.h"

#define SALT_LEN 16
#define HEAD_LEN (4 + SALT_LEN) /* generation, salt */
#define SEALED_MIN TARGET_SEALED_LEN(1)
#define SEALED_MAX TARGET_SEALED_LEN(TARGET_MAX)
#define ID_BYTES 16
#define LENGTH_DIGITS 6

static const char label[] = "symlink";

_Static_assert(TARGET_ID_LEN == B64_LEN(ID_BYTES), "id's text");
_Static_assert(TARGET_REF_LEN == 1 + TARGET_ID_LEN + LENGTH_DIGITS, "reference");
_Static_assert(TARGET_REF_LEN % 4 == 1, "no base64url text has this length");

/* The AAD: label, salt, and for targets in a file of their own the id that names the file. */
static int build_aad(struct iovec aad[3], const uint8_t *salt, const struct target_ref *ref)
{
	aad[0] = (struct iovec){.iov_base = (void *)label, .iov_len = sizeof(label) - 1};
	aad[1] = (struct iovec){.iov_base = (void *)salt, .iov_len = SALT_LEN};
	if (!ref)
		return 2;
	aad[2] = (struct iovec){.iov_base = (void *)ref->id, .iov_len = TARGET_ID_LEN};
	return 3;
}

static int seal(const struct keyring *k, const struct target_ref *ref, const char *target,
	size_t len, uint8_t *out)
{
	const struct siv *siv = keyring_targets(k, keyring_current(k));
	struct iovec aad[3];
	int r;

	if (!siv)
		return -ENOKEY;
	if (len == 0 || len > TARGET_MAX || memchr(target, 0, len))
		return -EINVAL;
	put_le32(out, keyring_current(k));
	r = random_bytes(out + 4, SALT_LEN);
	if (r < 0)
		return r;
	return siv_seal(siv, aad, build_aad(aad, out + 4, ref), target, len, out + HEAD_LEN);
}

/* SEALED_MIN <= len <= SEALED_MAX was checked. out has room for the target and a zero. */
static ssize_t open_sealed(const struct keyring *k, const struct target_ref *ref, const uint8_t *in,
	size_t len, char *out)
{
	const struct siv *siv = keyring_targets(k, get_le32(in));
	size_t target_len = len - TARGET_SEALED_LEN(0);
	struct iovec aad[3];
	int r;

	if (!siv)
		return -ENOKEY;
	r = siv_open(siv, aad, build_aad(aad, in + 4, ref), in + HEAD_LEN, len - HEAD_LEN, out);
	if (r < 0)
		return r;
	/* A program would see a shorter target than lstat told. */
	if (memchr(out, 0, target_len))
		return -EBADMSG;
	out[target_len] = 0;
	return (ssize_t)target_len;
}

bool target_is_inline(size_t len)
{
	return len <= TARGET_MAX && B64_LEN(TARGET_SEALED_LEN(len)) <= TARGET_TEXT_MAX;
}

int target_encrypt(const struct keyring *k, const char *target, size_t len, char *out)
{
	uint8_t sealed[TARGET_TEXT_MAX * 3 / 4 + 1];
	int r;

	if (!target_is_inline(len))
		return -EINVAL;
	r = seal(k, NULL, target, len, sealed);
	if (r < 0)
		return r;
	b64url_encode(sealed, TARGET_SEALED_LEN(len), out);
	return 0;
}

ssize_t target_decrypt(const struct keyring *k, const char *text, size_t len, char *out)
{
	uint8_t sealed[TARGET_TEXT_MAX * 3 / 4 + 1];
	ssize_t n;

	if (len > TARGET_TEXT_MAX)
		return -EBADMSG;
	n = b64url_decode(text, len, sealed);
	if (n < (ssize_t)SEALED_MIN)
		return -EBADMSG;
	return open_sealed(k, NULL, sealed, (size_t)n, out);
}

int target_seal(const struct keyring *k, const struct target_ref *ref, const char *target,
	size_t len, uint8_t *out)
{
	return len == ref->length ? seal(k, ref, target, len, out) : -EINVAL;
}

ssize_t target_open(const struct keyring *k, const struct target_ref *ref, const uint8_t *in,
	size_t len, char *out)
{
	if (len < SEALED_MIN || len > SEALED_MAX || len != TARGET_SEALED_LEN(ref->length))
		return -EBADMSG;
	return open_sealed(k, ref, in, len, out);
}

int target_ref_new(size_t target_len, struct target_ref *ret, char *out)
{
	uint8_t id[ID_BYTES];
	struct target_ref ref = {.length = (uint32_t)target_len};
	int r;

	if (target_len > TARGET_MAX || target_is_inline(target_len))
		return -EINVAL;
	r = random_bytes(id, sizeof(id));
	if (r < 0)
		return r;
	b64url_encode(id, sizeof(id), ref.id);
	snprintf(out, TARGET_REF_LEN + 1, "@%s%06x", ref.id, ref.length);
	*ret = ref;
	return 0;
}

static bool parse_hex(const char *digits, size_t n, uint32_t *ret)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++) {
		char c = digits[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

int target_ref_parse(const char *text, size_t len, struct target_ref *ret)
{
	struct target_ref ref = {.length = 0};
	uint8_t id[TARGET_ID_LEN * 3 / 4 + 1];

	if (len != TARGET_REF_LEN || text[0] != '@' ||
		b64url_decode(text + 1, TARGET_ID_LEN, id) != ID_BYTES ||
		!parse_hex(text + 1 + TARGET_ID_LEN, LENGTH_DIGITS, &ref.length))
		return -EBADMSG;
	/* Each target has one form: a short one never stands in a file of its own. */
	if (ref.length > TARGET_MAX || target_is_inline(ref.length))
		return -EBADMSG;
	memcpy(ref.id, text + 1, TARGET_ID_LEN);
	*ret = ref;
	return 0;
}

ssize_t target_plain_size(uint64_t st_size)
{
	if (st_size == TARGET_REF_LEN)
		return -EAGAIN;
	if (st_size % 4 == 1 || st_size < B64_LEN(SEALED_MIN) || st_size > TARGET_TEXT_MAX)
		return -EBADMSG;
	return (ssize_t)(st_size * 3 / 4 - TARGET_SEALED_LEN(0));
}
