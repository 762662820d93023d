/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CRYPTO_CTXCACHE_H
#define COFFER_CRYPTO_CTXCACHE_H

/*
 * Private to crypto/: ready cipher contexts, kept per thread, so that consecutive records under one
 * key only set a nonce. Contexts are found by the number of the handle they belong to; numbers are
 * never used twice, so a handle that was freed and another made at its address cannot be mixed up.
 *
 * What stays behind: a context holds the key schedule of the last key it was used with, in
 * OpenSSL's memory (not locked, wiped when freed). Freeing a handle wipes its contexts on the
 * calling thread; those of other threads are overwritten by the keys that come next, or wiped when
 * the thread ends. There are CTX_KINDS * CTX_PER_KIND slots per thread, with one context each, two
 * for SIV.
 */
#include <stdint.h>
#include "crypto/ossl.h"

#define CTX_PER_KIND 4

enum ctx_kind { CTX_GCM_SEAL, CTX_GCM_OPEN, CTX_SIV_SEAL, CTX_SIV_OPEN, CTX_KINDS };

struct ctx_slot {
	uint64_t id; /* of the handle whose key ctx has; 0: none, or unknown after a failure */
	uint64_t last_use;    /* for the choice of a victim */
	EVP_CIPHER_CTX *ctx;  /* never NULL once handed out */
	EVP_CIPHER_CTX *work; /* a second one, where a kind needs it; NULL until ctxcache_work */
};

/* A new handle's number: never 0, never given twice. */
uint64_t ctxcache_new_id(void);

/*
 * The calling thread's slot for a handle: with slot->id == id it is keyed; else the caller keys
 * slot->ctx and then sets slot->id. After a failure the caller sets slot->id to 0. NULL: out of
 * memory.
 */
struct ctx_slot *ctxcache_get(enum ctx_kind kind, uint64_t id);

/* Makes slot->work if there is none. NULL: out of memory. */
EVP_CIPHER_CTX *ctxcache_work(struct ctx_slot *slot);

/* Wipes the calling thread's contexts of a handle that ends. */
void ctxcache_forget(uint64_t id);

#endif
