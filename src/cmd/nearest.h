/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_NEAREST_H
#define COFFER_CMD_NEAREST_H

/* For "unknown X, did you mean Y?". Pure. */
struct nearest {
	const char *name; /* the best so far, or NULL */
	unsigned distance;
};

/*
 * Offers one known name; keeps it in n if fewer single-character edits (insert, delete, replace,
 * swap of neighbours) turn word into it than into the one before, and at most a third of its length
 * (2 for short ones); a beginning of at least three characters counts as one edit. Start with a
 * zeroed n. known must outlive n.
 */
void nearest_offer(struct nearest *n, const char *word, const char *known);

#endif
