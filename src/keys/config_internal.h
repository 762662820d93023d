/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_CONFIG_INTERNAL_H
#define COFFER_KEYS_CONFIG_INTERNAL_H

/* The body of struct config, shared by the files of keys/ that parse, change and store it, and by
 * their tests. */
#include "keys/config.h"
#include "keys/slot.h"

#define UUID_TEXT_LEN 36

struct config {
	uint32_t version;
	uint32_t generation;
	long long created;
	char uuid[UUID_TEXT_LEN + 1];
	char label[LABEL_MAX + 1];
	char fingerprint[64]; /* "SHA256:" and 43 characters */
	uint8_t public_key[ED25519_LEN];
	uint8_t key_check[HASH_LEN];
	uint8_t signature[ED25519_SIG_LEN];
	struct slot slots[SLOTS_MAX]; /* in ascending order of their numbers */
	unsigned slot_count;

	/* As it was parsed or last stored; a change of anything above leaves it out of date. */
	uint8_t hmac[HASH_LEN];
	char *text;      /* the bytes that the HMAC covers; NULL: never stored */
	size_t text_len; /* of those */
};

/* Fills c->fingerprint from c->public_key. */
int config_make_fingerprint(struct config *c);

/* The text that the signature covers, in malloc'ed memory. */
int config_signed_text(const struct config *c, char **ret, size_t *ret_len);

/* HKDF purposes of coffer.ini. */
#define LABEL_KEY_CHECK "coffer v1 key check"
#define LABEL_CONFIG_MAC "coffer v1 configuration mac"

/* As config_add_password and config_set_password, with other scrypt parameters: for tests, which
 * cannot wait. */
int config_add_password_kdf(struct config *c, const struct secrets *s, const char *password,
	size_t len, const char *label, const struct scrypt_params *kdf, unsigned *ret_slot,
	struct err *err);
int config_set_password_kdf(struct config *c, unsigned slot, const struct secrets *s,
	const char *password, size_t len, const struct scrypt_params *kdf, struct err *err);

#endif
