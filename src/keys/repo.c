/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/repo.h"

#include <stdlib.h>
#include "keys/repo_internal.h"
#include "util/secret.h"

void repo_close(struct repo *r)
{
	if (!r)
		return;
	keyring_free(r->keys);
	config_free(r->config);
	store_close(r->store);
	free(r);
}

int repo_open(const char *path, bool read_only, struct repo **ret, struct err *err)
{
	_cleanup_(repo_closep) struct repo *r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	int rc = store_open(path, read_only, &r->store, err);
	if (rc < 0)
		return rc;
	rc = config_load(r->store, &r->config, err);
	if (rc < 0)
		return rc;
	rc = store_probe_static(r->store, NULL, 0);
	if (rc < 0)
		return err_set_errno(err, exit_code_of_errno(rc), rc,
			"cannot find out what kind of file system holds %s", path);
	*ret = TAKE_PTR(r);
	return 0;
}

int repo_fill_keys(struct repo *r, const struct secrets *s, struct err *err)
{
	_cleanup_(keyring_freep) struct keyring *keys = NULL;
	int rc = keyring_new(&keys);
	if (rc == 0)
		rc = keyring_add(keys, config_generation(r->config), s->dek);
	if (rc < 0)
		return err_set_errno(err, EXIT_INTERNAL, rc, "deriving the keys failed");
	keyring_free(r->keys);
	r->keys = TAKE_PTR(keys);
	return 0;
}

int repo_unlock_password(struct repo *r, const char *password, size_t len, struct err *err)
{
	_cleanup_secret_ struct secrets *s = secret_alloc(sizeof(*s));
	if (!s)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	int rc = config_unlock_password(r->config, password, len, -1, s, NULL, err);
	if (rc == 0)
		rc = repo_fill_keys(r, s, err);
	return rc;
}

struct store *repo_store(const struct repo *r)
{
	return r->store;
}

struct config *repo_config(const struct repo *r)
{
	return r->config;
}

const struct keyring *repo_keys(const struct repo *r)
{
	return r->keys;
}
