/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/config_internal.h"

#include <stdlib.h>
#include <string.h>
#include "util/b64.h"
#include "util/secret.h"

/*
 * coffer.ini as text. The tail has a fixed form, checked on the bytes before anything is parsed:
 *   "[integrity]\nhmac = <43 characters>\nsha256 = <43 characters>\n" and the end.
 */
#define DIGEST_TEXT B64_LEN(HASH_LEN)
#define INTEGRITY_HEAD "[integrity]\n"
#define HMAC_HEAD "hmac = "
#define SHA_HEAD "sha256 = "
#define SHA_LINE_LEN (sizeof(SHA_HEAD) - 1 + DIGEST_TEXT + 1)
#define TAIL_LEN                                                                                   \
	(sizeof(INTEGRITY_HEAD) - 1 + sizeof(HMAC_HEAD) - 1 + DIGEST_TEXT + 1 + SHA_LINE_LEN)

#define TITLE                                                                                      \
	"# coffer repository: keys and settings. Authenticated as a whole: an edited line makes "  \
	"it "                                                                                      \
	"unusable.\n\n"
#define SIGNED_TITLE "coffer signed configuration\n"

static int damaged(struct err *err, const char *why)
{
	return err_set(err, EXIT_REPO_DAMAGED, -EBADMSG, "%s", why);
}

/* Reads "HEAD<digest>\n" at text (room is checked by the caller). */
static bool read_digest(const char *text, const char *head, uint8_t ret[HASH_LEN])
{
	size_t head_len = strlen(head);
	return memcmp(text, head, head_len) == 0 &&
	       b64url_decode(text + head_len, DIGEST_TEXT, ret) == HASH_LEN &&
	       text[head_len + DIGEST_TEXT] == '\n';
}

static int check_sum(const char *text, size_t len, struct err *err)
{
	if (len < TAIL_LEN)
		return damaged(err, "it is cut short");
	uint8_t stored[HASH_LEN], actual[HASH_LEN];
	size_t covered = len - SHA_LINE_LEN;
	if (!read_digest(text + covered, SHA_HEAD, stored))
		return damaged(err, "it does not end with its checksum: cut short or overwritten");
	int rc = sha256(text, covered, actual);
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "SHA-256 failed");
	if (memcmp(stored, actual, HASH_LEN) != 0)
		return damaged(err, "its checksum does not match: bytes of it have changed");
	return 0;
}

static bool uuid_valid(const char *text)
{
	if (strlen(text) != UUID_TEXT_LEN)
		return false;
	for (int i = 0; i < UUID_TEXT_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}

/* The version comes before everything else: what a newer one changed must not look like damage. */
static int parse_version(struct config *c, const struct fields *f)
{
	uint64_t version;
	int rc = field_u64(f, "version", 1, UINT32_MAX, &version);
	if (rc < 0)
		return rc;
	if (version != FORMAT_VERSION)
		return err_set(f->err, EXIT_REPO_VERSION, -EPROTONOSUPPORT,
			"the repository has format version %u; this coffer knows version %u: a "
			"newer "
			"coffer is needed",
			(unsigned)version, FORMAT_VERSION);
	c->version = (uint32_t)version;
	return 0;
}

static int parse_repository(struct config *c, const struct fields *f)
{
	const char *uuid = field_text(f, "uuid");
	if (!uuid)
		return -EINVAL;
	if (!uuid_valid(uuid))
		return damaged(f->err, "[repository] uuid is not a UUID");
	memcpy(c->uuid, uuid, sizeof(c->uuid));
	int rc = field_label(f, "label", c->label, sizeof(c->label));
	if (rc == 0)
		rc = field_time(f, "created", &c->created);
	uint64_t generation = 0;
	if (rc == 0)
		rc = field_u64(f, "generation", 1, UINT32_MAX, &generation);
	if (rc == 0)
		rc = field_bytes(f, "public-key", c->public_key, sizeof(c->public_key));
	if (rc == 0)
		rc = field_bytes(f, "key-check", c->key_check, sizeof(c->key_check));
	if (rc < 0)
		return rc;
	c->generation = (uint32_t)generation;
	rc = config_make_fingerprint(c);
	if (rc < 0)
		return err_set_errno(f->err, EXIT_INTERNAL, rc, "SHA-256 failed");
	return 0;
}

/* The number N of "slot N" without leading zeros, or -1. */
static int slot_number(const char *section)
{
	if (strncmp(section, "slot ", 5) != 0)
		return -1;
	const char *digits = section + 5;
	size_t n = strspn(digits, "0123456789");
	if (n == 0 || n > 3 || digits[n] || (digits[0] == '0' && n > 1))
		return -1;
	return atoi(digits);
}

static int parse_slots(struct config *c, struct inidoc *doc, struct err *err)
{
	for (unsigned i = 0; i < inidoc_section_count(doc); i++) {
		const char *section = inidoc_section(doc, i);
		int number = slot_number(section);
		if (number < 0)
			continue; /* refused below, if nobody else knows it */
		if (number >= SLOTS_MAX)
			return damaged(err, "a slot's number is out of bounds");
		if (c->slot_count && c->slots[c->slot_count - 1].number >= (unsigned)number)
			return damaged(err, "the slots are not in order");
		struct fields f = {.doc = doc, .section = section, .err = err};
		int rc = slot_parse(&c->slots[c->slot_count], (unsigned)number, &f);
		if (rc < 0)
			return rc;
		c->slot_count++;
	}
	return 0;
}

static int parse_sections(struct config *c, struct inidoc *doc, struct err *err)
{
	struct fields f = {.doc = doc, .section = "repository", .err = err};
	int rc = parse_version(c, &f);
	if (rc == 0)
		rc = parse_repository(c, &f);
	if (rc == 0)
		rc = parse_slots(c, doc, err);
	f.section = "signature";
	if (rc == 0)
		rc = field_bytes(&f, "ed25519", c->signature, sizeof(c->signature));
	f.section = "integrity";
	uint8_t sha[HASH_LEN];
	if (rc == 0)
		rc = field_bytes(&f, "hmac", c->hmac, sizeof(c->hmac));
	if (rc == 0)
		rc = field_bytes(&f, "sha256", sha, sizeof(sha));
	if (rc < 0)
		return rc;
	struct inidoc_stray stray;
	if (inidoc_find_stray(doc, &stray))
		return err_set(err, EXIT_REPO_VERSION, -EPROTONOSUPPORT,
			"line %u: [%s] %s is unknown to this version of coffer: a newer one is "
			"needed",
			stray.line, stray.section, stray.key);
	return 0;
}

int config_parse(const char *text, size_t len, struct config **ret, struct err *err)
{
	if (len > CONFIG_MAX)
		return damaged(err, "it is too long");
	int rc = check_sum(text, len, err);
	if (rc < 0)
		return rc;
	_cleanup_(inidoc_freep) struct inidoc *doc = NULL;
	rc = inidoc_parse(text, len, EXIT_REPO_DAMAGED, &doc, err);
	if (rc < 0)
		return rc;
	_cleanup_(config_freep) struct config *c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	rc = parse_sections(c, doc, err);
	if (rc < 0)
		return rc;
	/* What the HMAC covers ends where the section begins: its place must not be a matter of
	 * interpretation. */
	c->text_len = len - TAIL_LEN;
	uint8_t hmac[HASH_LEN];
	if (memcmp(text + c->text_len, INTEGRITY_HEAD, sizeof(INTEGRITY_HEAD) - 1) != 0 ||
		!read_digest(text + c->text_len + sizeof(INTEGRITY_HEAD) - 1, HMAC_HEAD, hmac))
		return damaged(err, "its last section is not of the right form");
	c->text = malloc(c->text_len + 1);
	if (!c->text)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	memcpy(c->text, text, c->text_len);
	c->text[c->text_len] = '\0';
	*ret = TAKE_PTR(c);
	return 0;
}

static void emit_repository(const struct config *c, FILE *to)
{
	(void)fprintf(to, "[repository]\n");
	emit_u64(to, "version", c->version);
	(void)fprintf(to, "uuid = %s\n", c->uuid);
	emit_label(to, "label", c->label);
	emit_time(to, "created", c->created);
	emit_u64(to, "generation", c->generation);
	emit_bytes(to, "public-key", c->public_key, sizeof(c->public_key));
	emit_bytes(to, "key-check", c->key_check, sizeof(c->key_check));
}

/* Closes a memory stream; -ENOMEM if anything written to it was lost. */
static int close_text(FILE *to)
{
	bool failed = ferror(to) != 0;
	return fclose(to) == 0 && !failed ? 0 : -ENOMEM;
}

int config_signed_text(const struct config *c, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (!to)
		return -ENOMEM;
	(void)fputs(SIGNED_TITLE, to);
	emit_repository(c, to);
	for (unsigned i = 0; i < c->slot_count; i++)
		slot_emit(&c->slots[i], true, to);
	int rc = close_text(to);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Renews the signature, or without the seed makes sure that it still holds. */
static int sign(struct config *c, const struct secrets *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int rc = config_signed_text(c, &text, &len);
	if (rc < 0)
		return err_set(err, EXIT_INTERNAL, rc, "out of memory");
	if (s->has_seed) {
		rc = ed25519_sign(s->seed, text, len, c->signature);
		if (rc < 0)
			return err_set_errno(err, EXIT_INTERNAL, rc, "signing failed");
		return 0;
	}
	rc = ed25519_verify(c->public_key, text, len, c->signature);
	if (rc == -EBADMSG)
		return err_set(
			err, EXIT_SLOT, -EPERM, "this change needs a slot of the role \"keeper\"");
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "checking the signature failed");
	return 0;
}

/* The text up to the [integrity] section. */
static int format_body(const struct config *c, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (!to)
		return -ENOMEM;
	(void)fputs(TITLE, to);
	emit_repository(c, to);
	for (unsigned i = 0; i < c->slot_count; i++) {
		(void)fputc('\n', to);
		slot_emit(&c->slots[i], false, to);
	}
	(void)fputs("\n[signature]\n", to);
	emit_bytes(to, "ed25519", c->signature, sizeof(c->signature));
	(void)fputc('\n', to);
	int rc = close_text(to);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Appends the [integrity] section to a body of len bytes: *ret is new memory. */
static int format_tail(const struct secrets *s, const char *body, size_t len, char **ret)
{
	_cleanup_secret_ uint8_t *mac_key = secret_alloc(KEY_LEN);
	_cleanup_free_ char *text = malloc(len + TAIL_LEN + 1);
	if (!mac_key || !text)
		return -ENOMEM;
	uint8_t digest[HASH_LEN];
	char digest_text[DIGEST_TEXT + 1];
	int rc = hkdf_sha256(s->dek, KEY_LEN, LABEL_CONFIG_MAC, mac_key, KEY_LEN);
	if (rc == 0)
		rc = hmac_sha256(mac_key, body, len, digest);
	if (rc < 0)
		return rc;
	b64url_encode(digest, sizeof(digest), digest_text);
	memcpy(text, body, len);
	int n = snprintf(
		text + len, TAIL_LEN + 1, INTEGRITY_HEAD HMAC_HEAD "%s\n" SHA_HEAD, digest_text);
	size_t covered = len + (size_t)n - (sizeof(SHA_HEAD) - 1);
	rc = sha256(text, covered, digest);
	if (rc < 0)
		return rc;
	b64url_encode(digest, sizeof(digest), digest_text);
	(void)snprintf(text + covered, SHA_LINE_LEN + 1, SHA_HEAD "%s\n", digest_text);
	*ret = TAKE_PTR(text);
	return 0;
}

int config_format(
	struct config *c, const struct secrets *s, char **ret, size_t *ret_len, struct err *err)
{
	int rc = sign(c, s, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *body = NULL;
	size_t len = 0;
	rc = format_body(c, &body, &len);
	if (rc == 0)
		rc = format_tail(s, body, len, ret);
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "writing coffer.ini in memory failed");
	*ret_len = len + TAIL_LEN;
	return 0;
}
