/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_SLOT_H
#define COFFER_KEYS_SLOT_H

/*
 * One key slot: a key-encryption key's wrapping of the repository's secrets. A new type is one file
 * with a struct slot_type, a line in the table of slot.c, and a member of the union. Internal to
 * keys/.
 */
#include "keys/config.h"
#include "keys/fields.h"

/* What is wrapped: DEK || Ed25519 seed for keepers, the DEK alone for the roles below. */
#define WRAPPED_KEEPER (KEY_LEN + ED25519_LEN + KEYWRAP_EXTRA)

#define SCRYPT_SALT_LEN 32u
struct scrypt_params {
	uint64_t n;
	uint32_t r, p;
};
/* RFC 7914's advice for interactive use, doubled three times; about 0.3 s and 128 MiB. */
#define SCRYPT_DEFAULT ((struct scrypt_params){.n = 1u << 17, .r = 8, .p = 1})

struct password_slot {
	struct scrypt_params kdf;
	uint8_t salt[SCRYPT_SALT_LEN];
	uint8_t wrapped[WRAPPED_KEEPER];
};

enum slot_role { ROLE_KEEPER };

struct slot_type;

struct slot {
	unsigned number; /* below SLOTS_MAX */
	const struct slot_type *type;
	enum slot_role role;
	char label[LABEL_MAX + 1];
	long long created, changed;
	union {
		struct password_slot password;
	};
};

struct slot_type {
	const char *name;
	/* Reads and bounds the type's own keys. */
	int (*parse)(struct slot *s, const struct fields *f);
	void (*emit)(const struct slot *s, FILE *to);
	/* A few words on the parameters, for status. */
	void (*describe)(const struct slot *s, char *out, size_t size);
};

extern const struct slot_type password_slot_type;

/* Reads section [slot N]. An unknown type or role is EXIT_REPO_VERSION. */
int slot_parse(struct slot *s, unsigned number, const struct fields *f);
/*
 * Writes the section: first the part that the repository's signature covers (signed_only ends
 * there), then what may change with the key that wraps.
 */
void slot_emit(const struct slot *s, bool signed_only, FILE *to);
const char *slot_role_name(enum slot_role role);

/*
 * True for parameters that unlock may use: N a power of two from 2^10 to 2^22, r <= 32, p <= 16,
 * 128*N*r (memory) <= 1 GiB, 128*N*r*p (work) <= 4 GiB: a hostile coffer.ini costs at most about
 * ten seconds a slot.
 */
bool scrypt_params_valid(const struct scrypt_params *k);
/* Draws a salt and wraps the secrets, which must have the seed. The slot is unchanged on failure.
 */
int password_slot_wrap(struct password_slot *ps, const struct scrypt_params *kdf,
	const char *password, size_t len, const struct secrets *s);
/* -EBADMSG: wrong password or damaged slot. */
int password_slot_unwrap(
	const struct password_slot *ps, const char *password, size_t len, struct secrets *ret);

#endif
