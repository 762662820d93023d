/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/slot.h"

#include <inttypes.h>
#include <string.h>
#include "util/secret.h"

#define SCRYPT_N_MIN ((uint64_t)1 << 10)
#define SCRYPT_N_MAX ((uint64_t)1 << 22)
#define SCRYPT_R_MAX 32u
#define SCRYPT_P_MAX 16u
#define SCRYPT_MEMORY_MAX ((uint64_t)1 << 30)
#define SCRYPT_WORK_MAX ((uint64_t)1 << 32)

bool scrypt_params_valid(const struct scrypt_params *k)
{
	if (k->n < SCRYPT_N_MIN || k->n > SCRYPT_N_MAX || (k->n & (k->n - 1)) != 0)
		return false;
	if (k->r < 1 || k->r > SCRYPT_R_MAX || k->p < 1 || k->p > SCRYPT_P_MAX)
		return false;
	/* Below 2^39 with the bounds above: nothing overflows. */
	uint64_t memory = 128 * k->n * k->r;
	return memory <= SCRYPT_MEMORY_MAX && memory * k->p <= SCRYPT_WORK_MAX;
}

static int parse(struct slot *s, const struct fields *f)
{
	struct password_slot *ps = &s->password;
	const char *kdf = field_text(f, "kdf");
	if (!kdf)
		return -EINVAL;
	if (strcmp(kdf, "scrypt") != 0)
		return err_set(f->err, EXIT_REPO_VERSION, -EPROTONOSUPPORT,
			"[%s] kdf \"%s\" is unknown to this version of coffer: a newer one is "
			"needed",
			f->section, kdf);
	uint64_t r, p;
	int rc = field_u64(f, "n", SCRYPT_N_MIN, SCRYPT_N_MAX, &ps->kdf.n);
	if (rc == 0)
		rc = field_u64(f, "r", 1, SCRYPT_R_MAX, &r);
	if (rc == 0)
		rc = field_u64(f, "p", 1, SCRYPT_P_MAX, &p);
	if (rc < 0)
		return rc;
	ps->kdf.r = (uint32_t)r;
	ps->kdf.p = (uint32_t)p;
	if (!scrypt_params_valid(&ps->kdf))
		return err_set(f->err, EXIT_REPO_DAMAGED, -EINVAL,
			"[%s] the scrypt parameters are out of bounds", f->section);
	rc = field_bytes(f, "salt", ps->salt, sizeof(ps->salt));
	if (rc == 0)
		rc = field_bytes(f, "wrapped", ps->wrapped, sizeof(ps->wrapped));
	return rc;
}

static void emit(const struct slot *s, FILE *to)
{
	const struct password_slot *ps = &s->password;
	(void)fprintf(to, "kdf = scrypt\n");
	emit_u64(to, "n", ps->kdf.n);
	emit_u64(to, "r", ps->kdf.r);
	emit_u64(to, "p", ps->kdf.p);
	emit_bytes(to, "salt", ps->salt, sizeof(ps->salt));
	emit_bytes(to, "wrapped", ps->wrapped, sizeof(ps->wrapped));
}

static void describe(const struct slot *s, char *out, size_t size)
{
	const struct scrypt_params *k = &s->password.kdf;
	(void)snprintf(out, size, "scrypt N=%" PRIu64 " r=%u p=%u", k->n, k->r, k->p);
}

const struct slot_type password_slot_type = {
	.name = "password",
	.parse = parse,
	.emit = emit,
	.describe = describe,
};

int password_slot_wrap(struct password_slot *ps, const struct scrypt_params *kdf,
	const char *password, size_t len, const struct secrets *s)
{
	if (!s->has_seed || !scrypt_params_valid(kdf))
		return -EINVAL;
	_cleanup_secret_ uint8_t *plain = secret_alloc(KEY_LEN + ED25519_LEN);
	_cleanup_secret_ uint8_t *kek = secret_alloc(KEY_LEN);
	if (!plain || !kek)
		return -ENOMEM;
	struct password_slot made = {.kdf = *kdf};
	int rc = random_bytes(made.salt, sizeof(made.salt));
	if (rc == 0)
		rc = scrypt_derive(
			password, len, made.salt, sizeof(made.salt), kdf->n, kdf->r, kdf->p, kek);
	if (rc < 0)
		return rc;
	memcpy(plain, s->dek, KEY_LEN);
	memcpy(plain + KEY_LEN, s->seed, ED25519_LEN);
	rc = keywrap(kek, plain, KEY_LEN + ED25519_LEN, made.wrapped);
	if (rc == 0)
		*ps = made;
	return rc;
}

int password_slot_unwrap(
	const struct password_slot *ps, const char *password, size_t len, struct secrets *ret)
{
	_cleanup_secret_ uint8_t *plain = secret_alloc(KEY_LEN + ED25519_LEN);
	_cleanup_secret_ uint8_t *kek = secret_alloc(KEY_LEN);
	if (!plain || !kek)
		return -ENOMEM;
	int rc = scrypt_derive(
		password, len, ps->salt, sizeof(ps->salt), ps->kdf.n, ps->kdf.r, ps->kdf.p, kek);
	if (rc == 0)
		rc = keyunwrap(kek, ps->wrapped, sizeof(ps->wrapped), plain);
	if (rc < 0)
		return rc;
	memcpy(ret->dek, plain, KEY_LEN);
	memcpy(ret->seed, plain + KEY_LEN, ED25519_LEN);
	ret->has_seed = true;
	return 0;
}
