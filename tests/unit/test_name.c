/* SPDX-License-Identifier: Apache-2.0 */
/* Entry names, side links and directory identities, also when somebody tampers with them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "name/name.h"
#include "ring.h"
#include "scratch.h"
#include "util/b64.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LAST_SHORT 175 /* B64_LEN(175 + 16) = 255 */

static const struct dirid home = {.generation = 1, .id = "one directory.."};
static const struct dirid other = {.generation = 1, .id = "another one...."};

struct fixture {
	char *path;
	struct store *st;
	int root;
	struct keyring *k;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = scratch_make();
	f->k = ring_make(7);
	if (!f->path || !f->k || store_open(f->path, false, &f->st, NULL) < 0)
		return -1;
	f->root = store_root(f->st);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->st);
	keyring_free(f->k);
	scratch_remove(f->path);
	free(f);
	return 0;
}

static void seed_random(void)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srandom(seed);
}

/* A random name of len bytes, none of them '/' or zero, and neither "." nor "..". */
static void random_name(char *name, size_t len)
{
	do {
		for (size_t i = 0; i < len; i++) {
			do
				name[i] = (char)random();
			while (name[i] == 0 || name[i] == '/');
		}
	} while ((len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)));
	name[len] = 0;
}

static void encrypt(struct fixture *f, const char *name, struct encname *ret)
{
	assert_int_equal(name_encrypt(f->k, &home, name, strlen(name), ret), 0);
}

static void assert_bad_text(
	struct fixture *f, const struct dirid *dir, const char *text, size_t len)
{
	char out[NAME_MAX_PLAIN + 1] = "untouched";

	assert_int_equal(name_decrypt(f->k, dir, text, len, out), -EBADMSG);
	assert_string_equal(out, "untouched");
}

static void every_length_comes_back(void **state)
{
	struct fixture *f = *state;
	char name[NAME_MAX_PLAIN + 2], out[NAME_MAX_PLAIN + 1];

	seed_random();
	for (int round = 0; round < 5; round++) {
		for (size_t len = 1; len <= NAME_MAX_PLAIN; len++) {
			struct encname n, again;
			const char *text;

			random_name(name, len);
			encrypt(f, name, &n);
			encrypt(f, name, &again);
			assert_string_equal(n.entry, again.entry);
			assert_int_equal(n.is_long, len > LAST_SHORT);
			assert_true(strlen(n.entry) <= 255);
			assert_null(strchr(n.entry, '/'));
			assert_false(name_is_ours(n.entry));
			assert_int_equal(name_is_long(n.entry), n.is_long);
			text = n.is_long ? n.side_target : n.entry;
			assert_int_equal(strlen(text), B64_LEN(len + SIV_LEN));
			assert_int_equal(name_decrypt(f->k, &home, text, strlen(text), out), len);
			assert_string_equal(out, name);
			assert_bad_text(f, &other, text, strlen(text));
		}
	}
}

static void names_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	static const struct dirid unknown = {.generation = 9};
	static const struct {
		const char *name;
		size_t len;
	} bad[] = {{"", 0}, {".", 1}, {"..", 2}, {"/", 1}, {"a/b", 3}, {"a\0b", 3}, {"\0", 1},
		{"ab/", 3}};
	char longest[NAME_MAX_PLAIN + 1], out[NAME_MAX_PLAIN + 1];
	struct encname n;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(name_encrypt(f->k, &home, bad[i].name, bad[i].len, &n), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(name_encrypt(f->k, &home, longest, 256, &n), -ENAMETOOLONG);
	assert_int_equal(name_encrypt(f->k, &unknown, "a", 1, &n), -ENOKEY);
	assert_int_equal(name_decrypt(f->k, &unknown, "AAAA", 4, out), -ENOKEY);
	assert_int_equal(name_encrypt(f->k, &home, "...", 3, &n), 0);
	assert_int_equal(name_encrypt(f->k, &home, ".id", 3, &n), 0);
	assert_false(name_is_ours(n.entry));
}

/* Each character changed to each other one, dropped, doubled; cut at each length. */
static void tampered_names_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"a", "ab", "abc", "a name of some length"};
	static const char with[] = "ABab01-_=+/. \n\x80";
	char out[NAME_MAX_PLAIN + 1];

	for (size_t i = 0; i < COUNT(names); i++) {
		struct encname n;
		size_t len;

		encrypt(f, names[i], &n);
		len = strlen(n.entry);
		for (size_t at = 0; at < len; at++) {
			char text[256];

			for (size_t w = 0; w < sizeof(with); w++) {
				memcpy(text, n.entry, len + 1);
				if (text[at] == with[w])
					continue;
				text[at] = with[w];
				assert_bad_text(f, &home, text, len);
			}
			assert_bad_text(f, &home, n.entry, at);
			memcpy(text, n.entry, at);
			memcpy(text + at, n.entry + at + 1, len - at);
			assert_bad_text(f, &home, text, len - 1);
			memcpy(text, n.entry, at + 1);
			memcpy(text + at + 1, n.entry + at, len - at + 1);
			assert_bad_text(f, &home, text, len + 1);
		}
		assert_int_equal(name_decrypt(f->k, &home, n.entry, len, out), strlen(names[i]));
	}
}

/* Exactly one of the texts that decode to the same bytes is a name: no file under two names. */
static void texts_are_canonical(void **state)
{
	struct fixture *f = *state;
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t len = 1; len <= 3; len++) {
		char out[NAME_MAX_PLAIN + 1];
		unsigned good = 0;
		struct encname n;
		size_t last;

		assert_int_equal(name_encrypt(f->k, &home, "abc", len, &n), 0);
		last = strlen(n.entry) - 1;
		for (size_t i = 0; i < 64; i++) {
			n.entry[last] = alphabet[i];
			good += name_decrypt(f->k, &home, n.entry, last + 1, out) >= 0;
		}
		assert_int_equal(good, 1);
	}
}

/* Authentic, because somebody has the key, and still no names. */
static void hostile_names_stay_inside(void **state)
{
	struct fixture *f = *state;
	const struct iovec aad = {.iov_base = (void *)home.id, .iov_len = DIRID_LEN};
	static const struct {
		const char *name;
		size_t len;
	} bad[] = {{".", 1}, {"..", 2}, {"/", 1}, {"../../etc/passwd", 16}, {"a\0b", 3}, {"\0", 1},
		{"end/", 4}};
	uint8_t sealed[400], message[300];
	char text[600];

	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(
			siv_seal(keyring_names(f->k, 1), &aad, 1, bad[i].name, bad[i].len, sealed),
			0);
		b64url_encode(sealed, bad[i].len + SIV_LEN, text);
		assert_bad_text(f, &home, text, strlen(text));
	}
	memset(message, 'm', sizeof(message));
	for (size_t len = 256; len <= 300; len++) {
		assert_int_equal(
			siv_seal(keyring_names(f->k, 1), &aad, 1, message, len, sealed), 0);
		b64url_encode(sealed, len + SIV_LEN, text);
		assert_bad_text(f, &home, text, strlen(text));
	}
}

/* ---- long names in a directory ---- */

static void long_names_with_their_side_links(void **state)
{
	struct fixture *f = *state;
	char name[NAME_MAX_PLAIN + 1], out[NAME_MAX_PLAIN + 1];
	struct encname n;

	seed_random();
	for (size_t len = LAST_SHORT - 1; len <= NAME_MAX_PLAIN; len += 13) {
		random_name(name, len);
		encrypt(f, name, &n);
		assert_int_equal(name_make_side(f->st, f->root, &n), 0);
		assert_int_equal(name_make_side(f->st, f->root, &n), 0);
		assert_int_equal(
			name_decrypt_entry(f->st, f->k, f->root, &home, n.entry, out), len);
		assert_string_equal(out, name);
		assert_int_equal(
			name_decrypt_entry(f->st, f->k, f->root, &other, n.entry, out), -EBADMSG);
		if (!n.is_long)
			continue;
		assert_true(name_is_ours(n.side));
		assert_int_equal(
			name_decrypt_entry(f->st, f->k, f->root, &home, n.side, out), -EBADMSG);
		name_drop_side(f->st, f->root, &n);
		assert_int_equal(
			name_decrypt_entry(f->st, f->k, f->root, &home, n.entry, out), -EBADMSG);
	}
}

static void assert_bad_entry(struct fixture *f, const char *entry)
{
	char out[NAME_MAX_PLAIN + 1] = "untouched";

	assert_int_equal(name_decrypt_entry(f->st, f->k, f->root, &home, entry, out), -EBADMSG);
	assert_string_equal(out, "untouched");
}

static void wrong_side_links(void **state)
{
	struct fixture *f = *state;
	char a[201], b[201], out[NAME_MAX_PLAIN + 1], fake_side[64], fake_entry[64];
	struct encname na, nb, small;
	uint8_t digest[HASH_LEN];

	memset(a, 'a', 200);
	memset(b, 'b', 200);
	a[200] = b[200] = 0;
	encrypt(f, a, &na);
	encrypt(f, b, &nb);
	encrypt(f, "small", &small);
	/* Another name's text, a cut text, no link, something that is no link. */
	assert_bad_entry(f, na.entry);
	assert_int_equal(st_symlinkat(f->st, nb.side_target, f->root, na.side), 0);
	assert_bad_entry(f, na.entry);
	/* Making the name again mends the link. */
	assert_int_equal(name_make_side(f->st, f->root, &na), 0);
	assert_int_equal(name_decrypt_entry(f->st, f->k, f->root, &home, na.entry, out), 200);
	name_drop_side(f->st, f->root, &na);
	na.side_target[strlen(na.side_target) - 1] = 0;
	assert_int_equal(st_symlinkat(f->st, na.side_target, f->root, na.side), 0);
	assert_bad_entry(f, na.entry);
	name_drop_side(f->st, f->root, &na);
	close(st_openat(f->st, f->root, na.side, O_CREAT | O_RDWR, 0600));
	assert_bad_entry(f, na.entry);
	/* A short name's text behind a digest that fits: the name could stand twice in one
	 * directory. */
	assert_int_equal(sha256(small.entry, strlen(small.entry), digest), 0);
	strcpy(fake_entry, ".l");
	b64url_encode(digest, HASH_LEN, fake_entry + 2);
	strcpy(fake_side, ".n");
	b64url_encode(digest, HASH_LEN, fake_side + 2);
	assert_int_equal(st_symlinkat(f->st, small.entry, f->root, fake_side), 0);
	assert_bad_entry(f, fake_entry);
	assert_bad_entry(f, ".l");
	assert_bad_entry(f, ".lshort");
	assert_bad_entry(f, ".id");
	assert_bad_entry(f, "plain");
}

/* ---- identities and empty directories ---- */

static void identities(void **state)
{
	struct fixture *f = *state;
	struct keyring *foreign = NULL;
	struct dirid made, read, again;

	assert_int_equal(dirid_read(f->st, f->k, f->root, &read), -ENOENT);
	assert_int_equal(dirid_create(f->st, f->k, f->root, &made), 0);
	assert_int_equal(made.generation, 1);
	assert_int_equal(dirid_read(f->st, f->k, f->root, &read), 0);
	assert_memory_equal(&read, &made, sizeof(made));
	assert_int_equal(dirid_create(f->st, f->k, f->root, &again), -EEXIST);
	assert_true(ring_add(f->k, 5, 8));
	assert_int_equal(st_unlinkat(f->st, f->root, ".id", 0), 0);
	assert_int_equal(dirid_create(f->st, f->k, f->root, &again), 0);
	assert_int_equal(again.generation, 5);
	assert_memory_not_equal(again.id, made.id, DIRID_LEN);
	assert_int_equal(keyring_new(&foreign), 0);
	assert_int_equal(dirid_read(f->st, foreign, f->root, &read), -ENOKEY);
	assert_int_equal(dirid_create(f->st, foreign, f->root, &again), -ENOKEY);
	keyring_free(foreign);
}

static void hostile_identities(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"x", "AQAAAAAAAAAAAAAAAAAAAAAAAAB", /* trailing bits */
		"AQAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAA", "../../../etc/passwd",
		"AQAAAAAAAAAAAAAAAAAAAAAAAA="};
	char longer[900];
	struct dirid read;

	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(st_symlinkat(f->st, bad[i], f->root, ".id"), 0);
		assert_int_equal(dirid_read(f->st, f->k, f->root, &read), -EBADMSG);
		assert_int_equal(st_unlinkat(f->st, f->root, ".id", 0), 0);
	}
	memset(longer, 'A', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(st_symlinkat(f->st, longer, f->root, ".id"), 0);
	assert_int_equal(dirid_read(f->st, f->k, f->root, &read), -EBADMSG);
	assert_int_equal(st_unlinkat(f->st, f->root, ".id", 0), 0);
	assert_int_equal(st_mkdirat(f->st, f->root, ".id", 0700), 0);
	assert_int_equal(dirid_read(f->st, f->k, f->root, &read), -EBADMSG);
	/* Generation 0x01000000, of which the ring knows nothing. */
	assert_int_equal(st_unlinkat(f->st, f->root, ".id", AT_REMOVEDIR), 0);
	assert_int_equal(st_symlinkat(f->st, "AAAAAQAAAAAAAAAAAAAAAAAAAAA", f->root, ".id"), 0);
	assert_int_equal(dirid_read(f->st, f->k, f->root, &read), -ENOKEY);
}

static void empty_but_for_ours(void **state)
{
	struct fixture *f = *state;
	char name[64];
	struct dirid id;
	struct stat sb;
	int dir;

	assert_int_equal(st_mkdirat(f->st, f->root, "dir", 0700), 0);
	dir = st_open_dir(f->st, f->root, "dir");
	assert_int_equal(dir_is_empty(f->st, dir), 1);
	assert_int_equal(dirid_create(f->st, f->k, dir, &id), 0);
	/* More than one read of the directory holds. */
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), ".norphan-%u", i);
		assert_int_equal(st_symlinkat(f->st, "t", dir, name), 0);
	}
	assert_int_equal(dir_is_empty(f->st, dir), 1);
	close(st_openat(f->st, dir, "entry", O_CREAT | O_RDWR, 0600));
	assert_int_equal(dir_is_empty(f->st, dir), 0);
	assert_int_equal(dir_strip(f->st, dir), -ENOTEMPTY);
	/* The identity goes last, and not while there are entries. */
	assert_int_equal(st_fstatat(f->st, dir, ".id", &sb), 0);
	assert_int_equal(st_unlinkat(f->st, dir, "entry", 0), 0);
	close(st_openat(f->st, dir, ".l-long", O_CREAT | O_RDWR, 0600));
	assert_int_equal(dir_is_empty(f->st, dir), 0);
	assert_int_equal(st_unlinkat(f->st, dir, ".l-long", 0), 0);
	assert_int_equal(dir_strip(f->st, dir), 0);
	assert_int_equal(dir_strip(f->st, dir), 0);
	close(dir);
	assert_int_equal(st_unlinkat(f->st, f->root, "dir", AT_REMOVEDIR), 0);
}

/* The form on the disk must never change. The values were computed by another implementation
 * (pyca/cryptography). */
static void format_is_frozen(void **state)
{
	struct fixture *f = *state;
	char name[NAME_MAX_PLAIN + 1];
	struct encname n;

	encrypt(f, "hello", &n);
	assert_string_equal(n.entry, "JeHFiyxDISK8O8ICfAGcC5GmSacs");
	memset(name, 'n', 176);
	name[176] = 0;
	encrypt(f, name, &n);
	assert_string_equal(n.entry, ".lkSWEuwsqlsc7qD_7JHSmCz9_vNke-LYgwdhr3MiHNRU");
	assert_string_equal(n.side + 2, n.entry + 2);
	assert_int_equal(strncmp(n.side, ".n", 2), 0);
}

int main(void)
{
#define NAME(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		NAME(every_length_comes_back),
		NAME(names_that_cannot_be),
		NAME(tampered_names_are_refused),
		NAME(texts_are_canonical),
		NAME(hostile_names_stay_inside),
		NAME(long_names_with_their_side_links),
		NAME(wrong_side_links),
		NAME(identities),
		NAME(hostile_identities),
		NAME(empty_but_for_ours),
		NAME(format_is_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
