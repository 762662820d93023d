/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

/* A line as a whole; longer ones are cut. Room for a path of PATH_MAX bytes, all of them quoted. */
#define LINE_MAX_LEN 20480

/* One log per process, like stderr itself. */
static struct {
	atomic_int most;      /* enum log_level; read without the lock, so that unwanted lines cost
				 nothing */
	pthread_mutex_t lock; /* guards the rest, and keeps lines whole */
	enum log_target target;
	int fd; /* of the file; -1 else */
} sink = {.most = LOG_LEVEL_INFO,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.target = LOG_TO_STDERR,
	.fd = -1};

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

int log_open(enum log_target target, const char *path, enum log_level most)
{
	_cleanup_close_ int fd = -1;

	if (target == LOG_TO_FILE) {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
		if (fd < 0)
			return -errno;
	}
	atomic_store(&sink.most, (int)most);
	pthread_mutex_lock(&sink.lock);
	if (sink.fd >= 0)
		close(sink.fd);
	if (sink.target == LOG_TO_SYSLOG)
		closelog();
	if (target == LOG_TO_SYSLOG)
		openlog("coffer", LOG_PID, LOG_DAEMON);
	sink.target = target;
	sink.fd = TAKE_FD(fd);
	pthread_mutex_unlock(&sink.lock);
	return 0;
}

/* Control characters would let one event look like several, or drive a terminal. */
static void make_one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

/* "2024-05-01T12:00:00+0200 " into buf; empty if the time cannot be told. */
static void put_timestamp(char *buf, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&now, &tm) || strftime(buf, size, "%Y-%m-%dT%H:%M:%S%z ", &tm) == 0)
		buf[0] = '\0';
}

/* A log that cannot be written has nowhere to complain: what is left of the line is dropped. */
static void write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void emit(enum log_level level, char *text)
{
	_cleanup_free_ char *line = NULL;
	char stamp[64] = "";
	int len;

	pthread_mutex_lock(&sink.lock);
	if (sink.target == LOG_TO_SYSLOG) {
		syslog(levels[level].priority, "%s: %s", levels[level].name, text);
		pthread_mutex_unlock(&sink.lock);
		return;
	}
	if (sink.target == LOG_TO_FILE)
		put_timestamp(stamp, sizeof(stamp));
	/* One write for one line: lines of several processes do not mix. */
	len = asprintf(&line, "%s%s: %s\n", stamp, levels[level].name, text);
	if (len > 0)
		write_all(sink.target == LOG_TO_FILE ? sink.fd : STDERR_FILENO, line, (size_t)len);
	else
		line = NULL;
	pthread_mutex_unlock(&sink.lock);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char text[LINE_MAX_LEN];
	va_list ap;
	int n;

	if ((int)level > atomic_load(&sink.most))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0) {
		make_one_line(text);
		emit(level, text);
	}
	errno = saved;
}

char *log_quote(char *buf, unsigned long size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	unsigned long n = 0;

	if (size == 0)
		return buf;
	for (const unsigned char *t = (const unsigned char *)text; *t; t++) {
		bool plain = *t >= ' ' && *t < 0x7f && *t != '\\';

		/* An escape is written whole or not at all. */
		if (n + (plain ? 1 : 4) >= size)
			break;
		if (plain) {
			buf[n++] = (char)*t;
			continue;
		}
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[*t >> 4];
		buf[n++] = hex[*t & 15];
	}
	buf[n] = '\0';
	return buf;
}
