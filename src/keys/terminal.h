/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_KEYS_TERMINAL_H
#define COFFER_KEYS_TERMINAL_H

/*
 * Asking on a terminal without echo. A signal that would end or stop the process gives the terminal
 * its echo back first. Only one question at a time in a process. Internal to keys/.
 */
struct terminal_echo;

/* Writes "prompt: " and switches the echo off until terminal_show. 0 or -errno. */
int terminal_hide(int tty, const char *prompt, struct terminal_echo **ret);
/* Switches it on again and ends the line. Frees. */
void terminal_show(struct terminal_echo *e);

#endif
