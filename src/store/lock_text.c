/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <limits.h>
#include <string.h>
#include "store/lock_text.h"

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 127 && c != '\\';
}

/* Appends "key=" and the escaped value. out is known to be large enough (LOCK_TEXT_MAX). */
static char *put_line(char *out, const char *key, const char *value)
{
	out = stpcpy(out, key);
	for (const char *v = value; *v; v++) {
		unsigned char c = (unsigned char)*v;

		if (is_plain(c))
			*out++ = (char)c;
		else
			out += sprintf(out, "\\x%02x", c);
	}
	*out++ = '\n';
	return out;
}

size_t lock_text_format(const struct lock_holder *h, char *out)
{
	char *o = put_line(out, "host=", h->host);

	o += sprintf(o, "pid=%ld\nsince=%lld\n", h->pid, h->since);
	o = put_line(o, "mountpoint=", h->mountpoint);
	*o = 0;
	return (size_t)(o - out);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Undoes put_line's escaping. False if it is malformed, too long for out, or holds a zero. */
static bool unescape(const char *in, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		if (n + 1 >= size)
			return false;
		if (in[i] == '\\') {
			int high, low;

			if (len - i < 4 || in[i + 1] != 'x')
				return false;
			high = hex_digit(in[i + 2]);
			low = hex_digit(in[i + 3]);
			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			out[n] = (char)(high << 4 | low);
			i += 4;
		} else {
			if (!is_plain((unsigned char)in[i]))
				return false;
			out[n] = in[i++];
		}
	}
	out[n] = 0;
	return true;
}

/* A number of at most 18 digits, so that no overflow arises; 0 if it is none. */
static long long parse_number(const char *in, size_t len)
{
	long long v = 0;

	if (len == 0 || len > 18)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (in[i] < '0' || in[i] > '9')
			return 0;
		v = v * 10 + (in[i] - '0');
	}
	return v;
}

static bool has_key(
	const char *line, size_t len, const char *key, const char **ret, size_t *ret_len)
{
	size_t n = strlen(key);

	if (len < n || memcmp(line, key, n) != 0)
		return false;
	*ret = line + n;
	*ret_len = len - n;
	return true;
}

bool lock_text_parse(const char *text, size_t len, struct lock_holder *ret)
{
	struct lock_holder h = {.pid = 0};
	const char *end = text + len;

	while (text < end) {
		/* A line without its newline was not completely written. */
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		const char *v;
		size_t n;

		if (!eol)
			break;
		if (has_key(text, (size_t)(eol - text), "host=", &v, &n)) {
			if (!h.host[0] && !unescape(v, n, h.host, sizeof(h.host)))
				h.host[0] = 0;
		} else if (has_key(text, (size_t)(eol - text), "pid=", &v, &n)) {
			long long pid = parse_number(v, n);

			if (h.pid == 0 && pid <= INT_MAX)
				h.pid = (long)pid;
		} else if (has_key(text, (size_t)(eol - text), "since=", &v, &n)) {
			h.since = h.since ? h.since : parse_number(v, n);
		} else if (has_key(text, (size_t)(eol - text), "mountpoint=", &v, &n)) {
			if (!h.mountpoint[0] && !unescape(v, n, h.mountpoint, sizeof(h.mountpoint)))
				h.mountpoint[0] = 0;
		}
		text = eol + 1;
	}
	if (!h.host[0])
		return false;
	*ret = h;
	return true;
}
