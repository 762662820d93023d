/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * What the backing file system and the device below it are, learnt without writing. Where something
 * is not known for certain, the answer is the careful one: waits that would not be needed cost
 * time, a missing wait costs data.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "store/store_priv.h"

/* How a kind of file system behaves. Numbers: linux/magic.h and the file systems' own sources. */
static const struct fs_kind {
	uint32_t magic;
	const char *name;
	bool network;
	/* Copies pages before writing them, locks them against changes meanwhile, or never writes
	 * them. */
	bool stable_pages;
	/* fsync of a file also keeps earlier changes of directories: one ordered log, or a server
	 * that keeps each. */
	bool ordered;
} kinds[] = {
	{0xef53, "ext4", false, false, true},
	{0x58465342, "xfs", false, false, true},
	{0x9123683e, "btrfs", false, true, false},
	{0x2fc12fc1, "zfs", false, true, true},
	{0x01021994, "tmpfs", false, true, true},
	{0x858458f6, "ramfs", false, true, true},
	{0xf2f52010, "f2fs", false, false, false},
	{0xca451a4e, "bcachefs", false, false, false},
	{0x3153464a, "jfs", false, false, false},
	{0x52654973, "reiserfs", false, false, false},
	{0x3434, "nilfs2", false, false, false},
	{0x794c7630, "overlay", false, false, false},
	{0xf15f, "ecryptfs", false, false, false},
	{0x4d44, "vfat", false, false, false},
	{0x2011bab0, "exfat", false, false, false},
	{0x5346544e, "ntfs", false, false, false},
	{0x7366746e, "ntfs3", false, false, false},
	{0x482b, "hfsplus", false, false, false},
	{0x24051905, "ubifs", false, false, false},
	{0x6969, "nfs", true, false, true},
	{0xff534d42, "cifs", true, false, false},
	{0xfe534d42, "smb2", true, false, false},
	{0x517b, "smb", true, false, false},
	{0x00c36400, "ceph", true, false, false},
	{0x65735546, "fuse", true, false, false},
	{0x01021997, "9p", true, false, false},
	{0x5346414f, "afs", true, false, false},
	{0x6b414653, "afs", true, false, false},
	{0x01161970, "gfs2", true, false, false},
	{0x7461636f, "ocfs2", true, false, false},
	{0x0bd00bd0, "lustre", true, false, false},
	{0x47504653, "gpfs", true, false, false},
	{0x19830326, "beegfs", true, false, false},
	{0x786f4256, "vboxsf", true, false, false},
	{0xbacbacbc, "vmhgfs", true, false, false},
};

void traits_from_magic(unsigned long magic, struct store_traits *t)
{
	/* f_type is signed on some architectures. */
	uint32_t wanted = (uint32_t)magic;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].magic != wanted)
			continue;
		snprintf(t->fs_name, sizeof(t->fs_name), "%s", kinds[i].name);
		t->network = kinds[i].network;
		t->stable_pages = kinds[i].stable_pages;
		t->needs_ancestor_sync = !kinds[i].ordered;
		return;
	}
	snprintf(t->fs_name, sizeof(t->fs_name), "0x%x", wanted);
	t->network = false;
	t->stable_pages = false;
	t->needs_ancestor_sync = true;
}

/* Reads the whole number that a sysfs file holds. */
static bool read_number(const char *path, long long *ret)
{
	_cleanup_close_ int fd = -1;
	char text[32], *end;
	long long v;
	ssize_t n;

	fd = RETRY(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return false;
	n = RETRY(read(fd, text, sizeof(text) - 1));
	if (n <= 0)
		return false;
	text[n] = 0;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno != 0 || end == text || (*end != '\n' && *end != 0))
		return false;
	*ret = v;
	return true;
}

/* An attribute of the device's queue; a partition has none of its own, but its disk, the parent
 * folder, does. */
static bool read_queue(
	const char *sysfs, unsigned major, unsigned minor, const char *name, long long *ret)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%u:%u/queue/%s", sysfs, major, minor, name);
	if (read_number(path, ret))
		return true;
	snprintf(path, sizeof(path), "%s/%u:%u/../queue/%s", sysfs, major, minor, name);
	return read_number(path, ret);
}

void traits_from_device(const char *sysfs, unsigned major, unsigned minor, struct store_traits *t)
{
	char path[512];
	long long v;

	if (read_queue(sysfs, major, minor, "physical_block_size", &v) && v > 0 && v <= UINT32_MAX)
		t->physical_block = (uint32_t)v;
	if (read_queue(sysfs, major, minor, "atomic_write_unit_max_bytes", &v) && v > 0 &&
		v <= UINT32_MAX)
		t->atomic_write = (uint32_t)v;
	/* A network file system has no such device: its number, if any, is another's. */
	if (read_queue(sysfs, major, minor, "stable_writes", &v) && v == 1)
		t->stable_pages = true;
	snprintf(path, sizeof(path), "%s/%u:%u/alignment_offset", sysfs, major, minor);
	if (read_number(path, &v) && v != 0)
		t->aligned = false;
	/* A partition's first sector, in units of 512 bytes whatever the disk has. */
	snprintf(path, sizeof(path), "%s/%u:%u/start", sysfs, major, minor);
	if (read_number(path, &v) && v % (STORE_BLOCK / 512) != 0)
		t->aligned = false;
}

void traits_warn(const struct store_traits *t, char *warn, size_t size)
{
	if (t->block_size < STORE_BLOCK)
		store_warn(warn, size,
			"the file system (%s) has blocks of %u bytes: a power cut can tear records "
			"of "
			"%u bytes, and they are lost; make one with blocks of 4096 bytes or more",
			t->fs_name, t->block_size, STORE_BLOCK);
	if (t->physical_block > 0 && t->physical_block < STORE_BLOCK &&
		t->atomic_write < STORE_BLOCK)
		store_warn(warn, size,
			"the disk says that it writes blocks of %u bytes: a power cut could leave "
			"a "
			"record of %u bytes half written, and lost (disks whose cache survives "
			"power "
			"cuts prevent that)",
			t->physical_block, STORE_BLOCK);
	if (!t->aligned)
		store_warn(warn, size,
			"the partition does not begin at a multiple of %u bytes: a power cut can "
			"damage "
			"records, and writing is slower",
			STORE_BLOCK);
	if (t->name_max < 255)
		store_warn(warn, size,
			"the file system (%s) allows names of %u bytes; 255 are needed", t->fs_name,
			t->name_max);
}

int store_probe_static(struct store *st, char *warn, size_t warn_size)
{
	struct store_traits t = {.aligned = true};
	struct statfs fs;
	struct stat sb;
	int r;

	if (warn && warn_size > 0)
		warn[0] = 0;
	r = st_fstatfs(st, &fs);
	if (r == 0)
		r = st_fstat(st, st->root, &sb);
	if (r < 0)
		return r;
	traits_from_magic((unsigned long)fs.f_type, &t);
	t.block_size = (uint32_t)fs.f_bsize;
	t.name_max = (uint32_t)fs.f_namelen;
	/* Major number 0: no block device (network, memory, btrfs). */
	if (major(sb.st_dev) != 0)
		traits_from_device("/sys/dev/block", major(sb.st_dev), minor(sb.st_dev), &t);
	st->traits = t;
	traits_warn(&t, warn, warn_size);
	return 0;
}
