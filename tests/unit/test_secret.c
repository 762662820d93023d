/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/secret.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SECRET_MAX ((size_t)1024 * 1024)

/* Reads memory that was freed: ASan has a right to object, so it is told not to look. */
__attribute__((no_sanitize("address"))) static bool only_zeros(const void *p, size_t len)
{
	const volatile uint8_t *b = p;

	for (size_t i = 0; i < len; i++) {
		if (b[i])
			return false;
	}
	return true;
}

static void sizes(void **state)
{
	static const size_t all[] = {0, 1, 15, 16, 17, 32, 33, 64, 100, 1000, 2048, 2049, 4096,
		4097, 65536, 100000, SECRET_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		uint8_t *p = secret_alloc(all[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(only_zeros(p, all[i]));
		memset(p, 0xa5, all[i]);
		secret_free(p);
	}
	assert_null(secret_alloc(SECRET_MAX + 1));
	assert_null(secret_alloc(SIZE_MAX));
	secret_free(NULL);
}

static void wiped_when_freed(void **state)
{
	static const size_t all[] = {1, 32, 40, 72, 500, 4000};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		/* A neighbour keeps the page mapped. */
		uint8_t *neighbour = secret_alloc(all[i]), *p = secret_alloc(all[i]), *again;

		assert_non_null(neighbour);
		assert_non_null(p);
		memset(neighbour, 0x5a, all[i]);
		memset(p, 0xa5, all[i]);
		secret_free(p);
		assert_true(only_zeros(p, all[i]));
		again = secret_alloc(all[i]);
		assert_true(only_zeros(again, all[i]));
		for (size_t j = 0; j < all[i]; j++)
			assert_int_equal(neighbour[j], 0x5a);
		secret_free(again);
		secret_free(neighbour);
	}
}

static void small_ones_are_packed(void **state)
{
	enum { N = 10000 };
	static uint8_t *p[N];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), pages = 0, last = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		p[i] = secret_alloc(40);
		assert_non_null(p[i]);
		memcpy(p[i], &i, sizeof(i));
		if ((uintptr_t)p[i] / page != last)
			pages++;
		last = (uintptr_t)p[i] / page;
	}
	/* 48 bytes each, 64 with ASan's gap; and every slab's last page is not quite full. */
	assert_true(pages * page < (uintptr_t)N * 70);
	for (uint32_t i = 0; i < N; i++)
		assert_memory_equal(p[i], &i, sizeof(i));
	for (uint32_t i = 0; i < N; i += 2)
		secret_free(p[i]);
	for (uint32_t i = 1; i < N; i += 2)
		assert_memory_equal(p[i], &i, sizeof(i));
	for (uint32_t i = 1; i < N; i += 2)
		secret_free(p[i]);
}

struct item {
	uint8_t *p;
	size_t len;
	uint8_t fill;
};

static void check_item(const struct item *it)
{
	for (size_t i = 0; i < it->len; i++) {
		if (it->p[i] != it->fill)
			fail_msg("byte %zu of %zu changed", i, it->len);
	}
}

/* Any order of making and freeing: nothing overlaps, everything new is zero. */
static void random_order(void **state)
{
	static struct item items[400];
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	for (int step = 0; step < 20000; step++) {
		struct item *it = &items[(unsigned)rand_r(&seed) % COUNT(items)];

		if (it->p) {
			check_item(it);
			secret_free(it->p);
			it->p = NULL;
			continue;
		}
		/* Mostly keys, some passwords, a few documents. */
		it->len = 1 + (size_t)rand_r(&seed) % (step % 100 == 0        ? 70000
							      : step % 7 == 0 ? 5000
									      : 100);
		it->fill = (uint8_t)(1 + rand_r(&seed) % 255);
		it->p = secret_alloc(it->len);
		assert_non_null(it->p);
		assert_true(only_zeros(it->p, it->len));
		memset(it->p, it->fill, it->len);
	}
	for (size_t i = 0; i < COUNT(items); i++) {
		if (items[i].p) {
			check_item(&items[i]);
			secret_free(items[i].p);
			items[i].p = NULL;
		}
	}
}

static void *churn(void *arg)
{
	uint8_t *p[20] = {NULL};
	unsigned seed = *(unsigned *)arg;

	for (int step = 0; step < 5000; step++) {
		unsigned i = (unsigned)rand_r(&seed) % COUNT(p);
		size_t len = 1 + i * 40;

		if (p[i]) {
			for (size_t j = 0; j < len; j++) {
				if (p[i][j] != i + 1)
					return arg;
			}
			secret_free(p[i]);
			p[i] = NULL;
		} else {
			p[i] = secret_alloc(len);
			if (!p[i] || !only_zeros(p[i], len))
				return arg;
			memset(p[i], (int)i + 1, len);
		}
	}
	for (size_t i = 0; i < COUNT(p); i++)
		secret_free(p[i]);
	return NULL;
}

static void threads(void **state)
{
	unsigned seeds[8];
	pthread_t t[COUNT(seeds)];

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		seeds[i] = (unsigned)time(NULL) + (unsigned)i;
		print_message("seed %u\n", seeds[i]);
		assert_int_equal(pthread_create(&t[i], NULL, churn, &seeds[i]), 0);
	}
	for (size_t i = 0; i < COUNT(t); i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
}

/* Runs check in a child and returns its exit status, or 256 + signal. */
static int in_child(int (*check)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(check(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* The child finds nothing in what it inherited, and the arena works there. */
static int child_finds_zeros(void *arg)
{
	uint8_t **secrets = arg, *mine;

	if (!only_zeros(secrets[0], 32) || !only_zeros(secrets[1], 10000))
		return 1;
	secret_free(secrets[0]);
	secret_free(secrets[1]);
	mine = secret_alloc(32);
	if (!mine || !only_zeros(mine, 32))
		return 2;
	memset(mine, 1, 32);
	secret_free(mine);
	return 0;
}

static void wiped_by_fork(void **state)
{
	uint8_t *secrets[] = {secret_alloc(32), secret_alloc(10000)};

	(void)state;
	assert_non_null(secrets[0]);
	assert_non_null(secrets[1]);
	memset(secrets[0], 7, 32);
	memset(secrets[1], 7, 10000);
	assert_int_equal(in_child(child_finds_zeros, secrets), 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(secrets[0][i], 7);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(secrets[1][i], 7);
	secret_free(secrets[0]);
	secret_free(secrets[1]);
}

/* Without the right to lock memory everything works, and the pages are counted until they go. */
static int child_counts_unlocked(void *arg)
{
	struct rlimit none = {0, 0};
	size_t before, page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	(void)arg;
	/* root may lock whatever the limit says, and sanitizers make mlock do nothing. */
	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0) ||
		mlock(&before, sizeof(before)) == 0)
		return 77;
	before = secret_unlocked();
	p = secret_alloc(5 * page);
	if (!p)
		return 1;
	memset(p, 1, 5 * page);
	if (secret_unlocked() < before + 5 * page || secret_unlocked() > before + 6 * page)
		return 2;
	secret_free(p);
	return secret_unlocked() == before ? 0 : 3;
}

static void unlocked_is_counted(void **state)
{
	int r = in_child(child_counts_unlocked, NULL);

	(void)state;
	if (r == 77) {
		print_message(
			"mlock succeeds here whatever the limit (sanitizers make it do nothing)\n");
		skip();
	}
	assert_int_equal(r, 0);
}

static int child_frees_twice(void *arg)
{
	void *neighbour = secret_alloc(32), *p = secret_alloc(32);

	(void)arg;
	if (!neighbour || !p)
		return 1;
	secret_free(p);
	secret_free(p);
	return 0;
}

static int child_frees_the_middle(void *arg)
{
	uint8_t *p = secret_alloc(64);

	(void)arg;
	if (!p)
		return 1;
	secret_free(p + 16);
	return 0;
}

static void bad_free_aborts(void **state)
{
	(void)state;
	assert_int_equal(in_child(child_frees_twice, NULL), 256 + SIGABRT);
	assert_int_equal(in_child(child_frees_the_middle, NULL), 256 + SIGABRT);
}

/* The VmFlags line of the mapping that holds p; false if this kernel does not tell. */
static bool vm_flags(const void *p, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			snprintf(ret, size, "%s", line);
			return true;
		}
	}
	return false;
}

/* False where mlock says yes and does nothing, as under sanitizers. */
static bool locks_are_real(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = aligned_alloc(page, page);
	char flags[512] = "";
	bool real;

	assert_non_null(p);
	real = mlock(p, page) == 0 && vm_flags(p, flags, sizeof(flags)) && strstr(flags, " lo ");
	munlock(p, page);
	free(p);
	return real;
}

static void pages_are_protected(void **state)
{
	static const size_t all[] = {32, 100000};
	char flags[512];

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		void *p = secret_alloc(all[i]);

		assert_non_null(p);
		if (!vm_flags(p, flags, sizeof(flags))) {
			secret_free(p);
			print_message("/proc/self/smaps does not tell VmFlags here\n");
			skip();
		}
		assert_non_null(strstr(flags, " dd ")); /* not in core dumps */
		assert_non_null(strstr(flags, " wf ")); /* wiped by fork */
		if (secret_unlocked() == 0 && locks_are_real())
			assert_non_null(strstr(flags, " lo ")); /* locked */
		secret_free(p);
	}
}

static void wiping(void **state)
{
	uint8_t buf[100];

	(void)state;
	memset(buf, 9, sizeof(buf));
	wipe(buf + 10, 80);
	assert_true(only_zeros(buf + 10, 80));
	assert_int_equal(buf[9], 9);
	assert_int_equal(buf[90], 9);
	wipe(buf, 0);
	wipe(NULL, 0);
	assert_int_equal(buf[0], 9);
}

static void cleanup_attribute(void **state)
{
	void *neighbour = secret_alloc(32), *seen;

	(void)state;
	{
		_cleanup_secret_ uint8_t *p = secret_alloc(32);

		assert_non_null(p);
		memset(p, 3, 32);
		seen = p;
	}
	assert_true(only_zeros(seen, 32));
	secret_free(neighbour);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(wiped_when_freed),
		cmocka_unit_test(small_ones_are_packed),
		cmocka_unit_test(random_order),
		cmocka_unit_test(threads),
		cmocka_unit_test(wiped_by_fork),
		cmocka_unit_test(unlocked_is_counted),
		cmocka_unit_test(bad_free_aborts),
		cmocka_unit_test(pages_are_protected),
		cmocka_unit_test(wiping),
		cmocka_unit_test(cleanup_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
