/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_SCRATCH_H
#define COFFER_BLOB_SCRATCH_H

#include <stdint.h>
#include "blob/layout.h"

/* Records of one request to the store: what 1 MiB of a file touches at any offset, and some. */
#define STEP_RECORDS 260u

/*
 * The calling thread's buffer of STEP_RECORDS records (ciphertext only), page-aligned; freed when
 * the thread ends. NULL: no memory. One user at a time in a thread: no function keeps it across a
 * call that may want it too.
 */
uint8_t *scratch_get(void);

#endif
