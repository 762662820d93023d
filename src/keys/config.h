/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_CONFIG_H
#define COFFER_KEYS_CONFIG_H

/*
 * coffer.ini: identity, key slots and settings of a repository; authenticated as a whole. Parsing
 * is pure (text in, struct out) and trusts nothing: every length, count and KDF parameter is
 * bounded.
 *
 * Order of trust: SHA-256 line (damage) -> KDF -> unwrap -> key-check value -> HMAC over the whole
 * file -> Ed25519 signature over identity, key-check value and slot list (numbers, types, roles) ->
 * only then is any other setting used.
 *
 * The text, in this order (bytes are base64url; a value of more than 72 bytes stands in numbered
 * keys: x1, x2, ...): [repository]  version, uuid, label, created, generation, public-key,
 * key-check [slot N]      type, role, label, created, changed; for a password: kdf, n, r, p, salt,
 * wrapped [signature]   ed25519 [integrity]   hmac (over every byte before this section), sha256
 * (over every byte before its own line) A later version may change everything but the last line, so
 * that damage and newness can be told apart for ever.
 */
#include <stdbool.h>
#include <stdint.h>
#include "crypto/crypto.h"
#include "store/store.h"
#include "util/error.h"

#define CONFIG_NAME "coffer.ini"
#define CONFIG_BAK_NAME "coffer.ini.bak"
#define CONFIG_REPLACED_NAME "coffer.ini.replaced" /* what `header restore` put aside */
#define CONFIG_MAX (256 * 1024)
#define FORMAT_VERSION 1u
#define SLOTS_MAX 64
#define LABEL_MAX 64 /* bytes of a label, valid UTF-8 without control characters */

struct config; /* opaque: a parsed coffer.ini */

void config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)

/* The secret that slots wrap: the DEK and, in keeper slots, the Ed25519 seed. Allocate it with
 * secret_alloc. */
struct secrets {
	uint8_t dek[KEY_LEN];
	uint8_t seed[ED25519_LEN];
	bool has_seed;
};

/*
 * Reads and parses REPO/coffer.ini (checksum checked, MAC not yet). EXIT_NOT_REPO: there is none
 * and nothing else of a repository either; EXIT_REPO_VERSION; EXIT_REPO_DAMAGED (missing or
 * damaged; says what helps).
 */
int config_load(struct store *st, struct config **ret, struct err *err);
/* Parses text. Pure; the fuzz target calls it. EXIT_REPO_DAMAGED, EXIT_REPO_VERSION (made by a
 * newer coffer). */
int config_parse(const char *text, size_t len, struct config **ret, struct err *err);

/* 0 if a repository or slot can have this label (NULL: none), else EXIT_USAGE. */
int config_check_label(const char *label, struct err *err);

/*
 * Makes a new one in memory, without slots: uuid, random DEK, Ed25519 pair; the secrets go into
 * *secrets (secret memory of the caller). label may be NULL; EXIT_USAGE if it is too long or not
 * printable UTF-8.
 */
int config_new(const char *label, struct config **ret, struct secrets *secrets, struct err *err);

/*
 * Adds a password slot in the lowest free number: scrypt N=2^17, r=8, p=1 (about 0.3 s and 128
 * MiB), keeper role. The secrets must have the seed. EXIT_SLOT: all SLOTS_MAX are taken.
 */
int config_add_password(struct config *c, const struct secrets *s, const char *password, size_t len,
	const char *label, unsigned *ret_slot, struct err *err);
/* Replaces slot's password. EXIT_SLOT: no such slot, or not a password slot. */
int config_set_password(struct config *c, unsigned slot, const struct secrets *s,
	const char *password, size_t len, struct err *err);
/*
 * Tries the password on every password slot (or only on `slot` if >= 0). Checks the key-check
 * value, the MAC and the signature. EXIT_PASSWORD: none opens (a wrong password and a damaged slot
 * give the same answer); EXIT_SLOT: the named slot does not exist, is of another type, or there is
 * no password slot at all; EXIT_REPO_TAMPERED: a slot opens, but what it opens or the rest of
 * coffer.ini is not authentic. ret_slot may be NULL.
 */
int config_unlock_password(struct config *c, const char *password, size_t len, int slot,
	struct secrets *ret, unsigned *ret_slot, struct err *err);

/*
 * A change of coffer.ini is: config_lock, config_load, config_unlock_password, change,
 * config_store, close the lock. The lock (an OFD lock on state/ini.lock) is independent of the
 * mount's, so a mounted repository can be changed. Waits up to 10 seconds, then EXIT_REPO_IN_USE.
 * Closing *ret_fd releases it.
 */
int config_lock(struct store *st, int *ret_fd, struct err *err);

/*
 * Serialises with checksum, MAC (key from the DEK) and signature (renewed if the secrets have the
 * seed; else the old one is kept, and -EPERM with EXIT_SLOT says that what it covers has changed).
 * Replaces coffer.ini durably, then coffer.ini.bak: a crash at any point leaves one coffer.ini that
 * opens. The caller holds config_lock.
 */
int config_store(struct config *c, struct store *st, const struct secrets *s, struct err *err);

/*
 * A copy of coffer.ini as it stands, checked by config_parse, in malloc'ed memory.
 * config_write_text puts such a text in place, as config_store does; the caller holds config_lock.
 */
int config_load_text(
	struct store *st, char **ret, size_t *ret_len, struct config **ret_config, struct err *err);
int config_write_text(struct store *st, const char *text, size_t len, struct err *err);

/* The text that config_store writes, in malloc'ed memory, terminated. */
int config_format(
	struct config *c, const struct secrets *s, char **ret, size_t *ret_len, struct err *err);

/* Read access for status and --json. Strings belong to c. Before unlocking nothing of it is
 * verified. */
const char *config_label(const struct config *c); /* "" if none */
const char *config_fingerprint(
	const struct config *c); /* "SHA256:base64url..." of the Ed25519 public key */
const char *config_uuid(const struct config *c);
uint32_t config_version(const struct config *c);
uint32_t config_generation(const struct config *c);
long long config_created(const struct config *c); /* seconds since 1970 */
unsigned config_slot_count(const struct config *c);
struct slot_info {
	unsigned number;
	const char *type;  /* "password" */
	const char *role;  /* "keeper" */
	const char *label; /* "" if none */
	long long created; /* seconds since 1970 */
	long long changed; /* when the key that wraps was last replaced */
	char detail[128];  /* "scrypt N=131072 r=8 p=1" */
};
/* i: 0 to count - 1. Strings belong to c. */
void config_slot_info(const struct config *c, unsigned i, struct slot_info *ret);

#endif
