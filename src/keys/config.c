/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/config_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "util/b64.h"
#include "util/secret.h"

void config_free(struct config *c)
{
	if (!c)
		return;
	free(c->text);
	free(c);
}

int config_make_fingerprint(struct config *c)
{
	uint8_t digest[HASH_LEN];
	int rc = sha256(c->public_key, sizeof(c->public_key), digest);
	if (rc < 0)
		return rc;
	memcpy(c->fingerprint, "SHA256:", 7);
	b64url_encode(digest, sizeof(digest), c->fingerprint + 7);
	return 0;
}

/* A random UUID (RFC 9562, version 4). */
static int make_uuid(char out[UUID_TEXT_LEN + 1])
{
	uint8_t b[16];
	int rc = random_bytes(b, sizeof(b));
	if (rc < 0)
		return rc;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (int i = 0, n = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[n++] = '-';
		(void)snprintf(out + n, 3, "%02x", b[i]);
		n += 2;
	}
	return 0;
}

static int make_keys(struct config *c, struct secrets *s)
{
	int rc = make_uuid(c->uuid);
	if (rc == 0)
		rc = random_bytes(s->dek, sizeof(s->dek));
	if (rc == 0)
		rc = random_bytes(s->seed, sizeof(s->seed));
	if (rc == 0)
		rc = ed25519_public(s->seed, c->public_key);
	if (rc == 0)
		rc = hkdf_sha256(s->dek, KEY_LEN, LABEL_KEY_CHECK, c->key_check, HASH_LEN);
	if (rc == 0)
		rc = config_make_fingerprint(c);
	s->has_seed = true;
	return rc;
}

int config_check_label(const char *label, struct err *err)
{
	if (!label || label_valid(label, LABEL_MAX))
		return 0;
	return err_set(err, EXIT_USAGE, -EINVAL,
		"a label is at most %d bytes of UTF-8 text without control characters, and without "
		"blanks at its ends",
		LABEL_MAX);
}

static int take_label(char out[LABEL_MAX + 1], const char *label, struct err *err)
{
	int rc = config_check_label(label, err);
	if (rc == 0)
		(void)snprintf(out, LABEL_MAX + 1, "%s", label ? label : "");
	return rc;
}

int config_new(const char *label, struct config **ret, struct secrets *secrets, struct err *err)
{
	_cleanup_(config_freep) struct config *c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	int rc = take_label(c->label, label, err);
	if (rc < 0)
		return rc;
	c->version = FORMAT_VERSION;
	c->generation = 1;
	c->created = (long long)time(NULL);
	rc = make_keys(c, secrets);
	if (rc < 0) {
		wipe(secrets, sizeof(*secrets));
		return err_set_errno(err, EXIT_INTERNAL, rc, "making the repository's keys failed");
	}
	*ret = TAKE_PTR(c);
	return 0;
}

static int wrap_failed(int rc, struct err *err)
{
	if (rc == -ENOMEM)
		return err_set(err, EXIT_INTERNAL, rc,
			"out of memory: turning a password into a key takes 128 MiB");
	return err_set_errno(err, EXIT_INTERNAL, rc, "wrapping the data key failed");
}

int config_add_password_kdf(struct config *c, const struct secrets *s, const char *password,
	size_t len, const char *label, const struct scrypt_params *kdf, unsigned *ret_slot,
	struct err *err)
{
	if (c->slot_count == SLOTS_MAX)
		return err_set(err, EXIT_SLOT, -ENOSPC, "all %d slots are taken", SLOTS_MAX);
	unsigned at =
		0; /* the lowest free number is the first place where number and place differ */
	while (at < c->slot_count && c->slots[at].number == at)
		at++;
	struct slot slot = {.number = at, .type = &password_slot_type, .role = ROLE_KEEPER};
	slot.created = slot.changed = (long long)time(NULL);
	int rc = take_label(slot.label, label, err);
	if (rc < 0)
		return rc;
	rc = password_slot_wrap(&slot.password, kdf, password, len, s);
	if (rc < 0)
		return wrap_failed(rc, err);
	memmove(&c->slots[at + 1], &c->slots[at], (c->slot_count - at) * sizeof(c->slots[0]));
	c->slots[at] = slot;
	c->slot_count++;
	*ret_slot = at;
	return 0;
}

int config_add_password(struct config *c, const struct secrets *s, const char *password, size_t len,
	const char *label, unsigned *ret_slot, struct err *err)
{
	return config_add_password_kdf(c, s, password, len, label, &SCRYPT_DEFAULT, ret_slot, err);
}

static struct slot *find_slot(struct config *c, unsigned number)
{
	for (unsigned i = 0; i < c->slot_count; i++) {
		if (c->slots[i].number == number)
			return &c->slots[i];
	}
	return NULL;
}

static int find_password_slot(struct config *c, unsigned number, struct slot **ret, struct err *err)
{
	struct slot *slot = find_slot(c, number);
	if (!slot)
		return err_set(err, EXIT_SLOT, -ENOENT, "there is no slot %u", number);
	if (slot->type != &password_slot_type)
		return err_set(err, EXIT_SLOT, -EINVAL,
			"slot %u is of the type \"%s\", not a password", number, slot->type->name);
	*ret = slot;
	return 0;
}

int config_set_password_kdf(struct config *c, unsigned number, const struct secrets *s,
	const char *password, size_t len, const struct scrypt_params *kdf, struct err *err)
{
	struct slot *slot;
	int rc = find_password_slot(c, number, &slot, err);
	if (rc < 0)
		return rc;
	rc = password_slot_wrap(&slot->password, kdf, password, len, s);
	if (rc < 0)
		return wrap_failed(rc, err);
	slot->changed = (long long)time(NULL);
	return 0;
}

int config_set_password(struct config *c, unsigned slot, const struct secrets *s,
	const char *password, size_t len, struct err *err)
{
	return config_set_password_kdf(c, slot, s, password, len, &SCRYPT_DEFAULT, err);
}

/* -EBADMSG: this is not the DEK of this repository. */
static int check_dek(const struct config *c, const struct secrets *s)
{
	uint8_t check[HASH_LEN];
	int rc = hkdf_sha256(s->dek, KEY_LEN, LABEL_KEY_CHECK, check, sizeof(check));
	if (rc < 0)
		return rc;
	return bytes_equal_ct(check, c->key_check, sizeof(check)) ? 0 : -EBADMSG;
}

static int tampered(struct err *err, const char *what)
{
	return err_set(err, EXIT_REPO_TAMPERED, -EBADMSG,
		"%s: it was altered by somebody without the key, not by a disk error. "
		"Compare it with a copy from `coffer header backup`",
		what);
}

static int check_mac(const struct config *c, const struct secrets *s, struct err *err)
{
	_cleanup_secret_ uint8_t *mac_key = secret_alloc(KEY_LEN);
	if (!mac_key || !c->text)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	uint8_t hmac[HASH_LEN];
	int rc = hkdf_sha256(s->dek, KEY_LEN, LABEL_CONFIG_MAC, mac_key, KEY_LEN);
	if (rc == 0)
		rc = hmac_sha256(mac_key, c->text, c->text_len, hmac);
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "checking coffer.ini failed");
	if (!bytes_equal_ct(hmac, c->hmac, sizeof(hmac)))
		return tampered(err, "coffer.ini is not authentic");
	return 0;
}

static int check_signature(const struct config *c, const struct secrets *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int rc = config_signed_text(c, &text, &len);
	if (rc == 0)
		rc = ed25519_verify(c->public_key, text, len, c->signature);
	uint8_t own[ED25519_LEN];
	if (rc == 0 && s->has_seed)
		rc = ed25519_public(s->seed, own);
	if (rc == 0 && s->has_seed && memcmp(own, c->public_key, sizeof(own)) != 0)
		rc = -EBADMSG;
	if (rc == -EBADMSG)
		return tampered(err, "the signature in coffer.ini is not authentic");
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "checking the signature failed");
	return 0;
}

/* What remains to be checked once a slot gave a DEK. */
static int verify(const struct config *c, const struct secrets *s, struct err *err)
{
	int rc = check_mac(c, s, err);
	return rc < 0 ? rc : check_signature(c, s, err);
}

/*
 * Tries one slot. 1: it opened; 0: this password does not open it; *foreign is set if it opened,
 * but holds the key of something else.
 */
static int try_slot(const struct config *c, const struct slot *slot, const char *password,
	size_t len, struct secrets *s, bool *foreign, struct err *err)
{
	int rc = password_slot_unwrap(&slot->password, password, len, s);
	if (rc == -EBADMSG)
		return 0;
	if (rc < 0)
		return err_set_errno(
			err, EXIT_INTERNAL, rc, "slot %u cannot be tried", slot->number);
	rc = check_dek(c, s);
	if (rc == -EBADMSG) {
		*foreign = true;
		return 0;
	}
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "the data key cannot be checked");
	return 1;
}

static int try_slots(const struct config *c, const char *password, size_t len, int only,
	struct secrets *s, unsigned *ret_slot, struct err *err)
{
	bool foreign = false, tried = false;
	for (unsigned i = 0; i < c->slot_count; i++) {
		const struct slot *slot = &c->slots[i];
		if (slot->type != &password_slot_type ||
			(only >= 0 && slot->number != (unsigned)only))
			continue;
		tried = true;
		int rc = try_slot(c, slot, password, len, s, &foreign, err);
		if (rc < 0)
			return rc;
		if (rc == 1) {
			*ret_slot = slot->number;
			return 0;
		}
	}
	if (foreign)
		return tampered(err, "a slot of coffer.ini holds another repository's key");
	if (!tried)
		return err_set(err, EXIT_SLOT, -ENOENT, "there is no slot that a password opens");
	return err_set(err, EXIT_PASSWORD, -EACCES,
		only >= 0 ? "wrong password for this slot (or the slot is damaged)"
			  : "wrong password (or its slot is damaged)");
}

int config_unlock_password(struct config *c, const char *password, size_t len, int slot,
	struct secrets *ret, unsigned *ret_slot, struct err *err)
{
	struct slot *named;
	if (slot >= 0) {
		int rc = find_password_slot(c, (unsigned)slot, &named, err);
		if (rc < 0)
			return rc;
	}
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	if (!s)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	unsigned opened = 0;
	int rc = try_slots(c, password, len, slot, s, &opened, err);
	if (rc == 0)
		rc = verify(c, s, err);
	if (rc < 0)
		return rc;
	*ret = *s;
	if (ret_slot)
		*ret_slot = opened;
	return 0;
}

const char *config_label(const struct config *c)
{
	return c->label;
}

const char *config_fingerprint(const struct config *c)
{
	return c->fingerprint;
}

const char *config_uuid(const struct config *c)
{
	return c->uuid;
}

uint32_t config_version(const struct config *c)
{
	return c->version;
}

uint32_t config_generation(const struct config *c)
{
	return c->generation;
}

long long config_created(const struct config *c)
{
	return c->created;
}

unsigned config_slot_count(const struct config *c)
{
	return c->slot_count;
}

void config_slot_info(const struct config *c, unsigned i, struct slot_info *ret)
{
	const struct slot *s = &c->slots[i];
	*ret = (struct slot_info){
		.number = s->number,
		.type = s->type->name,
		.role = slot_role_name(s->role),
		.label = s->label,
		.created = s->created,
		.changed = s->changed,
	};
	s->type->describe(s, ret->detail, sizeof(ret->detail));
}
