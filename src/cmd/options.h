/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_CMD_OPTIONS_H
#define COFFER_CMD_OPTIONS_H

/*
 * Reading a command's command line with getopt_long(3), from its table of options. Options and
 * operands may be mixed; "--" ends the options. Abbreviated long options are refused: a later
 * option could make one ambiguous.
 */
#include <getopt.h>
#include <stdbool.h>
#include "cmd/command.h"
#include "keys/password.h"

#define ARGS_OPTIONS_MAX 16

struct args {
	const struct command *cmd;
	int argc;
	char **argv;
	struct option longs[ARGS_OPTIONS_MAX + 2];
	char shorts[2 * ARGS_OPTIONS_MAX + 4];
	enum exit_code code; /* why args_next returned -1: EXIT_OK after --help */
};

/* Only one struct args is in use at a time: getopt's state is global. argv is permuted. */
void args_begin(struct args *a, const struct command *cmd, int argc, char **argv);
/*
 * The next option's id, with its argument in *value; 0 after the last; -1 if the command is to end
 * with a->code (help was printed, or the mistake).
 */
int args_next(struct args *a, const char **value);
/*
 * After the last option: the operands, exactly count of them. -1 as above; else 0. The strings
 * belong to argv.
 */
int args_operands(struct args *a, int count, const char **operands);

/* Reads a non-negative number that fits an int, without sign or blanks. False if it is none. */
bool parse_number(const char *text, int *ret);

/* ---- the options of commands that need a password ---- */

/* Rows for a command's table. */
#define PASSWORD_OPTIONS(file_id, command_id)                                                      \
	{file_id, 0, "password-file", "FILE", "read the password from FILE (-: standard input)"},  \
	{                                                                                          \
		command_id, 0, "password-command", "COMMAND",                                      \
			"read the password from COMMAND's output"                                  \
	}

#endif
