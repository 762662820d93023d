/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyring.h"
#include "util/secret.h"

/*
 * One label for each purpose; no key serves two. A label never changes its meaning: with another
 * cipher or another use comes another label. Listed in coffer-format(5). (The keys that protect
 * coffer.ini itself are derived where that file is read.)
 */
static const char label_names[] = "coffer v1 names";
static const char label_targets[] = "coffer v1 symlink targets";
static const char label_xattr_names[] = "coffer v1 xattr names";
static const char label_xattr_values[] = "coffer v1 xattr values";
static const char label_file_keys[] = "coffer v1 file keys";
static const char label_state[] = "coffer v1 state files";

/* The keys of one generation; in secret memory. */
struct generation {
	uint32_t number;
	uint8_t file_keys[KEY_LEN]; /* wraps the blobs' keys */
	uint8_t state[KEY_LEN];
	struct siv *names;
	struct siv *targets;
	struct siv *xattr_names;
	struct siv *xattr_values;
};

struct keyring {
	size_t count;
	struct generation **generations; /* by number, ascending */
};

static void generation_free(struct generation *g)
{
	siv_free(g->names);
	siv_free(g->targets);
	siv_free(g->xattr_names);
	siv_free(g->xattr_values);
	secret_free(g);
}
DEFINE_CLEANUP(struct generation *, generation_free)

int keyring_new(struct keyring **ret)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	*ret = k;
	return 0;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->count; i++)
		generation_free(k->generations[i]);
	free(k->generations);
	free(k);
}

static int derive_siv(const uint8_t dek[KEY_LEN], const char *label, struct siv **ret)
{
	_cleanup_secret_ uint8_t *key = secret_alloc(SIV_KEY_LEN);
	int r;

	if (!key)
		return -ENOMEM;
	r = hkdf_sha256(dek, KEY_LEN, label, key, SIV_KEY_LEN);
	if (r < 0)
		return r;
	return siv_new(key, ret);
}

static int derive_all(struct generation *g, const uint8_t dek[KEY_LEN])
{
	const struct {
		const char *label;
		struct siv **ret;
	} sivs[] = {
		{label_names, &g->names},
		{label_targets, &g->targets},
		{label_xattr_names, &g->xattr_names},
		{label_xattr_values, &g->xattr_values},
	};
	int r;

	for (size_t i = 0; i < sizeof(sivs) / sizeof(sivs[0]); i++) {
		r = derive_siv(dek, sivs[i].label, sivs[i].ret);
		if (r < 0)
			return r;
	}
	r = hkdf_sha256(dek, KEY_LEN, label_file_keys, g->file_keys, KEY_LEN);
	if (r < 0)
		return r;
	return hkdf_sha256(dek, KEY_LEN, label_state, g->state, KEY_LEN);
}

int keyring_add(struct keyring *k, uint32_t generation, const uint8_t dek[KEY_LEN])
{
	_cleanup_(generation_freep) struct generation *g = NULL;
	struct generation **more;
	int r;

	if (generation <= keyring_current(k))
		return -EINVAL;
	g = secret_alloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->number = generation;
	r = derive_all(g, dek);
	if (r < 0)
		return r;
	more = reallocarray(k->generations, k->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	k->generations = more;
	more[k->count++] = TAKE_PTR(g);
	return 0;
}

uint32_t keyring_current(const struct keyring *k)
{
	return k->count > 0 ? k->generations[k->count - 1]->number : 0;
}

/* The newest is asked for most. */
static const struct generation *find(const struct keyring *k, uint32_t generation)
{
	for (size_t i = k->count; i > 0; i--) {
		if (k->generations[i - 1]->number == generation)
			return k->generations[i - 1];
	}
	return NULL;
}

const struct siv *keyring_names(const struct keyring *k, uint32_t generation)
{
	const struct generation *g = find(k, generation);

	return g ? g->names : NULL;
}

const struct siv *keyring_targets(const struct keyring *k, uint32_t generation)
{
	const struct generation *g = find(k, generation);

	return g ? g->targets : NULL;
}

const struct siv *keyring_xattr_names(const struct keyring *k, uint32_t generation)
{
	const struct generation *g = find(k, generation);

	return g ? g->xattr_names : NULL;
}

const struct siv *keyring_xattr_values(const struct keyring *k, uint32_t generation)
{
	const struct generation *g = find(k, generation);

	return g ? g->xattr_values : NULL;
}

int keyring_wrap_file_key(const struct keyring *k, uint32_t generation,
	const uint8_t file_key[KEY_LEN], uint8_t out[KEY_LEN + KEYWRAP_EXTRA])
{
	const struct generation *g = find(k, generation);

	if (!g)
		return -ENOKEY;
	return keywrap(g->file_keys, file_key, KEY_LEN, out);
}

int keyring_unwrap_file_key(const struct keyring *k, uint32_t generation,
	const uint8_t in[KEY_LEN + KEYWRAP_EXTRA], uint8_t file_key[KEY_LEN])
{
	const struct generation *g = find(k, generation);

	if (!g)
		return -ENOKEY;
	return keyunwrap(g->file_keys, in, KEY_LEN + KEYWRAP_EXTRA, file_key);
}

int keyring_mac_state(const struct keyring *k, uint32_t generation, const void *in, size_t len,
	uint8_t out[HASH_LEN])
{
	const struct generation *g = find(k, generation);

	if (!g)
		return -ENOKEY;
	return hmac_sha256(g->state, in, len, out);
}
