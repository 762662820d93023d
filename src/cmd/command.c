/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OPTION_COLUMN 28

static void print_option(const struct option_def *o)
{
	char left[80];
	char letter[8] = "    ";
	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	(void)snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, o->argument ? "=" : "",
		o->argument ? o->argument : "");
	int width = (int)strlen(left);
	if (width < OPTION_COLUMN)
		printf("%-*s%s\n", OPTION_COLUMN, left, o->help);
	else
		printf("%s\n%*s%s\n", left, OPTION_COLUMN, "", o->help);
}

void command_help(const struct command *cmd)
{
	static const struct option_def help = {
		.letter = 'h', .name = "help", .help = "print this text"};
	printf("usage: coffer %s [OPTIONS] %s\n\n%s.\n", cmd->name, cmd->operands, cmd->summary);
	if (cmd->description)
		printf("\n%s", cmd->description);
	printf("\noptions:\n");
	for (const struct option_def *o = cmd->options; o && o->name; o++)
		print_option(o);
	print_option(&help);
	printf("\nMore: man coffer-%s\n", cmd->name);
}

enum exit_code command_fail(const struct err *err)
{
	(void)fprintf(stderr, "coffer: %s\n", err->text);
	return err->code;
}

enum exit_code command_misuse(const struct command *cmd, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(
		stderr, "coffer: %s: %s\nTry: coffer %s --help\n", cmd->name, text, cmd->name);
	return EXIT_USAGE;
}

void command_warn(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		if (n)
			(void)fprintf(stderr, "coffer: warning: %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}
