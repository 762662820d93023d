/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_FIELDS_H
#define COFFER_KEYS_FIELDS_H

/*
 * Typed values of coffer.ini: one function in each direction. Readers bound everything, and name
 * section, key and line in err (EXIT_REPO_DAMAGED); a missing key is an error. Internal to keys/.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "conf/ini.h"

/* Bytes of binary in one line; longer values go on in name2, name3, ... */
#define FIELD_LINE_BYTES 72u

/* Where to read. Members are borrowed. */
struct fields {
	struct inidoc *doc;
	const char *section;
	struct err *err;
};

/* The text as it stands. NULL (and err) if the key is missing. */
const char *field_text(const struct fields *f, const char *key);
/* Decimal digits without sign, blanks or leading zeros, min <= value <= max. */
int field_u64(const struct fields *f, const char *key, uint64_t min, uint64_t max, uint64_t *ret);
/* "2026-11-21T23:55:09Z", 1970 to 9999, to seconds since 1970. */
int field_time(const struct fields *f, const char *key, long long *ret);
/* A label; out has size bytes, always enough for size - 1 decoded ones. */
int field_label(const struct fields *f, const char *key, char *out, size_t size);
/* Exactly len bytes of base64url, over as many lines (key1, key2, ...) as emit_bytes makes of them.
 */
int field_bytes(const struct fields *f, const char *key, uint8_t *out, size_t len);

/* Writers for one line each. Failures show in the stream's error flag. */
void emit_u64(FILE *to, const char *key, uint64_t value);
void emit_time(FILE *to, const char *key, long long value);
void emit_label(FILE *to, const char *key, const char *label);
void emit_bytes(FILE *to, const char *key, const uint8_t *bytes, size_t len);

/*
 * True for text that labels may hold: at most max bytes of valid UTF-8, no control characters
 * (ASCII or C1), no blank at either end.
 */
bool label_valid(const char *text, size_t max);

#endif
