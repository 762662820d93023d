/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_COMMAND_H
#define COFFER_CMD_COMMAND_H

/*
 * A command of coffer: one file in this folder defines one of these, and the table in src/coffer.c
 * lists it. Help, dispatch and option parsing all come from it.
 */
#include "util/error.h"

struct option_def {
	int id;               /* > 0, what args_next returns */
	char letter;          /* 0: none */
	const char *name;     /* without dashes; NULL ends the table */
	const char *argument; /* what --help calls it; NULL: takes none */
	const char *help;
};

struct command {
	const char *name;
	const char *summary;              /* one line, for the list of commands */
	const char *operands;             /* "REPO MOUNTPOINT" */
	const char *description;          /* a paragraph for --help, with newlines, or NULL */
	const struct option_def *options; /* --help is added to every command */
	/* argv[0] is the command's name. Prints its own errors. */
	enum exit_code (*run)(const struct command *cmd, int argc, char **argv);
};

extern const struct command break_lock_command;
extern const struct command header_command;
extern const struct command init_command;
extern const struct command mount_command;
extern const struct command
	mount_helper_command; /* not in the table: `coffer REPO MOUNTPOINT -o LIST` */
extern const struct command passwd_command;
extern const struct command status_command;
extern const struct command sync_command;
extern const struct command umount_command;

/* Prints a command's help on standard output. */
void command_help(const struct command *cmd);

/* Prints "coffer: text" on standard error, and returns err's code. */
enum exit_code command_fail(const struct err *err);
/* The same for a mistake in the command line: adds where to find help. */
enum exit_code command_misuse(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints "coffer: warning: line" for each line of text. */
void command_warn(const char *text);

#endif
