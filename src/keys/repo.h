/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_REPO_H
#define COFFER_KEYS_REPO_H

/*
 * A repository on disk: making one, recognising one, opening it with its keys. The layout:
 * coffer.ini, coffer.ini.bak, state/, trash/, data/ (design: coffer-format(5)).
 */
#include "keys/config.h"
#include "crypto/keyring.h"
#include "store/store.h"

struct repo; /* an opened repository: store, configuration, and after repo_unlock the key ring */

/*
 * Tells without writing whether repo_create could make one at path: EXIT_REPO_EXISTS,
 * EXIT_NOT_EMPTY, EXIT_NOT_REPO (a file), EXIT_REPO_MISSING (no parent), EXIT_REPO_ACCESS. So a
 * password is only asked for if it makes sense.
 */
int repo_check_new(const char *path, struct err *err);

/*
 * Makes REPO (the directory may exist if empty but for lost+found; its parent must). Probes the
 * backing file system; warnings, one a line, to warn. Everything is durable on return, and
 * coffer.ini comes last, so that what a crash leaves is no repository; a failure half-way removes
 * what it made. *ret is unlocked; its fingerprint is in its configuration.
 */
int repo_create(const char *path, const char *password, size_t len, const char *label, char *warn,
	size_t warn_size, struct repo **ret, struct err *err);
/* Opens without keys. EXIT_REPO_MISSING, EXIT_NOT_REPO, EXIT_REPO_ACCESS, EXIT_REPO_DAMAGED,
 * EXIT_REPO_VERSION. */
int repo_open(const char *path, bool read_only, struct repo **ret, struct err *err);
void repo_close(struct repo *r); /* NULL allowed; wipes keys */
DEFINE_CLEANUP(struct repo *, repo_close)

/* Unwraps the DEK with a password and fills the key ring; the DEK itself is wiped. Errors of
 * config_unlock_password. */
int repo_unlock_password(struct repo *r, const char *password, size_t len, struct err *err);

struct store *repo_store(const struct repo *r);
struct config *repo_config(const struct repo *r);
const struct keyring *repo_keys(const struct repo *r); /* NULL before unlocking */

#endif
