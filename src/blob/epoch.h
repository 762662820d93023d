/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_EPOCH_H
#define COFFER_BLOB_EPOCH_H

/*
 * Epochs tell a crash from an attack. An epoch is the time between two checkpoints; state/epoch (small,
 * authenticated, durably replaced) holds the current number, whether a session is open, and the list of broken
 * epochs. An epoch is complete when its checkpoint became durable, broken when a crash cut it off.
 *
 * Checkpoint: (1) record 0 of each changed blob is written with the current epoch; (2) epochs_turn() makes later
 * record-0 writes carry the next number and returns when none with the old one is in flight; (3) syncfs; (4)
 * epochs_commit() makes the new number durable. A crash after (2) may leave record 0s of the new number
 * on disk: opening after an unclean end marks both as broken and goes on behind them.
 */
#include "crypto/keyring.h"
#include "store/store.h"

struct epochs;

/*
 * Loads state/epoch. Missing or not authentic: all epochs count as broken, *ret_lost is set and the caller warns (never an error:
 * losing state/ must not lose files). An open session means that the last one ended uncleanly: its epochs are
 * broken from now on (in memory; durable with epochs_begin).
 */
int epochs_load(struct store *st, const struct keyring *k, struct epochs **ret, bool *ret_lost, struct err *err);
void epochs_free(struct epochs *e);
DEFINE_CLEANUP(struct epochs *, epochs_free)

/* Creates state/epoch for a new repository (epoch 1, no session). state_fd: descriptor of state/. */
int epochs_create(struct store *st, const struct keyring *k);

/* Opens a session durably: before the mount writes anything else. Not for read-only stores. */
int epochs_begin(struct epochs *e);
/* After every blob was finished and syncfs: closes the session durably; the epoch is complete. */
int epochs_end(struct epochs *e);

uint64_t epochs_current(const struct epochs *e);
/* Record 0 writes are bracketed: returns the epoch number to write. */
uint64_t epochs_enter(struct epochs *e);
void epochs_leave(struct epochs *e, uint64_t epoch);
int epochs_turn(struct epochs *e);   /* step 2 */
int epochs_commit(struct epochs *e); /* step 4 */

/* True if everything written in this epoch is known to have reached the disk (never for the current one). */
bool epochs_complete(const struct epochs *e, uint64_t epoch);
/* True if an epoch later than this one is broken. */
bool epochs_broken_after(const struct epochs *e, uint64_t epoch);
/* True if a blob with this ctime may have been touched by a broken session. */
bool epochs_suspect(const struct epochs *e, const struct timespec *ctime);
bool epochs_last_unclean(const struct epochs *e);

/* For status: how many broken ranges, and when the last session ended cleanly (0: never or open). */
unsigned epochs_broken_count(const struct epochs *e);
long long epochs_clean_end(const struct epochs *e);

#endif
