/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "cmd/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cmd/nearest.h"

/* What getopt reports for long options lies above all letters, so that optopt tells the two kinds
 * apart. */
#define LONG_BASE 1000
#define ID_HELP (INT_MAX - LONG_BASE)

void args_begin(struct args *a, const struct command *cmd, int argc, char **argv)
{
	*a = (struct args){.cmd = cmd, .argc = argc, .argv = argv};
	size_t longs = 0, shorts = 0;
	/* A leading ':' makes getopt tell a missing argument from an unknown option. */
	a->shorts[shorts++] = ':';
	a->shorts[shorts++] = 'h';
	a->longs[longs++] = (struct option){.name = "help", .val = LONG_BASE + ID_HELP};
	for (const struct option_def *o = cmd->options; o && o->name && longs <= ARGS_OPTIONS_MAX;
		o++) {
		a->longs[longs++] = (struct option){.name = o->name,
			.has_arg = o->argument ? required_argument : no_argument,
			.val = LONG_BASE + o->id};
		if (o->letter) {
			a->shorts[shorts++] = o->letter;
			if (o->argument)
				a->shorts[shorts++] = ':';
		}
	}
	opterr = 0;
	optind = 0; /* GNU: start anew */
}

static int misuse(struct args *a, enum exit_code code)
{
	a->code = code;
	return -1;
}

static int unknown_option(struct args *a, const char *given)
{
	char text[64];
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(given, "="), given);
	struct nearest n = {0};
	if (strncmp(text, "--", 2) == 0) {
		for (const struct option *o = a->longs; o->name; o++)
			nearest_offer(&n, text + 2, o->name);
	}
	if (n.name)
		return misuse(a, command_misuse(a->cmd, "unknown option %s; did you mean --%s?",
					 text, n.name));
	return misuse(a, command_misuse(a->cmd, "unknown option %s", text));
}

static int id_of_letter(const struct command *cmd, int letter)
{
	for (const struct option_def *o = cmd->options; o && o->name; o++) {
		if (o->letter == letter)
			return o->id;
	}
	return ID_HELP;
}

static const char *name_of_value(const struct args *a, int value)
{
	for (const struct option *o = a->longs; o->name; o++) {
		if (o->val == value)
			return o->name;
	}
	return "";
}

static int missing_argument(struct args *a)
{
	if (optopt >= LONG_BASE)
		return misuse(a, command_misuse(a->cmd, "option --%s needs an argument",
					 name_of_value(a, optopt)));
	return misuse(a, command_misuse(a->cmd, "option -%c needs an argument", optopt));
}

static int bad_option(struct args *a)
{
	char text[64];
	if (optopt >= LONG_BASE)
		return misuse(a, command_misuse(a->cmd, "option --%s takes no argument",
					 name_of_value(a, optopt)));
	if (optopt)
		(void)snprintf(text, sizeof(text), "-%c", optopt);
	else
		(void)snprintf(text, sizeof(text), "%s", a->argv[optind - 1]);
	return unknown_option(a, text);
}

/* getopt takes any beginning of a name for the whole. */
static bool is_abbreviated(const struct args *a, const char *name, const char **ret_text)
{
	/* With "--option ARGUMENT" the option itself stands one further to the left. */
	bool apart = optarg && optind > 1 && optarg == a->argv[optind - 1];
	const char *text = a->argv[apart ? optind - 2 : optind - 1];
	size_t len = strcspn(text, "=");
	*ret_text = text;
	return len != strlen(name) + 2 || strncmp(text + 2, name, len - 2) != 0;
}

int args_next(struct args *a, const char **value)
{
	int index = -1;
	const char *text;
	int got = getopt_long(a->argc, a->argv, a->shorts, a->longs, &index);
	if (got < 0)
		return 0;
	if (got == ':')
		return missing_argument(a);
	if (got == '?')
		return bad_option(a);
	if (index >= 0 && is_abbreviated(a, a->longs[index].name, &text))
		return unknown_option(a, text);
	int id = index >= 0 ? got - LONG_BASE : id_of_letter(a->cmd, got);
	if (id == ID_HELP) {
		command_help(a->cmd);
		return misuse(a, EXIT_OK);
	}
	*value = optarg;
	return id;
}

int args_operands(struct args *a, int count, const char **operands)
{
	int given = a->argc - optind;
	if (given < count)
		return misuse(a,
			command_misuse(a->cmd, "missing operand; it takes: %s", a->cmd->operands));
	if (given > count)
		return misuse(a, command_misuse(a->cmd, "unexpected operand \"%s\"; it takes: %s",
					 a->argv[optind + count], a->cmd->operands));
	for (int i = 0; i < count; i++) {
		if (!a->argv[optind + i][0])
			return misuse(a, command_misuse(a->cmd, "an operand is empty"));
		operands[i] = a->argv[optind + i];
	}
	return 0;
}

bool parse_number(const char *text, int *ret)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 9 || text[digits])
		return false;
	*ret = atoi(text);
	return true;
}
