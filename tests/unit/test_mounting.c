/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

/* Mount options, the table of mounts, and paths of mount points: all without mounting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cmd/mount_options.h"
#include "cmd/mountinfo.h"
#include "cmd/mountpoint.h"
#include "util/cleanup.h"

static void gives(const char *list, const char *kernel)
{
	struct mount_options o = {0};
	struct err err = ERR_INIT;
	char out[256];
	if (mount_options_parse(&o, list, &err) < 0)
		fail_msg("%s: %s", list, err.text);
	assert_int_equal(mount_options_kernel(&o, out, sizeof(out)), 0);
	assert_string_equal(out, kernel);
	mount_options_clear(&o);
}

static void refused(const char *list, const char *what)
{
	struct mount_options o = {0};
	struct err err = ERR_INIT;
	assert_int_equal(mount_options_parse(&o, list, &err), -EINVAL);
	assert_int_equal(err.code, EXIT_USAGE);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\"", err.text, what);
	mount_options_clear(&o);
}

static void test_options(void **state)
{
	(void)state;
	gives("", "nosuid,nodev");
	gives("rw", "nosuid,nodev");
	gives("ro", "ro,nosuid,nodev");
	gives("ro,rw", "nosuid,nodev");
	gives("suid,dev", "suid,dev");
	gives("suid,nosuid,dev,nodev", "nosuid,nodev");
	gives("noexec,sync,dirsync,noatime,nodiratime,allow_other,default_permissions",
		"nosuid,nodev,noexec,sync,dirsync,noatime,nodiratime,allow_other");
	gives("noexec,exec,sync,async,noatime,atime", "nosuid,nodev");
	gives("allow_root", "nosuid,nodev,allow_root");
	gives("allow_root,allow_other", "nosuid,nodev,allow_other");
	gives(",,ro,,", "ro,nosuid,nodev");
}

/* What stands in fstab lines and what mount(8) hands on. */
static void test_generic(void **state)
{
	(void)state;
	gives("defaults,nofail,noauto,auto,user,users,owner,group,_netdev,comment=some text,"
	      "x-systemd.automount,x-systemd.device-timeout=10,X-mount.mkdir,x-,relatime,"
	      "strictatime,"
	      "lazytime,user=somebody,silent",
		"nosuid,nodev");
}

static void test_refused(void **state)
{
	(void)state;
	refused("bogus", "unknown mount option \"bogus\"");
	refused("allow_othr", "did you mean \"allow_other\"?");
	refused("passwordfile=x", "did you mean \"password_file\"?");
	refused("ro,nonempt", "did you mean \"nonempty\"?");
	refused("ro=1", "takes no value");
	refused("password_file", "needs a value");
	refused("password_command=", "needs a value");
	refused("uid=1000", "chown");
	refused("gid=1000", "chown");
	refused("umask=022", "chmod");
	refused("remount,ro", "unmount");
	refused("x", "unknown");
}

static void test_values(void **state)
{
	(void)state;
	struct mount_options o = {0};
	struct err err = ERR_INIT;
	assert_int_equal(
		mount_options_parse(
			&o, "password_file=/a/b,nonempty,password_command=x y=\\,\\\\z\\q", &err),
		0);
	assert_string_equal(o.password_file, "/a/b");
	assert_string_equal(o.password_command, "x y=,\\z\\q");
	assert_true(o.nonempty);
	assert_int_equal(mount_options_parse(&o, "password_file=c", &err), 0);
	assert_string_equal(o.password_file, "c");
	mount_options_clear(&o);
	assert_null(o.password_file);
	char tiny[8];
	assert_int_equal(mount_options_kernel(&o, tiny, sizeof(tiny)), -ENAMETOOLONG);
}

static const char table[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"30 22 0:40 / /mnt/a rw,nosuid,nodev,relatime shared:5 master:2 - fuse.coffer /srv/repo "
	"rw,user_id=0\n"
	"31 22 0:41 / /mnt/with\\040blank\\134x ro,nosuid - fuse.coffer /srv/ro\\011repo ro\n"
	"32 22 0:42 / /mnt/other rw - fuse.sshfs host:/ rw\n"
	"33 30 0:43 / /mnt/a rw - fuse.coffer /srv/upper rw\n"
	"34 22 0:44 / /mnt/short rw\n"
	"garbage\n"
	"\n"
	"35 22 0:45 / /mnt/-/x rw tag - fuse.coffer - rw,errors=ro\n";

static void test_mountinfo(void **state)
{
	(void)state;
	struct mount_list l;
	assert_int_equal(mount_list_parse(table, &l), 0);
	assert_int_equal(l.count, 4);
	assert_string_equal(l.entries[0].mountpoint, "/mnt/a");
	assert_string_equal(l.entries[0].source, "/srv/repo");
	assert_false(l.entries[0].read_only);
	assert_string_equal(l.entries[1].mountpoint, "/mnt/with blank\\x");
	assert_string_equal(l.entries[1].source, "/srv/ro\trepo");
	assert_true(l.entries[1].read_only);
	assert_string_equal(l.entries[3].mountpoint, "/mnt/-/x");
	assert_string_equal(l.entries[3].source, "-");
	assert_false(l.entries[3].read_only);
	mount_list_clear(&l);
	assert_int_equal(l.count, 0);
	assert_int_equal(mount_list_parse("", &l), 0);
	assert_int_equal(l.count, 0);
}

static void test_find(void **state)
{
	(void)state;
	char here[4096];
	assert_non_null(getcwd(here, sizeof(here)));
	_cleanup_free_ char *text = NULL;
	assert_true(asprintf(&text,
			    "1 1 0:1 / %s/coffer-no-such rw - fuse.coffer /lower rw\n"
			    "2 1 0:1 / %s/coffer-no-such rw - fuse.coffer /upper rw\n",
			    here, here) > 0);
	struct mount_list l;
	assert_int_equal(mount_list_parse(text, &l), 0);
	assert_int_equal(l.count, 2);
	/* The uppermost, by any spelling, though the path does not answer. */
	static const char *const spellings[] = {
		"coffer-no-such", "./coffer-no-such", "coffer-no-such//", ".//./coffer-no-such/"};
	for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
		const struct mount_entry *e = mount_list_find(&l, spellings[i]);
		assert_non_null(e);
		assert_string_equal(e->source, "/upper");
	}
	assert_null(mount_list_find(&l, "coffer-no"));
	assert_null(mount_list_find(&l, "coffer-no-such/x"));
	assert_null(mount_list_find(&l, "."));
	assert_null(mount_list_find(&l, ""));
	mount_list_clear(&l);
}

static void test_absolute(void **state)
{
	(void)state;
	static const struct {
		const char *path, *want;
	} cases[] = {{"/", "/"}, {"//", "/"}, {"/x", "/x"}, {"/x/", "/x"}, {"/proc/..", "/"},
		{"/proc/.", "/proc"}, {"/proc/../x//", "/x"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_free_ char *got = mountpoint_absolute(cases[i].path);
		assert_non_null(got);
		assert_string_equal(got, cases[i].want);
	}
	assert_null(mountpoint_absolute("/no-such-directory/x"));
}

static void nests(const char *mountpoint, const char *repository, bool want)
{
	struct err err = ERR_INIT;
	int rc = mountpoint_check_nesting(mountpoint, repository, &err);
	assert_int_equal(rc < 0, want);
	assert_int_equal(err.code, want ? EXIT_MOUNTPOINT : EXIT_OK);
}

static void test_nesting(void **state)
{
	(void)state;
	nests("/a/b", "/a/c", false);
	nests("/a/b", "/a/bc", false);
	nests("/a/bc", "/a/b", false);
	nests("/a/b", "/a/b", true);
	nests("/a/b/c", "/a/b", true);
	nests("/a/b", "/a/b/c", true);
	nests("/", "/a", true);
	nests("/a", "/", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_nesting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
