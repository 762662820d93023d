/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/node.h"

/*
 * File-system ids, umask (after unshare(CLONE_FS)) and capabilities are per thread in Linux. Going
 * from fsuid 0 to another drops the file-system capabilities from the effective set; they are
 * raised again, because the caller's permissions were checked by the kernel (default_permissions),
 * and his supplementary groups are not known here.
 */
static __thread bool own_umask;
static __thread mode_t current_umask = (mode_t)-1;

static bool raise_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	return syscall(SYS_capset, &head, data) == 0;
}

struct creds creds_enter(const struct caller *who)
{
	if (!own_umask && unshare(CLONE_FS) == 0)
		own_umask = true;
	if (who->umask != current_umask) {
		umask(who->umask);
		current_umask = who->umask;
	}
	struct creds c = {.switched = false};
	if (geteuid() == 0 && (who->uid != 0 || who->gid != 0)) {
		setfsgid(who->gid);
		setfsuid(who->uid);
		if (who->uid != 0)
			raise_capabilities();
		c.switched = true;
	}
	return c;
}

void creds_leave(struct creds c)
{
	if (c.switched) {
		setfsuid(0);
		setfsgid(0);
	}
}
