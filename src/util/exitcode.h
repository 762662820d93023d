/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COFFER_UTIL_EXITCODE_H
#define COFFER_UTIL_EXITCODE_H

/*
 * The exit codes of every coffer command. They are a promise to scripts: a number never changes
 * its meaning. coffer(1) prints this table; a test compares the two.
 *   0 ok, 1 usage, 2-29 repository and mount, 30-49 keys, 50-59 verify/repair/seal,
 *   60-79 policy, retention, trash.
 */
enum exit_code {
	EXIT_OK = 0,             /* success */
	EXIT_USAGE = 1,          /* unknown command or option, missing or contradicting arguments */
	EXIT_INTERNAL = 2,       /* out of memory, a system call that should not fail */
	EXIT_REPO_MISSING = 3,   /* REPO, or the directory to make it in, does not exist */
	EXIT_NOT_REPO = 4,       /* REPO is no directory, or no coffer repository */
	EXIT_REPO_EXISTS = 5,    /* init: REPO already is a repository */
	EXIT_NOT_EMPTY = 6,      /* init: REPO is not empty */
	EXIT_REPO_ACCESS = 7,    /* no permission, read-only file system */
	EXIT_REPO_IN_USE = 8,    /* mounted or changed by another process or host */
	EXIT_REPO_VERSION = 9,   /* made by a newer coffer */
	EXIT_REPO_DAMAGED = 10,  /* coffer.ini or state/ damaged (checksum) */
	EXIT_REPO_TAMPERED = 11, /* coffer.ini intact by checksum, but not authentic */
	EXIT_BACKING_UNFIT = 12, /* the backing file system would lose data */
	EXIT_NO_SPACE = 13,      /* disk or quota full */
	EXIT_MOUNTPOINT = 14,    /* mount point missing, no directory, not empty, busy, nested */
	EXIT_FUSE = 15,          /* no /dev/fuse, no fusermount3, mount refused by the kernel */
	EXIT_NOT_MOUNTED = 16,   /* umount, sync: nothing of ours is mounted there */
	EXIT_BUSY = 17,          /* umount: the mount is in use */
	EXIT_IO = 18,            /* the backing store failed */
	EXIT_REFUSED = 19,       /* the user did not confirm */
	EXIT_FILE = 20,          /* FILE cannot be read or made, or is there already */
	EXIT_OTHER_REPO = 21,    /* header restore: FILE is another repository's, or outdated */
	EXIT_PASSWORD = 30,      /* no slot opens with this password */
	EXIT_NO_PASSWORD = 31,   /* password file or command unreadable, empty, no terminal */
	EXIT_SLOT = 32,          /* no such slot, or not of the needed type */
	EXIT_DAMAGE_FOUND = 50,  /* verify: damage found */
};

/* The code for a negative errno of the backing store: access, space, memory, else EXIT_IO. */
enum exit_code exit_code_of_errno(int r);

#endif
