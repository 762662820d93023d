/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes on a real file. Skipped where TMPDIR's file system has no user attributes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "hex.h"
#include "name/xattr.h"
#include "name/xattr_format.h"
#include "ring.h"
#include "scratch.h"

#define LAST_SHORT 170 /* 7 + B64_LEN(170 + 16) = 255 */

struct fixture {
	char *path;
	struct store *st;
	struct keyring *k;
	int fd;
	struct xattr_at by_fd, by_name;
};

static bool unsupported;

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int root;

	f->path = scratch_make();
	f->k = ring_make(5);
	if (!f->path || !f->k || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
	root = store_root(f->st);
	f->fd = st_openat(f->st, root, "file", O_RDWR | O_CREAT, 0600);
	unsupported = fsetxattr(f->fd, "user.x", "", 0, 0) < 0;
	if (!unsupported && fremovexattr(f->fd, "user.x") < 0)
		return -1;
	f->by_fd = (struct xattr_at){.st = f->st, .fd = f->fd, .dirfd = -1};
	f->by_name = (struct xattr_at){.st = f->st, .fd = -1, .dirfd = root, .entry = "file"};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	store_close(f->st);
	keyring_free(f->k);
	scratch_remove(f->path);
	free(f);
	return 0;
}

#define NEEDS_XATTRS                                                                               \
	do {                                                                                       \
		if (unsupported) {                                                                 \
			print_message("no user attributes on %s\n", f->path);                      \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* "user." and len characters. */
static char *long_name(char *name, char c, size_t len)
{
	strcpy(name, "user.");
	memset(name + 5, c, len);
	name[5 + len] = 0;
	return name;
}

static void values_of_every_kind(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 100, 1000, 2000};
	char value[2000], got[2001], raw[4096];
	ssize_t n;

	NEEDS_XATTRS;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct xattr_at *at = i % 2 ? &f->by_fd : &f->by_name;
		size_t len = sizes[i];
		int r = xattr_set(at, f->k, "user.a name", value, len, 0);

		/* Some file systems have room for one small block of attributes only. */
		if (r == -ENOSPC && len >= 900)
			break;
		assert_int_equal(r, 0);
		assert_int_equal(xattr_get(at, f->k, "user.a name", NULL, 0), len);
		assert_int_equal(xattr_get(&f->by_fd, f->k, "user.a name", got, sizeof(got)), len);
		assert_memory_equal(got, value, len);
		if (len > 0)
			assert_int_equal(xattr_get(at, f->k, "user.a name", got, len), len);
		if (len > 1)
			assert_int_equal(xattr_get(at, f->k, "user.a name", got, len - 1), -ERANGE);
	}
	/* On the disk stands neither the name nor the value. */
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.a name", "some text", 9, 0), 0);
	n = flistxattr(f->fd, raw, sizeof(raw));
	assert_true(n > 0);
	assert_null(memmem(raw, (size_t)n, "a name", 6));
	assert_int_equal(strncmp(raw, "user.c.", 7), 0);
	n = fgetxattr(f->fd, raw, got, sizeof(got));
	assert_int_equal(n, 9 + XATTR_VALUE_OVERHEAD);
	assert_null(memmem(got, (size_t)n, "some", 4));
	assert_int_equal(xattr_get(&f->by_fd, f->k, "user.none", got, 10), -ENODATA);
	assert_int_equal(xattr_get(&f->by_fd, f->k, "user.none", NULL, 0), -ENODATA);
}

static void names_of_every_length(void **state)
{
	struct fixture *f = *state;
	char name[300], got[16], list[512], raw[300];

	NEEDS_XATTRS;
	for (size_t len = 1; len <= XATTR_PLAIN_MAX; len++) {
		ssize_t n;

		long_name(name, 'x', len);
		assert_int_equal(xattr_set(&f->by_fd, f->k, name, "value", 5, XATTR_CREATE), 0);
		assert_int_equal(xattr_set(&f->by_fd, f->k, name, "v", 1, XATTR_CREATE), -EEXIST);
		n = flistxattr(f->fd, raw, sizeof(raw));
		assert_true(n > 0 && n <= 256);
		assert_int_equal(strncmp(raw, len > LAST_SHORT ? "user.l." : "user.c.", 7), 0);
		assert_int_equal(xattr_get(&f->by_fd, f->k, name, NULL, 0), 5);
		assert_int_equal(xattr_get(&f->by_name, f->k, name, got, 5), 5);
		assert_memory_equal(got, "value", 5);
		assert_int_equal(xattr_get(&f->by_fd, f->k, name, got, 4), -ERANGE);
		assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), len + 6);
		assert_string_equal(list, name);
		assert_int_equal(xattr_list(&f->by_name, f->k, NULL, 0), len + 6);
		assert_int_equal(xattr_list(&f->by_fd, f->k, list, len + 5), -ERANGE);
		assert_int_equal(xattr_list(&f->by_fd, f->k, list, len + 6), len + 6);
		assert_int_equal(xattr_remove(&f->by_fd, f->k, name), 0);
		assert_int_equal(xattr_remove(&f->by_fd, f->k, name), -ENODATA);
		assert_int_equal(xattr_set(&f->by_fd, f->k, name, "v", 1, XATTR_REPLACE), -ENODATA);
		assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 0);
	}
	long_name(name, 'x', XATTR_PLAIN_MAX + 1);
	assert_int_equal(xattr_set(&f->by_fd, f->k, name, "v", 1, 0), -ERANGE);
	assert_int_equal(xattr_get(&f->by_fd, f->k, name, NULL, 0), -ERANGE);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.", "v", 1, 0), -EINVAL);
}

static void several_at_once(void **state)
{
	struct fixture *f = *state;
	char name[300], got[16], list[8192];
	unsigned seen = 0;
	ssize_t n;

	NEEDS_XATTRS;
	/* More than the list's first buffer; some under a digest. */
	for (size_t i = 0; i < 12; i++) {
		long_name(name, (char)('a' + i), 60 + 15 * i);
		if (xattr_set(&f->by_fd, f->k, name, &i, 1, 0) == -ENOSPC) {
			print_message("%s has room for few attributes only\n", f->path);
			skip();
		}
	}
	n = xattr_list(&f->by_fd, f->k, list, sizeof(list));
	assert_true(n > 0);
	assert_int_equal(xattr_list(&f->by_fd, f->k, NULL, 0), n);
	for (char *p = list; p < list + n; p += strlen(p) + 1) {
		size_t i = (size_t)(p[5] - 'a');

		assert_true(i < 12);
		assert_string_equal(p, long_name(name, (char)('a' + i), 60 + 15 * i));
		assert_int_equal(xattr_get(&f->by_fd, f->k, p, got, sizeof(got)), 1);
		assert_int_equal(got[0], i);
		seen |= 1u << i;
	}
	assert_int_equal(seen, 0xfff);
}

static void classes_of_names(void **state)
{
	struct fixture *f = *state;
	char got[100];

	assert_int_equal(xattr_classify("user.x"), XATTR_ENCRYPTED);
	assert_int_equal(xattr_classify("user.c.x"), XATTR_ENCRYPTED);
	assert_int_equal(xattr_classify("system.posix_acl_access"), XATTR_PLAIN);
	assert_int_equal(xattr_classify("system.posix_acl_default"), XATTR_PLAIN);
	assert_int_equal(xattr_classify("security.capability"), XATTR_PLAIN);
	assert_int_equal(xattr_classify("trusted.x"), XATTR_PLAIN);
	assert_int_equal(xattr_classify("system.nfs4_acl"), XATTR_REFUSED);
	assert_int_equal(xattr_classify("system.posix_acl_access2"), XATTR_REFUSED);
	assert_int_equal(xattr_classify("user"), XATTR_REFUSED);
	assert_int_equal(xattr_classify(""), XATTR_REFUSED);
	assert_int_equal(xattr_get(&f->by_fd, f->k, "other.x", got, 1), -EOPNOTSUPP);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "other.x", got, 1, 0), -EOPNOTSUPP);
	assert_int_equal(xattr_remove(&f->by_fd, f->k, "other.x"), -EOPNOTSUPP);
}

static void plain_classes_pass_through(void **state)
{
	struct fixture *f = *state;
	char got[100], list[100];

	NEEDS_XATTRS;
	if (xattr_set(&f->by_fd, f->k, "trusted.test", "plain", 5, 0) == -EPERM) {
		print_message("trusted attributes need CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(fgetxattr(f->fd, "trusted.test", got, sizeof(got)), 5);
	assert_memory_equal(got, "plain", 5);
	assert_int_equal(xattr_get(&f->by_name, f->k, "trusted.test", got, sizeof(got)), 5);
	assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 13);
	assert_string_equal(list, "trusted.test");
	assert_int_equal(xattr_remove(&f->by_name, f->k, "trusted.test"), 0);
}

/* What the backing file holds under the only name there is. */
static size_t read_raw(struct fixture *f, char *name, size_t name_size, uint8_t *value, size_t size)
{
	ssize_t n;

	assert_true(flistxattr(f->fd, name, name_size) > 0);
	n = fgetxattr(f->fd, name, value, size);
	assert_true(n > 0);
	return (size_t)n;
}

static void tampered_values(void **state)
{
	struct fixture *f = *state;
	char plain[300], name[300], got[1024];
	uint8_t raw[1024];

	NEEDS_XATTRS;
	for (int is_long = 0; is_long < 2; is_long++) {
		size_t len;
		ssize_t n;

		long_name(plain, 'y', is_long ? 200 : 20);
		assert_int_equal(xattr_set(&f->by_fd, f->k, plain, "secret", 6, 0), 0);
		len = read_raw(f, name, sizeof(name), raw, sizeof(raw));
		for (size_t at = 0; at < len; at++) {
			raw[at] ^= 0x10;
			assert_int_equal(fsetxattr(f->fd, name, raw, len, 0), 0);
			n = xattr_get(&f->by_fd, f->k, plain, got, sizeof(got));
			if (n != -EBADMSG && n != -ENOKEY)
				fail_msg("byte %zu: %zd", at, n);
			raw[at] ^= 0x10;
		}
		for (size_t cut = 0; cut < len; cut++) {
			assert_int_equal(fsetxattr(f->fd, name, raw, cut, 0), 0);
			assert_int_equal(
				xattr_get(&f->by_fd, f->k, plain, got, sizeof(got)), -EBADMSG);
		}
		assert_int_equal(fsetxattr(f->fd, name, raw, len, 0), 0);
		assert_int_equal(xattr_get(&f->by_fd, f->k, plain, got, sizeof(got)), 6);
		/* Another attribute's value. */
		assert_int_equal(xattr_set(&f->by_fd, f->k, "user.z", "s", 1, 0), 0);
		assert_int_equal(xattr_remove(&f->by_fd, f->k, plain), 0);
		read_raw(f, name, sizeof(name), raw + 512, 512);
		assert_int_equal(fsetxattr(f->fd, name, raw, len, 0), 0);
		n = xattr_get(&f->by_fd, f->k, "user.z", got, sizeof(got));
		/* The head of a long name's value stands where a short one's generation is. */
		assert_int_equal(n, is_long ? -ENOKEY : -EBADMSG);
		assert_int_equal(xattr_remove(&f->by_fd, f->k, "user.z"), 0);
	}
}

static void strange_names_are_left_out(void **state)
{
	struct fixture *f = *state;
	char name[300], list[600];
	uint8_t raw[1024] = {0};
	size_t len;

	NEEDS_XATTRS;
	assert_int_equal(fsetxattr(f->fd, "user.foreign", "x", 1, 0), 0);
	assert_int_equal(fsetxattr(f->fd, "user.c.", "x", 1, 0), 0);
	assert_int_equal(fsetxattr(f->fd, "user.c.AAAA", "x", 1, 0), 0);
	assert_int_equal(fsetxattr(f->fd, "user.c.AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x", 1, 0), 0);
	assert_int_equal(
		fsetxattr(f->fd, "user.l.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x", 1, 0),
		0);
	assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 0);
	for (char *p = list, *end = list + flistxattr(f->fd, list, sizeof(list)); p < end;
		p += strlen(p) + 1)
		assert_int_equal(fremovexattr(f->fd, p), 0);
	/* A long name with every byte of its head changed in turn: listed only when it is whole. */
	long_name(name, 'q', 220);
	assert_int_equal(xattr_set(&f->by_fd, f->k, name, "v", 1, 0), 0);
	len = read_raw(f, name, sizeof(name), raw, sizeof(raw));
	for (size_t at = 0; at < 2 + B64_LEN(220 + SIV_LEN); at++) {
		raw[at] ^= 0x01;
		assert_int_equal(fsetxattr(f->fd, name, raw, len, 0), 0);
		assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 0);
		raw[at] ^= 0x01;
	}
	assert_int_equal(fsetxattr(f->fd, name, raw, len, 0), 0);
	assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 226);
}

/* The form on the disk must never change. The values were computed by another implementation
 * (pyca/cryptography). */
static void format_is_frozen(void **state)
{
	struct fixture *f = *state;
	struct xattr_name n;
	char name[300], got[32];
	uint8_t value[64];
	size_t len;

	assert_int_equal(xattr_name_seal(f->k, 1, "mime_type", &n), 0);
	assert_string_equal(n.name, "user.c.xv04zFmvCFysyrdFcxLw8UZilf5EohO9yw");
	len = unhex("01000000000102030405060708090a0b0c0d0e0fe59cffa27af4b8cf"
		    "c015db6c0430ae05dac8fae19bf9b3b397906c",
		value);
	assert_int_equal(xattr_value_open(f->k, &n, "mime_type", value, len, got, sizeof(got)), 10);
	assert_memory_equal(got, "text/plain", 10);
	long_name(name, 'n', LAST_SHORT + 1);
	assert_int_equal(xattr_name_seal(f->k, 1, name + 5, &n), 0);
	assert_string_equal(n.name, "user.l.ovhPjNjWSF9hd5iCoL6K6qmoDp2aok0_ccAWrG2_nTE");
	assert_int_equal(n.head_len, 2 + 250);
	assert_int_equal(n.head[0] | n.head[1] << 8, 250);
}

static void older_generations(void **state)
{
	struct fixture *f = *state;
	char got[16], list[100], raw[300];

	NEEDS_XATTRS;
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.a", "old", 3, 0), 0);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.b", "old", 3, 0), 0);
	assert_true(ring_add(f->k, 4, 77));
	assert_int_equal(xattr_get(&f->by_fd, f->k, "user.a", got, sizeof(got)), 3);
	assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 14);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.a", "x", 1, XATTR_CREATE), -EEXIST);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.a", "newer", 5, XATTR_REPLACE), 0);
	assert_int_equal(xattr_get(&f->by_fd, f->k, "user.a", got, sizeof(got)), 5);
	assert_memory_equal(got, "newer", 5);
	/* Once, not once under each generation. */
	assert_int_equal(xattr_list(&f->by_fd, f->k, list, sizeof(list)), 14);
	assert_int_equal(xattr_remove(&f->by_fd, f->k, "user.a"), 0);
	assert_int_equal(xattr_remove(&f->by_fd, f->k, "user.a"), -ENODATA);
	assert_int_equal(xattr_remove(&f->by_fd, f->k, "user.b"), 0);
	assert_int_equal(flistxattr(f->fd, raw, sizeof(raw)), 0);
}

static int full_setxattr(
	const char *path, int fd, const char *name, const void *value, size_t size, int flags)
{
	(void)path, (void)fd, (void)name, (void)value, (void)size, (void)flags;
	errno = ENOSPC;
	return -1;
}

static void limits(void **state)
{
	struct fixture *f = *state;
	static const struct store_ops ops = {.setxattr = full_setxattr};
	static char value[XATTR_SIZE_MAX + 1];
	int r;

	NEEDS_XATTRS;
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.x", value, sizeof(value), 0), -E2BIG);
	/* Grows past what any file system takes: the file system's own answer. */
	r = xattr_set(&f->by_fd, f->k, "user.x", value, XATTR_SIZE_MAX, 0);
	assert_true(r == -E2BIG || r == -ENOSPC);
	store_set_ops(f->st, &ops);
	assert_int_equal(xattr_set(&f->by_fd, f->k, "user.x", "v", 1, 0), -ENOSPC);
	assert_int_equal(xattr_get(&f->by_fd, f->k, "user.x", NULL, 0), -ENODATA);
}

int main(void)
{
#define XATTR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		XATTR(values_of_every_kind),
		XATTR(names_of_every_length),
		XATTR(several_at_once),
		XATTR(classes_of_names),
		XATTR(plain_classes_pass_through),
		XATTR(tampered_values),
		XATTR(strange_names_are_left_out),
		XATTR(format_is_frozen),
		XATTR(older_generations),
		XATTR(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
