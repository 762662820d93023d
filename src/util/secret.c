/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Secrets are packed into slabs: a slab serves one size class, so that the 32-byte keys of
 * thousands of open blobs share pages. Larger ones get a mapping of their own. Both look alike:
 *
 *   | header page | data pages ... | guard page |
 *   ^ aligned to slab_size()                    no access
 *
 * so a secret's address with its low bits cleared is its header's. The header is no secret, and has
 * to survive what the kernel does to data pages in a child (MADV_WIPEONFORK): the child can free
 * what it inherited, but finds zeros there. Data pages are locked when they are first used, from
 * the front, because RLIMIT_MEMLOCK may allow a few pages only.
 *
 * Invariant: the bytes of a free slot are zero.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

/* With ASan, what is not handed out is poisoned, and a gap follows each secret. */
#if WITH_ASAN
#include <sanitizer/asan_interface.h>
#define SLOT_GAP 16
#else
#define ASAN_POISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#define SLOT_GAP 0
#endif

#define SECRET_MAX ((size_t)1024 * 1024)
#define SLAB_PAGES 16
#define SLOTS_MAX 4096
#define CLASSES (sizeof(class_sizes) / sizeof(class_sizes[0]))

/* Multiples of 16, so that every secret is aligned like malloc's memory. */
static const uint16_t class_sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096};

struct slab {
	const struct slab *self; /* tells a slab from any other memory */
	struct slab *next;       /* all slabs */
	struct slab *prev;
	struct slab *next_free; /* those of this class that have a free slot */
	struct slab *prev_free;
	size_t mapped;    /* bytes from the header's start to the guard page's end */
	size_t touched;   /* bytes of data pages, from the front, that a lock was tried on */
	size_t unlocked;  /* how many of these could not be locked */
	size_t slot_size; /* a class's, or of the one large secret */
	uint32_t class;   /* CLASSES for a large one */
	uint32_t slots;
	uint32_t in_use;
	uint64_t used[SLOTS_MAX / 64]; /* one bit per slot */
};

/* Guards everything here and in the headers. A leaf: nothing else is locked while it is held. */
static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *all_slabs;
static struct slab *free_slabs[CLASSES];
static size_t unlocked_total;
static bool fork_prepared;

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t slab_size(void)
{
	return SLAB_PAGES * page_size();
}

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint8_t *slab_data(struct slab *s)
{
	return (uint8_t *)s + page_size();
}

/* Locks the data pages up to the byte at end. */
static void touch(struct slab *s, size_t end)
{
	size_t old = s->touched;

	end = round_up(end, page_size());
	if (end <= old)
		return;
	if (mlock(slab_data(s) + old, end - old) < 0) {
		s->unlocked += end - old;
		unlocked_total += end - old;
	}
	s->touched = end;
}

static void before_fork(void)
{
	pthread_mutex_lock(&arena_lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&arena_lock);
}

/* A child inherits the mappings without their locks. */
static void after_fork_child(void)
{
	unlocked_total = 0;
	for (struct slab *s = all_slabs; s; s = s->next) {
		size_t touched = s->touched;

		s->touched = 0;
		s->unlocked = 0;
		touch(s, touched);
	}
	pthread_mutex_unlock(&arena_lock);
}

/* Address space of len bytes at a multiple of slab_size(), without access rights; NULL on failure.
 */
static void *reserve(size_t len)
{
	size_t align = slab_size();
	uintptr_t start, aligned;
	void *map;

	map = mmap(
		NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	start = (uintptr_t)map;
	aligned = round_up(start, align);
	if (aligned > start)
		munmap(map, aligned - start);
	if (start + align > aligned)
		munmap((void *)(aligned + len), start + align - aligned);
	return (void *)aligned;
}

/* A slab without slots: class, slot_size and slots are the caller's to set. */
static struct slab *slab_map(size_t data_size)
{
	size_t page = page_size();
	size_t mapped = page + data_size + page;
	struct slab *s;

	if (!fork_prepared) {
		if (pthread_atfork(before_fork, after_fork_parent, after_fork_child) != 0)
			return NULL;
		fork_prepared = true;
	}
	s = reserve(mapped);
	if (!s)
		return NULL;
	if (mprotect(s, page + data_size, PROT_READ | PROT_WRITE) < 0) {
		munmap(s, mapped);
		return NULL;
	}
	/* A kernel that knows one of them not (before 4.14) leaves the others in force. */
	(void)madvise((uint8_t *)s + page, data_size, MADV_DONTDUMP);
	(void)madvise((uint8_t *)s + page, data_size, MADV_WIPEONFORK);
	ASAN_POISON_MEMORY_REGION((uint8_t *)s + page, data_size);

	s->self = s;
	s->mapped = mapped;
	s->next = all_slabs;
	if (all_slabs)
		all_slabs->prev = s;
	all_slabs = s;
	return s;
}

static void slab_unmap(struct slab *s)
{
	unlocked_total -= s->unlocked;
	if (s->prev)
		s->prev->next = s->next;
	else
		all_slabs = s->next;
	if (s->next)
		s->next->prev = s->prev;
	ASAN_UNPOISON_MEMORY_REGION(slab_data(s), s->mapped - 2 * page_size());
	munmap(s, s->mapped);
}

static void free_list_add(struct slab *s)
{
	s->prev_free = NULL;
	s->next_free = free_slabs[s->class];
	if (s->next_free)
		s->next_free->prev_free = s;
	free_slabs[s->class] = s;
}

static void free_list_remove(struct slab *s)
{
	if (s->prev_free)
		s->prev_free->next_free = s->next_free;
	else
		free_slabs[s->class] = s->next_free;
	if (s->next_free)
		s->next_free->prev_free = s->prev_free;
}

/* Takes the first free slot of a slab that has one. */
static void *slot_take(struct slab *s)
{
	uint32_t word = 0, slot;

	while (s->used[word] == UINT64_MAX)
		word++;
	slot = word * 64 + (uint32_t)__builtin_ctzll(~s->used[word]);
	s->used[word] |= UINT64_C(1) << (slot % 64);
	s->in_use++;
	touch(s, (slot + 1) * s->slot_size);
	return slab_data(s) + slot * s->slot_size;
}

static void *alloc_small(uint32_t class)
{
	struct slab *s = free_slabs[class];
	void *p;

	if (!s) {
		size_t data_size = slab_size() - 2 * page_size();
		size_t slots = data_size / class_sizes[class];

		s = slab_map(data_size);
		if (!s)
			return NULL;
		s->class = class;
		s->slot_size = class_sizes[class];
		s->slots = slots < SLOTS_MAX ? (uint32_t)slots : SLOTS_MAX;
		free_list_add(s);
	}
	p = slot_take(s);
	if (s->in_use == s->slots)
		free_list_remove(s);
	return p;
}

static void *alloc_large(size_t size)
{
	struct slab *s = slab_map(round_up(size, page_size()));

	if (!s)
		return NULL;
	s->class = CLASSES;
	s->slot_size = size;
	s->slots = 1;
	return slot_take(s);
}

void *secret_alloc(size_t size)
{
	uint32_t class = 0;
	size_t room;
	void *p;

	if (size > SECRET_MAX)
		return NULL;
	if (size == 0)
		size = 1;
	room = size + SLOT_GAP;
	while (class < CLASSES && class_sizes[class] < room)
		class ++;
	pthread_mutex_lock(&arena_lock);
	p = class < CLASSES ? alloc_small(class) : alloc_large(room);
	if (p)
		ASAN_UNPOISON_MEMORY_REGION(p, size);
	pthread_mutex_unlock(&arena_lock);
	return p;
}

/*
 * The slab and slot of a secret. Anything else is a bug that has already written where it should
 * not: going on could only spread it, so this ends like free(3) of a bad pointer.
 */
static struct slab *slab_of(void *p, uint32_t *ret_slot)
{
	struct slab *s = (struct slab *)((uintptr_t)p / slab_size() * slab_size());
	size_t offset, slot;

	if (s->self != s || (uint8_t *)p < slab_data(s))
		abort();
	offset = (size_t)((uint8_t *)p - slab_data(s));
	slot = offset / s->slot_size;
	if (offset % s->slot_size != 0 || slot >= s->slots ||
		!(s->used[slot / 64] & UINT64_C(1) << (slot % 64)))
		abort();
	*ret_slot = (uint32_t)slot;
	return s;
}

void secret_free(void *p)
{
	struct slab *s;
	uint32_t slot;

	if (!p)
		return;
	pthread_mutex_lock(&arena_lock);
	s = slab_of(p, &slot);
	ASAN_UNPOISON_MEMORY_REGION(p, s->slot_size);
	wipe(p, s->slot_size);
	ASAN_POISON_MEMORY_REGION(p, s->slot_size);
	s->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	if (s->class == CLASSES) {
		slab_unmap(s);
	} else {
		if (s->in_use-- == s->slots)
			free_list_add(s);
		/* One empty slab per class stays, so that a lone secret does not map and unmap. */
		if (s->in_use == 0 && (s->prev_free || s->next_free)) {
			free_list_remove(s);
			slab_unmap(s);
		}
	}
	pthread_mutex_unlock(&arena_lock);
}

size_t secret_unlocked(void)
{
	size_t n;

	pthread_mutex_lock(&arena_lock);
	n = unlocked_total;
	pthread_mutex_unlock(&arena_lock);
	return n;
}

void wipe(void *p, size_t len)
{
	if (len == 0)
		return;
#ifdef HAVE_EXPLICIT_BZERO
	explicit_bzero(p, len);
#else
	memset(p, 0, len);
	__asm__ __volatile__("" : : "r"(p) : "memory");
#endif
}
