/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_STORE_LOCK_TEXT_H
#define COFFER_STORE_LOCK_TEXT_H

/*
 * The text in state/lock: "host=", "pid=", "since=" and "mountpoint=" lines. Host and mount point
 * are escaped (backslash, control characters and bytes above 126 as \xHH), so that no name can
 * forge a line. Pure functions; what is parsed may be anything.
 */
#include "store/lock.h"

/* Longest text: every byte of host and mount point escaped, and the numbers. */
#define LOCK_TEXT_MAX (4 * 4096 + 4 * 256 + 128)

/* Writes the text and a zero to out[LOCK_TEXT_MAX]; returns its length. */
size_t lock_text_format(const struct lock_holder *h, char *out);

/*
 * Reads it. True if it names a host; what else is missing or malformed is left 0 or "". False (and
 * *ret unchanged) if it does not: empty, or never completely written. Unknown lines are skipped;
 * the first line of a kind counts (behind it there may be the rest of an older, longer text).
 */
bool lock_text_parse(const char *text, size_t len, struct lock_holder *ret);

#endif
