/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "blob/epoch.h"
#include "blob/epoch_file.h"

#define STATE_DIR "state"
#define EPOCH_FILE "epoch"
/* How far the clocks of this host and of the backing store may be apart. */
#define CLOCK_SLACK 60

struct epochs {
	struct store *store;
	const struct keyring *keys;
	bool unclean;
	pthread_mutex_t writing; /* one write of the file at a time; before lock */
	pthread_mutex_t lock;    /* everything below */
	pthread_cond_t left;
	struct epoch_state state; /* as on the disk, but for current */
	uint64_t durable;         /* state.current or one less */
	unsigned in_flight[2];    /* open brackets of even and odd epochs */
	bool spoiled;
	uint64_t spoiled_last; /* the latest epoch that is */
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static void lock(const struct epochs *e)
{
	pthread_mutex_lock(&((struct epochs *)e)->lock);
}

static void unlock(const struct epochs *e)
{
	pthread_mutex_unlock(&((struct epochs *)e)->lock);
}

/* Appends a range behind all others; a full list loses the border between its two oldest. */
static void add_range(struct epoch_state *s, struct epoch_range range)
{
	struct epoch_range *v = s->ranges;

	if (s->n == EPOCH_RANGES_MAX) {
		v[0].last = v[1].last;
		v[0].soft = v[0].soft && v[1].soft;
		if (v[1].start < v[0].start)
			v[0].start = v[1].start;
		s->n--;
		memmove(v + 1, v + 2, (s->n - 1) * sizeof(*v));
	}
	v[s->n++] = range;
}

/*
 * Tells one run of the machine from another: what the kernel took from a daemon that was killed is
 * still there as long as it runs. Zeros if that cannot be told.
 */
static void read_boot_id(uint8_t id[BOOT_ID_LEN])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	uint8_t hash[HASH_LEN];
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	memset(id, 0, BOOT_ID_LEN);
	if (n > 0 && sha256(text, (size_t)n, hash) == 0)
		memcpy(id, hash, BOOT_ID_LEN);
}

static bool same_boot(const struct epoch_state *s)
{
	static const uint8_t unknown[BOOT_ID_LEN];
	uint8_t now[BOOT_ID_LEN];

	read_boot_id(now);
	return memcmp(now, unknown, BOOT_ID_LEN) != 0 && memcmp(now, s->boot, BOOT_ID_LEN) == 0;
}

/* The number to go on with when numbers up to `after` may have been used. */
static uint64_t next_unused(uint64_t after)
{
	int64_t now = now_us();

	return now > 0 && (uint64_t)now > after ? (uint64_t)now : after + 1;
}

/* ---- the file ---- */

static int open_state(struct store *st, bool create)
{
	int fd = st_openat(st, store_root(st), STATE_DIR, O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (fd != -ENOENT || !create)
		return fd;
	r = st_mkdirat(st, store_root(st), STATE_DIR, 0700);
	if (r == 0)
		r = st_fsync(st, store_root(st));
	return r < 0 ? r : st_openat(st, store_root(st), STATE_DIR, O_RDONLY | O_DIRECTORY, 0);
}

static int read_state(struct store *st, const struct keyring *k, struct epoch_state *ret)
{
	_cleanup_close_ int fd = open_state(st, false);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return fd;
	r = st_read_file(st, fd, EPOCH_FILE, EPOCH_FILE_MAX, &text, &len);
	return r < 0 ? r : epoch_file_decode((const uint8_t *)text, len, k, ret);
}

static int write_state(struct store *st, const struct keyring *k, const struct epoch_state *s)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ uint8_t *out = malloc(EPOCH_FILE_MAX);
	int len;

	if (!out)
		return -ENOMEM;
	len = epoch_file_encode(s, k, out);
	if (len < 0)
		return len;
	fd = open_state(st, true);
	if (fd < 0)
		return fd;
	return st_replace_file(st, fd, EPOCH_FILE, out, (size_t)len, 0600);
}

int epochs_create(struct store *st, const struct keyring *k)
{
	_cleanup_free_ struct epoch_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->current = 1;
	return write_state(st, k, s);
}

int epochs_peek(struct store *st, struct epochs_clear *ret)
{
	_cleanup_free_ struct epoch_state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = read_state(st, NULL, s);
	if (r < 0)
		return r;
	*ret = (struct epochs_clear){
		.open = s->open, .current = s->current, .clean_end = s->clean_end, .broken = s->n};
	return 0;
}

/* True for what a damaged, foreign or removed file gives; false for trouble that says nothing. */
static bool is_loss(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EINVAL || r == -EFBIG ||
	       r == -EBADMSG || r == -ENOKEY || r == -EIO;
}

static int load_error(struct store *st, int r, struct err *err)
{
	if (r == -EPROTONOSUPPORT)
		return err_set(err, EXIT_REPO_VERSION, r,
			"%s/state/epoch was made by a newer version of coffer", store_path(st));
	if (r == -ENOMEM)
		return err_set(err, EXIT_INTERNAL, r, "out of memory");
	return err_set_errno(err, r == -EACCES || r == -EPERM ? EXIT_REPO_ACCESS : EXIT_IO, r,
		"%s/state/epoch cannot be read", store_path(st));
}

int epochs_load(struct store *st, const struct keyring *k, struct epochs **ret, bool *ret_lost,
	struct err *err)
{
	struct epochs *e = calloc(1, sizeof(*e));
	struct epoch_state *s;
	bool lost;
	int r;

	if (!e)
		return load_error(st, -ENOMEM, err);
	s = &e->state;
	r = read_state(st, k, s);
	lost = is_loss(r);
	if (r < 0 && !lost) {
		free(e);
		return load_error(st, r, err);
	}
	if (lost) {
		memset(s, 0, sizeof(*s));
		s->current = next_unused(1);
		add_range(s, (struct epoch_range){.last = s->current - 1, .start = INT64_MIN});
	} else if (s->open) {
		uint64_t cut = s->current;

		/* The next one, too, had begun if the crash came between turn and commit. */
		s->current = next_unused(cut + 1);
		add_range(s, (struct epoch_range){.first = cut,
				     .last = s->current - 1,
				     .start = s->start,
				     .soft = same_boot(s)});
	}
	e->unclean = lost || s->open;
	s->open = false;
	e->durable = s->current;
	e->store = st;
	e->keys = k;
	pthread_mutex_init(&e->writing, NULL);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->left, NULL);
	*ret = e;
	*ret_lost = lost;
	return 0;
}

void epochs_free(struct epochs *e)
{
	if (!e)
		return;
	pthread_mutex_destroy(&e->writing);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->left);
	free(e);
}

/* ---- sessions and checkpoints ---- */

/*
 * Writes a new state durably and only then believes it. `writing` is held, so nobody else changes
 * e->state but epochs_turn, which changes its current alone.
 */
static int replace(struct epochs *e, struct epoch_state *s)
{
	int r;

	r = write_state(e->store, e->keys, s);
	if (r < 0)
		return r;
	lock(e);
	if (e->state.current > s->current)
		s->current = e->state.current;
	e->state = *s;
	unlock(e);
	return 0;
}

int epochs_begin(struct epochs *e)
{
	_cleanup_free_ struct epoch_state *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_lock(&e->writing);
	lock(e);
	*s = e->state;
	unlock(e);
	s->open = true;
	s->start = now_us() / 1000000;
	read_boot_id(s->boot);
	r = replace(e, s);
	pthread_mutex_unlock(&e->writing);
	return r;
}

/* The state when epochs below `current` end, those that were spoiled as broken ones. */
static void end_epochs(const struct epochs *e, uint64_t current, struct epoch_state *ret)
{
	lock(e);
	*ret = e->state;
	ret->current = current;
	if (e->spoiled && e->durable < current)
		add_range(ret, (struct epoch_range){.first = e->durable,
				       .last = current - 1,
				       .start = ret->start,
				       .soft = true});
	unlock(e);
}

static void ended(struct epochs *e, uint64_t current)
{
	lock(e);
	e->durable = current;
	if (e->spoiled && e->spoiled_last < current)
		e->spoiled = false;
	unlock(e);
}

int epochs_end(struct epochs *e)
{
	_cleanup_free_ struct epoch_state *s = malloc(sizeof(*s));
	uint64_t next;
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_lock(&e->writing);
	next = epochs_current(e) + 1;
	end_epochs(e, next, s);
	s->open = false;
	s->start = 0;
	s->clean_end = now_us() / 1000000;
	r = replace(e, s);
	if (r == 0)
		ended(e, next);
	pthread_mutex_unlock(&e->writing);
	return r;
}

int epochs_turn(struct epochs *e)
{
	lock(e);
	if (e->state.current == e->durable)
		e->state.current++;
	while (e->in_flight[(e->state.current - 1) % 2] > 0)
		pthread_cond_wait(&e->left, &e->lock);
	unlock(e);
	return 0;
}

int epochs_commit(struct epochs *e)
{
	_cleanup_free_ struct epoch_state *s = malloc(sizeof(*s));
	uint64_t current;
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_lock(&e->writing);
	current = epochs_current(e);
	end_epochs(e, current, s);
	r = replace(e, s);
	if (r == 0)
		ended(e, current);
	pthread_mutex_unlock(&e->writing);
	return r;
}

uint64_t epochs_enter(struct epochs *e)
{
	uint64_t epoch;

	lock(e);
	epoch = e->state.current;
	e->in_flight[epoch % 2]++;
	unlock(e);
	return epoch;
}

void epochs_leave(struct epochs *e, uint64_t epoch)
{
	lock(e);
	if (--e->in_flight[epoch % 2] == 0)
		pthread_cond_broadcast(&e->left);
	unlock(e);
}

void epochs_spoil(struct epochs *e)
{
	lock(e);
	e->spoiled = true;
	e->spoiled_last = e->state.current;
	unlock(e);
}

/* ---- questions ---- */

uint64_t epochs_current(const struct epochs *e)
{
	uint64_t current;

	lock(e);
	current = e->state.current;
	unlock(e);
	return current;
}

uint64_t epochs_durable(const struct epochs *e)
{
	uint64_t durable;

	lock(e);
	durable = e->durable;
	unlock(e);
	return durable;
}

static bool broken(const struct epochs *e, uint64_t epoch)
{
	const struct epoch_state *s = &e->state;

	/*
	 * Later than any that we know of: after a clean end no crash can have left that. Somebody
	 * put back an older state/epoch, which must not turn his cuts into crash leftovers.
	 */
	if (epoch > s->current)
		return e->unclean;
	if (e->spoiled && epoch >= e->durable)
		return true;
	for (uint32_t i = s->n; i-- > 0;)
		if (s->ranges[i].first <= epoch && epoch <= s->ranges[i].last)
			return true;
	return false;
}

bool epochs_broken(const struct epochs *e, uint64_t epoch)
{
	bool r;

	lock(e);
	r = broken(e, epoch);
	unlock(e);
	return r;
}

bool epochs_complete(const struct epochs *e, uint64_t epoch)
{
	bool r;

	lock(e);
	r = epoch < e->durable && !broken(e, epoch);
	unlock(e);
	return r;
}

bool epochs_broken_after(const struct epochs *e, uint64_t epoch)
{
	const struct epoch_state *s = &e->state;
	bool r;

	lock(e);
	r = e->spoiled || (s->n > 0 && s->ranges[s->n - 1].last > epoch);
	unlock(e);
	return r;
}

bool epochs_soft(const struct epochs *e, uint64_t epoch)
{
	const struct epoch_state *s = &e->state;
	bool r;

	lock(e);
	r = epoch <= s->current;
	for (uint32_t i = s->n; i-- > 0 && s->ranges[i].last >= epoch && r;)
		r = s->ranges[i].soft;
	unlock(e);
	return r;
}

bool epochs_suspect(const struct epochs *e, const struct timespec *ctime)
{
	const struct epoch_state *s = &e->state;
	bool r;

	lock(e);
	r = e->spoiled && s->start - CLOCK_SLACK <= ctime->tv_sec;
	for (uint32_t i = 0; i < s->n && !r; i++)
		r = s->ranges[i].start < INT64_MIN + CLOCK_SLACK ||
		    s->ranges[i].start - CLOCK_SLACK <= ctime->tv_sec;
	unlock(e);
	return r;
}

bool epochs_last_unclean(const struct epochs *e)
{
	return e->unclean;
}

unsigned epochs_broken_count(const struct epochs *e)
{
	unsigned n;

	lock(e);
	n = e->state.n;
	unlock(e);
	return n;
}

long long epochs_clean_end(const struct epochs *e)
{
	long long when;

	lock(e);
	when = e->state.open ? 0 : e->state.clean_end;
	unlock(e);
	return when;
}
