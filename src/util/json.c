/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "util/json.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAX 8

struct json_out {
	json_t *stack[DEPTH_MAX]; /* [0] is owned; the others are borrowed from it */
	unsigned depth;           /* index of the innermost open one */
	bool failed;
};

struct json_out *json_out_new(void)
{
	struct json_out *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	j->stack[0] = json_object();
	if (!j->stack[0])
		j->failed = true;
	return j;
}

void json_out_free(struct json_out *j)
{
	if (!j)
		return;
	json_decref(j->stack[0]);
	free(j);
}

/* Puts value, which it takes over, into the innermost open object or array. */
static void put(struct json_out *j, const char *key, json_t *value)
{
	json_t *top = j->failed ? NULL : j->stack[j->depth];
	int rc = key ? json_object_set_new(top, key, value) : json_array_append_new(top, value);
	/* Both release value when they fail. */
	if (rc < 0)
		j->failed = true;
}

static json_t *escaped(const char *text)
{
	_cleanup_free_ char *out = malloc(strlen(text) * 4 + 1);
	if (!out)
		return NULL;
	char *o = out;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x80)
			*o++ = (char)*p;
		else
			o += sprintf(o, "\\x%02x", *p);
	}
	*o = '\0';
	return json_string(out);
}

void json_out_text(struct json_out *j, const char *key, const char *value)
{
	if (!j)
		return;
	json_t *v = value ? json_string(value) : json_null();
	if (!v)
		v = escaped(value);
	put(j, key, v);
}

void json_out_number(struct json_out *j, const char *key, long long value)
{
	if (j)
		put(j, key, json_integer(value));
}

void json_out_bool(struct json_out *j, const char *key, bool value)
{
	if (j)
		put(j, key, json_boolean(value));
}

void json_out_time(struct json_out *j, const char *key, long long value)
{
	char text[64];
	struct tm tm;
	time_t t = (time_t)value;
	bool known = value > 0 && gmtime_r(&t, &tm) &&
		     strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
	json_out_text(j, key, known ? text : NULL);
}

static void open_one(struct json_out *j, const char *key, json_t *value)
{
	if (j->depth + 1 == DEPTH_MAX) {
		json_decref(value);
		j->failed = true;
		return;
	}
	put(j, key, value);
	j->stack[++j->depth] = value;
}

void json_out_object(struct json_out *j, const char *key)
{
	if (j)
		open_one(j, key, json_object());
}

void json_out_array(struct json_out *j, const char *key)
{
	if (j)
		open_one(j, key, json_array());
}

void json_out_end(struct json_out *j)
{
	if (j && j->depth > 0)
		j->depth--;
}

int json_out_print(struct json_out *j, FILE *to)
{
	if (!j || j->failed)
		return -ENOMEM;
	if (json_dumpf(j->stack[0], to, JSON_INDENT(2)) < 0 || fputc('\n', to) == EOF)
		return -EIO;
	return 0;
}
