/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_BLOB_EPOCH_H
#define COFFER_BLOB_EPOCH_H

/*
 * Epochs tell a crash from an attack. An epoch is the time between two checkpoints; state/epoch
 * (small, authenticated, durably replaced; epoch_file.h has its bytes) holds the current number,
 * whether a session is open, and the list of broken epochs. An epoch is complete when its
 * checkpoint became durable, broken when a crash cut it off.
 *
 * Checkpoint: (1) record 0 of each changed blob is written with the current epoch; (2)
 * epochs_turn() makes later writes carry the next number and returns when none with the old one is
 * in flight; (3) syncfs; (4) epochs_commit() makes the new number durable. A crash after (2) may
 * leave record 0s of the new number on disk: opening after an unclean end marks both as broken and
 * goes on behind them. It goes on at the time in microseconds if that is larger: so numbers that a
 * lost or put-back state/epoch does not know of are not given out a second time.
 *
 * Thread-safe. The lock inside is a leaf, and never held across I/O (commits have one of their
 * own).
 */
#include "crypto/keyring.h"
#include "store/store.h"

struct epochs;

/*
 * Loads state/epoch. Missing or not authentic: all epochs count as broken, *ret_lost is set and the
 * caller warns (never an error: losing state/ must not lose files). An open session means that the
 * last one ended uncleanly: its epochs are broken from now on (in memory; durable with
 * epochs_begin). st and k are borrowed. Writes nothing. Errors: EXIT_REPO_VERSION,
 * EXIT_REPO_ACCESS, EXIT_INTERNAL, EXIT_IO.
 */
int epochs_load(struct store *st, const struct keyring *k, struct epochs **ret, bool *ret_lost,
	struct err *err);
void epochs_free(struct epochs *e);
DEFINE_CLEANUP(struct epochs *, epochs_free)

/* Creates state/epoch for a new repository (epoch 1, no session), and state/ if it is missing. */
int epochs_create(struct store *st, const struct keyring *k);

/* What state/epoch says in clear, NOT authenticated: for messages only. */
struct epochs_clear {
	bool open;           /* a session is open, or ended uncleanly */
	uint64_t current;    /* epoch */
	long long clean_end; /* seconds since 1970 when the last clean one ended; 0: none */
	unsigned broken;     /* how many ranges of broken epochs */
};
/* -ENOENT: missing. -EBADMSG: no such file. -EPROTONOSUPPORT: of another version. */
int epochs_peek(struct store *st, struct epochs_clear *ret);

/*
 * Opens a session durably: before the mount writes anything else, and after a syncfs if the last
 * one ended uncleanly. Not for read-only stores.
 */
int epochs_begin(struct epochs *e);
/*
 * After every blob was finished and syncfs: closes the session durably; the epoch is complete. A
 * failure leaves the session open: the next mount takes it for an unclean end.
 */
int epochs_end(struct epochs *e);

uint64_t epochs_current(const struct epochs *e);
/* The number in state/epoch: what was written in an epoch below it is on the disk. It is the
 * current one or, between epochs_turn and a successful epochs_commit, the one before. */
uint64_t epochs_durable(const struct epochs *e);
/*
 * Everything that changes a blob is bracketed; returns the epoch it counts to, which is the number
 * to put into a record 0. epochs_leave only after the last byte was handed to the store.
 */
uint64_t epochs_enter(struct epochs *e);
void epochs_leave(struct epochs *e, uint64_t epoch);
/*
 * Step 2. Waits for the brackets that are open, so the caller must be in none. If the commit after
 * the last turn failed, the number stays, and the next commit makes up for both. Returns 0.
 */
int epochs_turn(struct epochs *e);
/* Step 4, after a syncfs that succeeded. On failure the old epoch stays incomplete. */
int epochs_commit(struct epochs *e);
/*
 * A record 0 that had to be written could not be: from now until the next commit, and for ever of
 * these epochs, blobs go by the rules for a crash instead of being taken for damaged.
 */
void epochs_spoil(struct epochs *e);

/* True if everything written in this epoch is known to have reached the disk (never for the current
 * one), and all record 0s were written at its end. */
bool epochs_complete(const struct epochs *e, uint64_t epoch);
/* True if a crash cut this epoch off, or may have (later than the current one, after an unclean
 * end; after a clean one only a put-back state/epoch explains that, and it does not count as
 * broken). False for the current one and, until its commit, for the one before. */
bool epochs_broken(const struct epochs *e, uint64_t epoch);
/* True if an epoch later than this one is broken. */
bool epochs_broken_after(const struct epochs *e, uint64_t epoch);
/*
 * Of an epoch that is broken, or has broken ones after it: true if all of these were cut off by the
 * end of a daemon only, not of the machine. Then everything that was written is there; what is
 * missing inside a file never came. (The caller of epochs_begin does a syncfs before it.)
 */
bool epochs_soft(const struct epochs *e, uint64_t epoch);
/* True if a blob with this ctime may have been touched by a broken session. Clocks may differ by a
 * minute. */
bool epochs_suspect(const struct epochs *e, const struct timespec *ctime);
/* True if the session before this one did not end cleanly, or state/epoch was lost. */
bool epochs_last_unclean(const struct epochs *e);

/* For status: how many broken ranges, and when the last session ended cleanly (0: never or open).
 */
unsigned epochs_broken_count(const struct epochs *e);
long long epochs_clean_end(const struct epochs *e);

#endif
