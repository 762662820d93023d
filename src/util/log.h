/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_LOG_H
#define COFFER_UTIL_LOG_H

/*
 * The daemon's log. Only the top layers (fuse/, node/, cmd/) and the damage reporter log;
 * everything below returns errors. One event, one line; control characters in arguments are escaped
 * by the caller with log_quote() where they come from outside.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

/*
 * Sets where lines go, and the least important level that is written. path: only for LOG_TO_FILE,
 * opened for appending, made with mode 0640. Returns 0 or -errno (then nothing changes). Before the
 * first call: standard error, LOG_LEVEL_INFO.
 */
int log_open(enum log_target target, const char *path, enum log_level most);

/*
 * Writes one line "LEVEL: text", in a file with the local time before it; thread-safe; never fails
 * visibly; keeps errno. Control characters become spaces, and what is over 20 KiB is cut.
 */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * Quotes text of any bytes for a log line or message: non-printing bytes and backslash as \xHH.
 * Returns buf, terminated (unless size is 0), cut to size bytes but never inside an escape.
 */
char *log_quote(char *buf, unsigned long size, const char *text);

#endif
