/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_REPO_INTERNAL_H
#define COFFER_KEYS_REPO_INTERNAL_H

/* The body of struct repo, shared by opening and making one. Members are owned. */
#include "keys/repo.h"

struct repo {
	struct store *store;
	struct config *config;
	struct keyring *keys; /* NULL until unlocked */
};

/* Derives the key ring from the secrets. */
int repo_fill_keys(struct repo *r, const struct secrets *s, struct err *err);

#endif
