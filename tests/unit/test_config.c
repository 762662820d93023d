/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* coffer.ini as text: round trips, slots, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "keys/config_internal.h"
#include "util/b64.h"
#include "util/secret.h"

#define PASSWORD "correct horse"
static const struct scrypt_params cheap = {.n = 1024, .r = 1, .p = 1};

/* A configuration with one slot, and its text. */
struct sample {
	struct secrets *secrets;
	struct config *config;
	char *text;
	size_t len;
};

static void format(struct config *c, const struct secrets *s, char **ret, size_t *ret_len)
{
	struct err err = ERR_INIT;
	int rc = config_format(c, s, ret, ret_len, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
}

static void make_sample(struct sample *s, const char *password)
{
	struct err err = ERR_INIT;
	unsigned slot;
	s->secrets = secret_alloc(sizeof(*s->secrets));
	assert_non_null(s->secrets);
	assert_int_equal(config_new("a; 100% label", &s->config, s->secrets, &err), 0);
	assert_int_equal(config_add_password_kdf(s->config, s->secrets, password, strlen(password),
				 "first", &cheap, &slot, &err),
		0);
	assert_int_equal(slot, 0);
	format(s->config, s->secrets, &s->text, &s->len);
}

static void free_sample(struct sample *s)
{
	secret_free(s->secrets);
	config_free(s->config);
	free(s->text);
}

static int setup(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));
	if (!s)
		return -1;
	make_sample(s, PASSWORD);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	free_sample(*state);
	free(*state);
	return 0;
}

static struct config *parse(const char *text, size_t len)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	if (config_parse(text, len, &c, &err) != 0)
		fail_msg("%s", err.text);
	return c;
}

static void refuses(const char *text, size_t len, enum exit_code code, const char *what)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	assert_true(config_parse(text, len, &c, &err) < 0);
	assert_null(c);
	if (err.code != code || !strstr(err.text, what))
		fail_msg("code %d, \"%s\" instead of code %d, \"%s\"", err.code, err.text, code,
			what);
}

static int unlock(struct config *c, const char *password, int slot, struct secrets *ret,
	unsigned *ret_slot, struct err *err)
{
	return config_unlock_password(c, password, strlen(password), slot, ret, ret_slot, err);
}

static void unlock_fails(struct config *c, const char *password, int slot, enum exit_code code)
{
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	struct err err = ERR_INIT;
	assert_true(unlock(c, password, slot, s, NULL, &err) < 0);
	if (err.code != code)
		fail_msg("code %d (%s) instead of %d", err.code, err.text, code);
	assert_false(s->has_seed);
}

/* The text with the first occurrence of `old` replaced, and the checksum made right again (hmac is
 * not). */
static char *edit(const struct sample *s, const char *old, const char *new, size_t *ret_len)
{
	const char *at = strstr(s->text, old);
	if (!at)
		fail_msg("no \"%s\"", old);
	size_t len = s->len - strlen(old) + strlen(new);
	char *text = malloc(len + 1);
	assert_non_null(text);
	size_t before = (size_t)(at - s->text);
	memcpy(text, s->text, before);
	strcpy(text + before, new);
	strcat(text, at + strlen(old));
	uint8_t digest[HASH_LEN];
	char *sum = strstr(text, "sha256 = ");
	assert_non_null(sum);
	assert_int_equal(sha256(text, (size_t)(sum - text), digest), 0);
	b64url_encode(digest, sizeof(digest), sum + 9);
	strcat(text, "\n");
	*ret_len = len;
	return text;
}

static void refuses_edit(const struct sample *s, const char *old, const char *new,
	enum exit_code code, const char *what)
{
	size_t len;
	_cleanup_free_ char *text = edit(s, old, new, &len);
	refuses(text, len, code, what);
}

static void test_round_trip(void **state)
{
	const struct sample *s = *state;
	_cleanup_(config_freep) struct config *c = parse(s->text, s->len);
	assert_string_equal(config_label(c), "a; 100% label");
	assert_string_equal(config_uuid(c), config_uuid(s->config));
	assert_string_equal(config_fingerprint(c), config_fingerprint(s->config));
	assert_int_equal(strlen(config_fingerprint(c)), 50);
	assert_int_equal(config_generation(c), 1);
	assert_int_equal(config_version(c), FORMAT_VERSION);
	assert_int_equal(config_created(c), config_created(s->config));
	assert_int_equal(config_slot_count(c), 1);
	struct slot_info info;
	config_slot_info(c, 0, &info);
	assert_int_equal(info.number, 0);
	assert_string_equal(info.type, "password");
	assert_string_equal(info.role, "keeper");
	assert_string_equal(info.label, "first");
	assert_string_equal(info.detail, "scrypt N=1024 r=1 p=1");

	_cleanup_secret_ struct secrets *got = secret_alloc(sizeof(*got));
	struct err err = ERR_INIT;
	unsigned slot = 99;
	assert_int_equal(unlock(c, PASSWORD, -1, got, &slot, &err), 0);
	assert_int_equal(slot, 0);
	assert_memory_equal(got, s->secrets, sizeof(*got));
	/* Ed25519 is deterministic, so nothing may differ when it is written again. */
	_cleanup_free_ char *again = NULL;
	size_t len;
	format(c, got, &again, &len);
	assert_int_equal(len, s->len);
	assert_memory_equal(again, s->text, len);
}

static void test_lines_are_short(void **state)
{
	const struct sample *s = *state;
	for (const char *p = s->text; *p;) {
		const char *nl = strchr(p, '\n');
		assert_non_null(nl);
		assert_true(nl - p <= 160);
		p = nl + 1;
	}
}

static void test_passwords(void **state)
{
	const struct sample *s = *state;
	_cleanup_(config_freep) struct config *c = parse(s->text, s->len);
	unlock_fails(c, "correct hors", -1, EXIT_PASSWORD);
	unlock_fails(c, "correct horse ", -1, EXIT_PASSWORD);
	unlock_fails(c, "", -1, EXIT_PASSWORD);
	unlock_fails(c, PASSWORD, 1, EXIT_SLOT);
	unlock_fails(c, PASSWORD, 63, EXIT_SLOT);
	unlock_fails(c, "wrong", 0, EXIT_PASSWORD);
}

static void test_many_slots(void **state)
{
	struct sample *s = *state;
	struct err err = ERR_INIT;
	unsigned slot;
	char password[32];
	for (unsigned i = 1; i < SLOTS_MAX; i++) {
		(void)snprintf(password, sizeof(password), "password %u", i);
		assert_int_equal(config_add_password_kdf(s->config, s->secrets, password,
					 strlen(password), NULL, &cheap, &slot, &err),
			0);
		assert_int_equal(slot, i);
	}
	assert_int_equal(
		config_add_password_kdf(s->config, s->secrets, "x", 1, NULL, &cheap, &slot, &err),
		-ENOSPC);
	assert_int_equal(err.code, EXIT_SLOT);
	_cleanup_free_ char *text = NULL;
	size_t len;
	format(s->config, s->secrets, &text, &len);
	assert_true(len < CONFIG_MAX);
	_cleanup_(config_freep) struct config *c = parse(text, len);
	_cleanup_secret_ struct secrets *got = secret_alloc(sizeof(*got));
	err = ERR_INIT;
	assert_int_equal(unlock(c, "password 40", -1, got, &slot, &err), 0);
	assert_int_equal(slot, 40);
	assert_int_equal(unlock(c, "password 40", 40, got, &slot, &err), 0);
	unlock_fails(c, "password 40", 41, EXIT_PASSWORD);
}

static void test_set_password(void **state)
{
	const struct sample *s = *state;
	struct err err = ERR_INIT;
	_cleanup_(config_freep) struct config *c = parse(s->text, s->len);
	assert_int_equal(config_set_password_kdf(c, 0, s->secrets, "new", 3, &cheap, &err), 0);
	_cleanup_free_ char *text = NULL;
	size_t len;
	format(c, s->secrets, &text, &len);
	_cleanup_(config_freep) struct config *d = parse(text, len);
	unlock_fails(d, PASSWORD, -1, EXIT_PASSWORD);
	_cleanup_secret_ struct secrets *got = secret_alloc(sizeof(*got));
	assert_int_equal(unlock(d, "new", -1, got, NULL, &err), 0);
	assert_memory_equal(got, s->secrets, sizeof(*got));
	assert_int_equal(
		config_set_password_kdf(c, 1, s->secrets, "new", 3, &cheap, &err), -ENOENT);
	assert_int_equal(err.code, EXIT_SLOT);
}

static void test_labels(void **state)
{
	(void)state;
	static const char *const good[] = {
		"", "x", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92", "%3B;%25 ; [x] # = :", "a  b"};
	static const char *const bad[] = {" x", "x ", "a\tb", "a\nb", "\x7f", "\xc2\x85", "\xff",
		"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xc3",
		"12345678901234567890123456789012345678901234567890123456789012345"};
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct err err = ERR_INIT;
		_cleanup_(config_freep) struct config *c = NULL;
		_cleanup_free_ char *text = NULL;
		size_t len;
		assert_int_equal(config_new(good[i], &c, s, &err), 0);
		format(c, s, &text, &len);
		_cleanup_(config_freep) struct config *d = parse(text, len);
		assert_string_equal(config_label(d), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;
		struct config *c = NULL;
		assert_int_equal(config_new(bad[i], &c, s, &err), -EINVAL);
		assert_int_equal(err.code, EXIT_USAGE);
	}
}

static void test_cut_anywhere(void **state)
{
	const struct sample *s = *state;
	for (size_t n = 0; n < s->len; n++) {
		_cleanup_free_ char *exact = malloc(n ? n : 1);
		memcpy(exact, s->text, n);
		refuses(exact, n, EXIT_REPO_DAMAGED, n < 100 ? "cut short" : "");
	}
}

static void test_every_byte_changed(void **state)
{
	const struct sample *s = *state;
	_cleanup_free_ char *text = malloc(s->len);
	memcpy(text, s->text, s->len);
	for (size_t i = 0; i < s->len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(s->text[i] ^ 1 << bit);
			refuses(text, s->len, EXIT_REPO_DAMAGED, "");
		}
		text[i] = s->text[i];
	}
}

/* The same, by somebody who repairs the checksum: refused when parsed, or not authentic, or no slot
 * opens. */
static void test_every_byte_edited(void **state)
{
	const struct sample *s = *state;
	size_t covered = (size_t)(strstr(s->text, "sha256 = ") - s->text);
	struct sample forged = {.len = s->len};
	forged.text = malloc(s->len + 1);
	for (size_t i = 0; i < covered; i++) {
		memcpy(forged.text, s->text, s->len + 1);
		forged.text[i] = forged.text[i] == 'A' ? 'B' : 'A';
		size_t len;
		_cleanup_free_ char *text = edit(&forged, "", "", &len);
		struct config *c = NULL;
		struct err err = ERR_INIT;
		if (config_parse(text, len, &c, &err) < 0) {
			assert_true(err.code == EXIT_REPO_DAMAGED || err.code == EXIT_REPO_VERSION);
			continue;
		}
		_cleanup_secret_ struct secrets *got = secret_alloc(sizeof(*got));
		if (unlock(c, PASSWORD, -1, got, NULL, &err) == 0)
			fail_msg("a change at byte %zu was accepted", i);
		assert_true(err.code == EXIT_PASSWORD || err.code == EXIT_REPO_TAMPERED);
		config_free(c);
	}
	free(forged.text);
}

static void test_appended(void **state)
{
	const struct sample *s = *state;
	_cleanup_free_ char *text = malloc(s->len + 2);
	memcpy(text, s->text, s->len);
	for (int c = 0; c < 256; c++) {
		text[s->len] = (char)c;
		refuses(text, s->len + 1, EXIT_REPO_DAMAGED, "");
	}
}

static void test_newer_and_unknown(void **state)
{
	const struct sample *s = *state;
	refuses_edit(s, "version = 1\n", "version = 2\n", EXIT_REPO_VERSION, "format version 2");
	refuses_edit(s, "version = 1\n", "version = 2\nnew-key = 1\n", EXIT_REPO_VERSION,
		"format version 2");
	refuses_edit(s, "version = 1\n", "version = 0\n", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "version = 1\n", "version = 01\n", EXIT_REPO_DAMAGED, "not a number");
	refuses_edit(s, "version = 1\n", "version = 99999999999999999999\n", EXIT_REPO_DAMAGED,
		"not a number");
	refuses_edit(s, "version = 1\n", "", EXIT_REPO_DAMAGED, "has no version");
	refuses_edit(s, "[signature]\n", "[policy]\nx = 1\n[signature]\n", EXIT_REPO_VERSION,
		"[policy] x");
	refuses_edit(s, "kdf =", "more = 1\nkdf =", EXIT_REPO_VERSION, "[slot 0] more");
	refuses_edit(s, "type = password\n", "type = rsa\n", EXIT_REPO_VERSION, "\"rsa\"");
	refuses_edit(s, "role = keeper\n", "role = writer\n", EXIT_REPO_VERSION, "\"writer\"");
	refuses_edit(s, "kdf = scrypt\n", "kdf = argon2\n", EXIT_REPO_VERSION, "\"argon2\"");
	refuses_edit(s, "[slot 0]\n", "[slot x]\n", EXIT_REPO_VERSION, "[slot x]");
	refuses_edit(s, "[slot 0]\n", "[slot 00]\n", EXIT_REPO_VERSION, "[slot 00]");
	refuses_edit(s, "[slot 0]\n", "[slot 64]\n", EXIT_REPO_DAMAGED, "out of bounds");
}

static void test_duplicates(void **state)
{
	const struct sample *s = *state;
	refuses_edit(s, "version = 1\n", "version = 1\nversion = 1\n", EXIT_REPO_DAMAGED,
		"there before");
	refuses_edit(s, "[signature]\n", "[slot 0]\ntype = password\n[signature]\n",
		EXIT_REPO_DAMAGED, "there before");
}

static void test_bad_values(void **state)
{
	const struct sample *s = *state;
	refuses_edit(s, "generation = 1", "generation = 0", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "generation = 1", "generation = -1", EXIT_REPO_DAMAGED, "not a number");
	refuses_edit(
		s, "generation = 1", "generation = 4294967296", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "uuid = ", "uuid = x", EXIT_REPO_DAMAGED, "UUID");
	refuses_edit(s, "created = ", "created = +", EXIT_REPO_DAMAGED, "not a time");
	refuses_edit(s, "Z\n", "\n", EXIT_REPO_DAMAGED, "not a time");
	refuses_edit(s, "public-key = ", "public-key = A", EXIT_REPO_DAMAGED, "base64url");
	refuses_edit(s, "salt = ", "salt = =", EXIT_REPO_DAMAGED, "base64url");
	refuses_edit(s, "wrapped = ", "wrapped = +", EXIT_REPO_DAMAGED, "base64url");
	refuses_edit(s, "label = a%3B", "label = a%3b", EXIT_REPO_DAMAGED, "not a label");
	refuses_edit(s, "label = a%3B", "label = a ;", EXIT_REPO_DAMAGED, "key = value");
	refuses_edit(s, "hmac = ", "hmac  = ", EXIT_REPO_DAMAGED, "");
	refuses_edit(s, "ed25519 = ", "ed25518 = ", EXIT_REPO_DAMAGED, "has no ed25519");
}

static void test_kdf_bounds(void **state)
{
	const struct sample *s = *state;
	static const char *const n[] = {
		"0", "1", "512", "1023", "1025", "8388608", "4194305", "9223372036854775807"};
	for (size_t i = 0; i < sizeof(n) / sizeof(*n); i++) {
		char line[64];
		(void)snprintf(line, sizeof(line), "\nn = %s\n", n[i]);
		refuses_edit(s, "\nn = 1024\n", line, EXIT_REPO_DAMAGED, "out of bounds");
	}
	refuses_edit(s, "\nr = 1\n", "\nr = 0\n", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "\nr = 1\n", "\nr = 33\n", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "\np = 1\n", "\np = 0\n", EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "\np = 1\n", "\np = 17\n", EXIT_REPO_DAMAGED, "out of bounds");
	/* Each in its bounds, but more than 1 GiB, or more than 4 GiB of work, together. */
	refuses_edit(s, "\nn = 1024\nr = 1\np = 1\n", "\nn = 4194304\nr = 2\np = 5\n",
		EXIT_REPO_DAMAGED, "out of bounds");
	refuses_edit(s, "\nn = 1024\nr = 1\n", "\nn = 4194304\nr = 4\n", EXIT_REPO_DAMAGED,
		"out of bounds");
	const struct scrypt_params most = {.n = 1 << 22, .r = 2, .p = 4};
	const struct scrypt_params wide = {.n = 1 << 18, .r = 32, .p = 1};
	assert_true(scrypt_params_valid(&most));
	assert_true(scrypt_params_valid(&wide));
	assert_true(scrypt_params_valid(&SCRYPT_DEFAULT));
}

/* A slot of another repository, whose password the attacker knows, in place of ours. */
static void test_swapped_slot(void **state)
{
	const struct sample *s = *state;
	struct sample other = {0};
	make_sample(&other, PASSWORD);
	other.config->slots[0].created = s->config->slots[0].created;
	struct config *c = parse(s->text, s->len);
	c->slots[0] = other.config->slots[0];
	unlock_fails(c, PASSWORD, -1, EXIT_REPO_TAMPERED);
	/* With the other's key-check value too, the MAC does not hold. */
	memcpy(c->key_check, other.config->key_check, sizeof(c->key_check));
	unlock_fails(c, PASSWORD, -1, EXIT_REPO_TAMPERED);
	config_free(c);
	free_sample(&other);
}

/* A holder of the DEK alone can make the MAC right, but not the signature. */
static void test_signature(void **state)
{
	const struct sample *s = *state;
	struct err err = ERR_INIT;
	_cleanup_(config_freep) struct config *c = parse(s->text, s->len);
	_cleanup_secret_ struct secrets *writer = secret_alloc(sizeof(*writer));
	memcpy(writer->dek, s->secrets->dek, KEY_LEN);
	_cleanup_free_ char *text = NULL;
	size_t len;
	/* What is not signed may change: the wrapping of a slot. */
	assert_int_equal(config_set_password_kdf(c, 0, s->secrets, "new", 3, &cheap, &err), 0);
	format(c, writer, &text, &len);
	_cleanup_(config_freep) struct config *d = parse(text, len);
	_cleanup_secret_ struct secrets *got = secret_alloc(sizeof(*got));
	assert_int_equal(unlock(d, "new", -1, got, NULL, &err), 0);

	char *none = NULL;
	c->created++;
	assert_int_equal(config_format(c, writer, &none, &len, &err), -EPERM);
	assert_int_equal(err.code, EXIT_SLOT);
	c->created--;
	c->slots[0].label[0] = 'X';
	err = ERR_INIT;
	assert_int_equal(config_format(c, writer, &none, &len, &err), -EPERM);
	assert_null(none);

	/* A forged signature under a right MAC. */
	uint8_t seed[ED25519_LEN] = {1};
	memcpy(writer->seed, seed, sizeof(seed));
	writer->has_seed = true;
	_cleanup_free_ char *forged = NULL;
	format(c, writer, &forged, &len);
	_cleanup_(config_freep) struct config *f = parse(forged, len);
	unlock_fails(f, "new", -1, EXIT_REPO_TAMPERED);
}

static void test_no_slots(void **state)
{
	(void)state;
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	struct err err = ERR_INIT;
	_cleanup_(config_freep) struct config *c = NULL;
	assert_int_equal(config_new(NULL, &c, s, &err), 0);
	_cleanup_free_ char *text = NULL;
	size_t len;
	format(c, s, &text, &len);
	_cleanup_(config_freep) struct config *d = parse(text, len);
	unlock_fails(d, PASSWORD, -1, EXIT_SLOT);
}

static void test_too_long(void **state)
{
	(void)state;
	_cleanup_free_ char *text = calloc(1, CONFIG_MAX + 1);
	refuses(text, CONFIG_MAX + 1, EXIT_REPO_DAMAGED, "too long");
	refuses(text, CONFIG_MAX, EXIT_REPO_DAMAGED, "checksum");
}

/* The default is what the documentation says, and is what released paths use. */
static void test_default_kdf(void **state)
{
	struct sample *s = *state;
	struct err err = ERR_INIT;
	unsigned slot;
	assert_int_equal(config_add_password(s->config, s->secrets, "x", 1, NULL, &slot, &err), 0);
	struct slot_info info;
	config_slot_info(s->config, 1, &info);
	assert_string_equal(info.detail, "scrypt N=131072 r=8 p=1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_lines_are_short),
		TEST(test_passwords),
		TEST(test_many_slots),
		TEST(test_set_password),
		TEST(test_labels),
		TEST(test_cut_anywhere),
		TEST(test_every_byte_changed),
		TEST(test_every_byte_edited),
		TEST(test_appended),
		TEST(test_newer_and_unknown),
		TEST(test_duplicates),
		TEST(test_bad_values),
		TEST(test_kdf_bounds),
		TEST(test_swapped_slot),
		TEST(test_signature),
		TEST(test_no_slots),
		TEST(test_too_long),
		TEST(test_default_kdf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
