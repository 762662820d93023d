/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"

static bool holds_error(const struct err *err)
{
	return err->code != EXIT_OK;
}

/* The words for an errno. buf is only used where the C library has to make them up. */
static const char *errno_text(int e, char *buf, size_t size)
{
	/* Inside the tree this is no message queue's "Bad message". */
	if (e == EBADMSG)
		return "not authentic (damaged or changed)";
	return strerror_r(e, buf, size);
}

int err_set(struct err *err, enum exit_code code, int r, const char *fmt, ...)
{
	va_list ap;

	if (!err || holds_error(err))
		return r;
	err->code = code;
	va_start(ap, fmt);
	if (vsnprintf(err->text, sizeof(err->text), fmt, ap) < 0)
		err->text[0] = '\0';
	va_end(ap);
	return r;
}

int err_set_errno(struct err *err, enum exit_code code, int r, const char *fmt, ...)
{
	char words[128];
	va_list ap;
	size_t used;

	if (!err || holds_error(err))
		return r;
	err->code = code;
	va_start(ap, fmt);
	if (vsnprintf(err->text, sizeof(err->text), fmt, ap) < 0)
		err->text[0] = '\0';
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		errno_text(-r, words, sizeof(words)));
	return r;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	char prefix[sizeof(err->text)];
	size_t len, room;
	va_list ap;

	if (!err || !holds_error(err))
		return;
	va_start(ap, fmt);
	if (vsnprintf(prefix, sizeof(prefix), fmt, ap) < 0)
		prefix[0] = '\0';
	va_end(ap);

	/* Where both do not fit, the end of the old text is cut. */
	len = strlen(prefix);
	room = sizeof(err->text) - 1;
	if (len + 2 > room)
		len = room - 2;
	room -= len + 2;
	if (strlen(err->text) > room)
		err->text[room] = '\0';
	memmove(err->text + len + 2, err->text, strlen(err->text) + 1);
	memcpy(err->text, prefix, len);
	memcpy(err->text + len, ": ", 2);
}
