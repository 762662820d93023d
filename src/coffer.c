/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <string.h>
#include "cmd/command.h"
#include "cmd/daemon.h"
#include "cmd/nearest.h"
#include "keys/config.h"

static const struct command *const commands[] = {
	&init_command,
	&mount_command,
	&umount_command,
	&status_command,
	&passwd_command,
	&header_command,
	&sync_command,
	&break_lock_command,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static void print_help(void)
{
	printf("usage: coffer COMMAND [OPTIONS] OPERANDS\n"
	       "       coffer REPO MOUNTPOINT [-o LIST]\n\n"
	       "Keeps backups encrypted and provably intact on storage that nobody has to "
	       "trust.\n\n"
	       "commands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-12s%s\n", commands[i]->name, commands[i]->summary);
	printf("  %-12s%s\n", "help", "Show this list, or the help of a command");
	printf("\noptions: --help, --version\nMore: coffer COMMAND --help, man coffer\n");
}

static enum exit_code unknown_command(const char *name)
{
	struct nearest n = {0};
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		nearest_offer(&n, name, commands[i]->name);
	nearest_offer(&n, name, "help");
	(void)fprintf(
		stderr, "coffer: unknown %s \"%s\"", name[0] == '-' ? "option" : "command", name);
	if (n.name)
		(void)fprintf(stderr, "; did you mean \"%s\"?", n.name);
	(void)fprintf(stderr, "\nTry: coffer --help\n");
	return EXIT_USAGE;
}

static enum exit_code run_help(int argc, char **argv)
{
	if (argc < 2) {
		print_help();
		return EXIT_OK;
	}
	const struct command *cmd = find_command(argv[1]);
	if (!cmd)
		return unknown_command(argv[1]);
	command_help(cmd);
	return EXIT_OK;
}

static enum exit_code dispatch(int argc, char **argv)
{
	if (argc < 2) {
		(void)fprintf(stderr, "coffer: no command given\nTry: coffer --help\n");
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("coffer %s (repository format %u)\n", PACKAGE_VERSION, FORMAT_VERSION);
		return EXIT_OK;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return run_help(argc - 1, argv + 1);
	/* `coffer REPO MOUNTPOINT -o LIST`, as mount.fuse3 calls its programs. No command's name
	 * has a slash. */
	if (strchr(name, '/'))
		return mount_helper_command.run(&mount_helper_command, argc, argv);
	const struct command *cmd = find_command(name);
	if (!cmd)
		return unknown_command(name);
	return cmd->run(cmd, argc - 1, argv + 1);
}

/* A program started without standard descriptors must not write its messages into a repository's
 * files. */
static int open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		/* The lowest free number is what open gives. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (open_standard_descriptors() < 0)
		return EXIT_INTERNAL;
	process_harden();
	enum exit_code code = dispatch(argc, argv);
	/* What was to be shown and could not be (a full disk) is a failure. */
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		(void)fprintf(stderr, "coffer: cannot write to standard output\n");
		code = EXIT_IO;
	}
	return (int)code;
}
