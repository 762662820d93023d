/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/fields.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "util/b64.h"

#define LINE_TEXT B64_LEN(FIELD_LINE_BYTES)

static int bad(const struct fields *f, const char *key, const char *why)
{
	unsigned line = 0;
	(void)inidoc_get(f->doc, f->section, key, &line);
	return err_set(f->err, EXIT_REPO_DAMAGED, -EINVAL, "line %u: [%s] %s %s", line, f->section,
		key, why);
}

const char *field_text(const struct fields *f, const char *key)
{
	const char *value = inidoc_get(f->doc, f->section, key, NULL);
	if (!value)
		err_set(f->err, EXIT_REPO_DAMAGED, -EINVAL, "[%s] has no %s", f->section, key);
	return value;
}

int field_u64(const struct fields *f, const char *key, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *text = field_text(f, key);
	if (!text)
		return -EINVAL;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 19 || text[digits] || (text[0] == '0' && digits > 1))
		return bad(f, key, "is not a number");
	uint64_t value = strtoull(text, NULL, 10); /* 19 digits always fit */
	if (value < min || value > max)
		return bad(f, key, "is out of bounds");
	*ret = value;
	return 0;
}

static bool format_time(long long value, char out[32])
{
	struct tm tm;
	time_t t = (time_t)value;
	return gmtime_r(&t, &tm) && strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 20;
}

int field_time(const struct fields *f, const char *key, long long *ret)
{
	const char *text = field_text(f, key);
	if (!text)
		return -EINVAL;
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	long long value = end && !*end ? (long long)timegm(&tm) : -1;
	char again[32];
	/* strptime is lenient: only the one form that is written comes back unchanged. */
	if (value < 0 || !format_time(value, again) || strcmp(again, text) != 0)
		return bad(f, key, "is not a time");
	*ret = value;
	return 0;
}

/* Length of the valid UTF-8 sequence at p that encodes no control character, or 0. */
static size_t utf8_printable(const unsigned char *p)
{
	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		bool c1 = p[0] == 0xc2 && p[1] < 0xa0;
		return (p[1] & 0xc0) == 0x80 && !c1 ? 2 : 0;
	}
	if ((p[0] & 0xf0) == 0xe0) {
		bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
		bool tails = (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80;
		return tails && !surrogate && !overlong ? 3 : 0;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		bool range = (p[0] != 0xf0 || p[1] >= 0x90) && (p[0] != 0xf4 || p[1] < 0x90);
		bool tails =
			(p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80;
		return tails && range ? 4 : 0;
	}
	return 0;
}

bool label_valid(const char *text, size_t max)
{
	size_t len = strlen(text);
	if (len > max || (len && (text[0] == ' ' || text[len - 1] == ' ')))
		return false;
	const unsigned char *p = (const unsigned char *)text;
	while (*p) {
		size_t n = utf8_printable(p);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

/* INI cannot hold " ;" in a value, so ';' is written as %3B, and '%' as %25. Nothing else is
 * escaped. */
int field_label(const struct fields *f, const char *key, char *out, size_t size)
{
	const char *text = field_text(f, key);
	if (!text)
		return -EINVAL;
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		char c = *p;
		if (c == '%') {
			bool semicolon = strncmp(p, "%3B", 3) == 0;
			if (!semicolon && strncmp(p, "%25", 3) != 0)
				return bad(f, key, "is not a label");
			c = semicolon ? ';' : '%';
			p += 2;
		}
		if (n + 1 >= size)
			return bad(f, key, "is too long");
		out[n++] = c;
	}
	out[n] = '\0';
	return label_valid(out, size - 1) ? 0 : bad(f, key, "is not a label");
}

/* The key under which piece i (from 1) of a value of len bytes stands. */
static void piece_key(const char *key, size_t len, unsigned i, char out[INI_NAME_LEN + 1])
{
	if (len <= FIELD_LINE_BYTES)
		(void)snprintf(out, INI_NAME_LEN + 1, "%s", key);
	else
		(void)snprintf(out, INI_NAME_LEN + 1, "%s%u", key, i);
}

int field_bytes(const struct fields *f, const char *key, uint8_t *out, size_t len)
{
	uint8_t piece[FIELD_LINE_BYTES + 2];
	unsigned i = 1;
	for (size_t done = 0; done < len; i++) {
		size_t want = len - done < FIELD_LINE_BYTES ? len - done : FIELD_LINE_BYTES;
		char name[INI_NAME_LEN + 1];
		piece_key(key, len, i, name);
		const char *text = field_text(f, name);
		if (!text)
			return -EINVAL;
		size_t text_len = strlen(text);
		if (text_len != B64_LEN(want) ||
			b64url_decode(text, text_len, piece) != (ssize_t)want)
			return bad(f, name, "is not of the right length, or not base64url");
		memcpy(out + done, piece, want);
		done += want;
	}
	return 0;
}

void emit_u64(FILE *to, const char *key, uint64_t value)
{
	(void)fprintf(to, "%s = %" PRIu64 "\n", key, value);
}

void emit_time(FILE *to, const char *key, long long value)
{
	char text[32] = "";
	(void)format_time(value, text);
	(void)fprintf(to, "%s = %s\n", key, text);
}

void emit_label(FILE *to, const char *key, const char *label)
{
	(void)fprintf(to, "%s = ", key);
	for (const char *p = label; *p; p++) {
		if (*p == ';' || *p == '%')
			(void)fprintf(to, "%%%02X", (unsigned char)*p);
		else
			(void)fputc(*p, to);
	}
	(void)fputc('\n', to);
}

void emit_bytes(FILE *to, const char *key, const uint8_t *bytes, size_t len)
{
	unsigned i = 1;
	for (size_t done = 0; done < len; i++) {
		size_t n = len - done < FIELD_LINE_BYTES ? len - done : FIELD_LINE_BYTES;
		char name[INI_NAME_LEN + 1], text[LINE_TEXT + 1];
		piece_key(key, len, i, name);
		b64url_encode(bytes + done, n, text);
		(void)fprintf(to, "%s = %s\n", name, text);
		done += n;
	}
}
