/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_CONFIG_H
#define COFFER_KEYS_CONFIG_H

/*
 * coffer.ini: identity, key slots and settings of a repository; authenticated as a whole. Parsing is pure (text in,
 * struct out) and trusts nothing: every length, count and KDF parameter is bounded. Order of trust: SHA-256 line
 * (damage) -> KDF -> unwrap -> key-check value -> HMAC over the whole file -> Ed25519 signature over policy, roles, slot list and
 * key-check value -> only then is any other setting used.
 */
#include <stdbool.h>
#include <stdint.h>
#include "crypto/crypto.h"
#include "store/store.h"
#include "util/error.h"

#define CONFIG_NAME "coffer.ini"
#define CONFIG_BAK_NAME "coffer.ini.bak"
#define CONFIG_MAX (256 * 1024)
#define FORMAT_VERSION 1u
#define SLOTS_MAX 64

struct config; /* opaque: a parsed coffer.ini */

void config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)

/* The secret that slots wrap: the DEK(s) and, in keeper slots, the Ed25519 seed. Lives in secret memory. */
struct secrets {
	uint8_t dek[KEY_LEN];
	uint8_t seed[ED25519_LEN];
	bool has_seed;
};

/* Reads and parses REPO/coffer.ini (checksum checked, MAC not yet). Errors: EXIT_NOT_REPO,
 * EXIT_REPO_VERSION, EXIT_REPO_DAMAGED (says that `coffer header restore` or coffer.ini.bak helps). */
int config_load(struct store *st, struct config **ret, struct err *err);
/* Parses text. Pure; the fuzz target calls it. */
int config_parse(const char *text, size_t len, struct config **ret, struct err *err);

/* Makes a new one in memory: random DEK, Ed25519 pair, one password slot, into *secrets (secret memory). */
int config_new(const char *label, struct config **ret, struct secrets *secrets, struct err *err);

/* Password slots. Adding uses scrypt N=2^17, r=8, p=1 (or the test-only environment... no: always). */
int config_add_password(struct config *c, const struct secrets *s, const char *password, size_t len,
	const char *label, unsigned *ret_slot, struct err *err);
/* Replaces slot's password. */
int config_set_password(struct config *c, unsigned slot, const struct secrets *s, const char *password, size_t len,
	struct err *err);
/* Tries the password on every password slot (or only on `slot` if >= 0). Checks the key-check value, the MAC and the signature.
 * EXIT_PASSWORD: none opens (wrong password and damaged slot give the same answer); EXIT_REPO_TAMPERED. */
int config_unlock_password(struct config *c, const char *password, size_t len, int slot, struct secrets *ret,
	unsigned *ret_slot, struct err *err);

/* Serialises with checksum, MAC (key from the DEK) and signature (if the secrets have the seed; else the old one is kept,
 * which is refused if signed parts changed). Writes atomically under coffer.ini's own lock, then coffer.ini.bak. */
int config_store(struct config *c, struct store *st, const struct secrets *s, struct err *err);

/* Read access for status and --json. */
const char *config_label(const struct config *c);
const char *config_fingerprint(const struct config *c); /* "SHA256:base64url..." of the Ed25519 public key */
const char *config_uuid(const struct config *c);
uint32_t config_generation(const struct config *c);
unsigned config_slot_count(const struct config *c);
struct slot_info {
	unsigned number;
	const char *type;  /* "password" */
	const char *role;  /* "keeper" */
	const char *label; /* "" if none */
	long long created; /* seconds since 1970 */
	char detail[128];  /* "scrypt N=131072 r=8 p=1" */
};
/* i: 0 to count - 1. Strings belong to c. */
void config_slot_info(const struct config *c, unsigned i, struct slot_info *ret);

#endif
