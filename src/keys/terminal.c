/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "keys/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Signals that end or stop a process and that a user or session sends. */
static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

struct terminal_echo {
	int tty;
	struct termios before;
	struct sigaction actions[SIGNAL_COUNT];
};

/*
 * What the handler needs. A signal handler has no cookie, hence the file-level state; set only
 * while a question is open, and complete before the handlers are installed.
 */
static struct terminal_echo *volatile asking;

/* Restores the terminal, then lets the signal do what it would have done. Only async-signal-safe
 * calls. */
static void on_signal(int number)
{
	int saved = errno;
	struct terminal_echo *e = asking;
	if (!e)
		return;
	struct termios hidden;
	int have_hidden = tcgetattr(e->tty, &hidden);
	(void)tcsetattr(e->tty, TCSANOW, &e->before);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		if (signals[i] != number)
			continue;
		struct sigaction mine;
		(void)sigaction(number, &e->actions[i], &mine);
		sigset_t set, old;
		(void)sigemptyset(&set);
		(void)sigaddset(&set, number);
		(void)raise(number);
		(void)sigprocmask(SIG_UNBLOCK, &set, &old); /* it takes effect here */
		/* Ignored, or stopped and continued: go on asking. */
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
		(void)sigaction(number, &mine, NULL);
	}
	if (have_hidden == 0)
		(void)tcsetattr(e->tty, TCSANOW, &hidden);
	errno = saved;
}

/* Best effort: a prompt that cannot be shown does not matter. */
static void show(int tty, const char *text)
{
	ssize_t n = write(tty, text, strlen(text));
	(void)n;
}

int terminal_hide(int tty, const char *prompt, struct terminal_echo **ret)
{
	struct terminal_echo *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->tty = tty;
	if (tcgetattr(tty, &e->before) < 0) {
		int r = -errno;
		free(e);
		return r;
	}
	struct termios hidden = e->before;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	asking = e;
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	(void)sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		(void)sigaction(signals[i], &act, &e->actions[i]);
	/* TCSAFLUSH: what was typed ahead was visible and is not part of the answer. */
	if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0) {
		int r = -errno;
		terminal_show(e);
		return r;
	}
	show(tty, prompt);
	show(tty, ": ");
	*ret = e;
	return 0;
}

void terminal_show(struct terminal_echo *e)
{
	(void)tcsetattr(e->tty, TCSADRAIN, &e->before);
	show(e->tty, "\n");
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		(void)sigaction(signals[i], &e->actions[i], NULL);
	asking = NULL;
	free(e);
}
