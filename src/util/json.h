/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_JSON_H
#define COFFER_UTIL_JSON_H

/*
 * Building a JSON document for --json. Failures are remembered, so that callers check once, in
 * json_out_print. Keys keep their order. Inside an array the key is NULL. Text that is not UTF-8 (a
 * path) is written with its bytes >= 0x80 escaped as "\xHH" in the text.
 */
#include <stdbool.h>
#include <stdio.h>
#include "util/cleanup.h"

struct json_out;

/* A document whose top is an object. NULL without memory; the other functions accept that. */
struct json_out *json_out_new(void);
void json_out_free(struct json_out *j); /* NULL allowed */
DEFINE_CLEANUP(struct json_out *, json_out_free)

void json_out_text(struct json_out *j, const char *key, const char *value); /* NULL value: null */
void json_out_number(struct json_out *j, const char *key, long long value);
void json_out_bool(struct json_out *j, const char *key, bool value);
/* "2026-11-21T23:55:09Z" from seconds since 1970; null if value is not positive. */
void json_out_time(struct json_out *j, const char *key, long long value);
/* What follows goes into a new object or array, until json_out_end. */
void json_out_object(struct json_out *j, const char *key);
void json_out_array(struct json_out *j, const char *key);
void json_out_end(struct json_out *j);

/* Writes the document and a newline. -ENOMEM if building it failed, -EIO if writing did. */
int json_out_print(struct json_out *j, FILE *to);

#endif
