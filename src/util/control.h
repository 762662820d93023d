/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_CONTROL_H
#define COFFER_UTIL_CONTROL_H

/* What programs ask a running mount: ioctl(2) on the mount's root directory. Numbers never change
 * their meaning. */
#include <sys/ioctl.h>

/* Everything that reached the daemon is durable, and a new epoch has begun. Call syncfs(2) before:
 * the kernel holds data too. */
#define CONTROL_CHECKPOINT _IO('C', 1)

#endif
