/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "node/node.h"
#include "util/log.h"

#define DEFAULT_CHECKPOINT 60
/* Descriptors that are not the cache's: standard streams, /dev/fuse, repository, and those of calls
 * in flight. */
#define OTHER_DESCRIPTORS 32
#define MOST_DESCRIPTORS 4096

static unsigned default_max_open(void)
{
	struct rlimit lim;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 256;
	if (lim.rlim_cur < lim.rlim_max) {
		struct rlimit more = {.rlim_cur = lim.rlim_max, .rlim_max = lim.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			lim = more;
	}
	if (lim.rlim_cur > MOST_DESCRIPTORS)
		return MOST_DESCRIPTORS;
	return lim.rlim_cur > 2 * OTHER_DESCRIPTORS ? (unsigned)lim.rlim_cur - OTHER_DESCRIPTORS
						    : (unsigned)lim.rlim_cur / 3;
}

static void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	struct node *n;
	while (fs->shards[0].buckets && (n = table_take_any(fs)))
		node_free_flat(fs, n);
	free(fs->dirty);
	table_free(fs);
	epochs_free(fs->epochs);
	fdcache_free(fs->fds);
	if (fs->data_fd >= 0)
		close(fs->data_fd);
	if (fs->hidden_fd >= 0)
		close(fs->hidden_fd);
	if (fs->targets_fd >= 0)
		close(fs->targets_fd);
	pthread_rwlock_destroy(&fs->names);
	pthread_mutex_destroy(&fs->dirty_lock);
	pthread_mutex_destroy(&fs->handles_lock);
	pthread_mutex_destroy(&fs->checkpoint_lock);
	pthread_mutex_destroy(&fs->timer_lock);
	pthread_cond_destroy(&fs->timer_cond);
	free(fs);
}
DEFINE_CLEANUP(struct fs *, fs_free)

static struct fs *fs_new(struct store *st, const struct keyring *keys)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	if (!fs)
		return NULL;
	fs->store = st;
	fs->keys = keys;
	fs->data_fd = fs->hidden_fd = fs->targets_fd = -1;
	pthread_rwlock_init(&fs->names, NULL);
	pthread_mutex_init(&fs->dirty_lock, NULL);
	pthread_mutex_init(&fs->handles_lock, NULL);
	pthread_mutex_init(&fs->checkpoint_lock, NULL);
	pthread_mutex_init(&fs->timer_lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fs->timer_cond, &attr);
	pthread_condattr_destroy(&attr);
	return fs;
}

static int open_root(struct fs *fs, struct err *err)
{
	struct stat st;
	fs->data_fd = st_open_dir(fs->store, store_root(fs->store), "data");
	int r = fs->data_fd < 0 ? fs->data_fd : st_fstat(fs->store, fs->data_fd, &st);
	if (r < 0)
		return err_set_errno(err, EXIT_REPO_DAMAGED, r,
			"%s/data, the directory that holds the encrypted files, cannot be opened",
			store_path(fs->store));
	fs->dev = st.st_dev;
	r = table_get(fs, &st, NULL, NULL, &fs->root);
	if (r < 0)
		return err_set_errno(err, EXIT_INTERNAL, r, "cannot start the file system");
	return 0;
}

/* A directory of our own below data/, made at the first mount. A read-only repository may lack it.
 */
static int open_own(struct fs *fs, const char *name, int *ret)
{
	int r = store_read_only(fs->store) ? 0 : st_mkdirat(fs->store, fs->data_fd, name, 0700);
	if (r < 0 && r != -EEXIST)
		return r;
	int fd = st_openat(fs->store, fs->data_fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0)
		*ret = fd;
	return fd < 0 && !(fd == -ENOENT && store_read_only(fs->store)) ? fd : 0;
}

static int open_own_dirs(struct fs *fs)
{
	int r = open_own(fs, HIDDEN_DIR, &fs->hidden_fd);
	return r < 0 ? r : open_own(fs, TARGETS_DIR, &fs->targets_fd);
}

/* The session of this mount begins: from here on the disk says that it is open. */
static int begin(struct fs *fs, struct err *err)
{
	fs->unclean = epochs_last_unclean(fs->epochs);
	if (fs->unclean)
		log_warning("%s: the last mount did not end cleanly; files that were being written "
			    "are recovered as "
			    "they are used",
			store_path(fs->store));
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&fs->synced_before, now.tv_sec * 1000000000LL + now.tv_nsec);
	if (store_read_only(fs->store)) {
		int r = open_own_dirs(fs);
		return r < 0 ? err_set_errno(err, EXIT_IO, r, "%s/data cannot be read",
				       store_path(fs->store))
			     : 0;
	}
	/* A daemon that was killed left pages in write-back: rewriting them now could tear them on
	 * the disk. */
	int r = fs->unclean ? st_syncfs(fs->store) : 0;
	if (r == 0)
		r = epochs_begin(fs->epochs);
	if (r == 0)
		r = open_own_dirs(fs);
	if (r == 0)
		r = sweep_hidden(fs);
	if (r < 0)
		return err_set_errno(err, r == -ENOSPC || r == -EDQUOT ? EXIT_NO_SPACE : EXIT_IO, r,
			"%s: cannot write the repository's state", store_path(fs->store));
	return 0;
}

int fs_open(struct store *st, const struct keyring *keys, const struct fs_options *o,
	struct fs **ret, struct err *err)
{
	_cleanup_(fs_freep) struct fs *fs = fs_new(st, keys);
	if (!fs)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	fs->checkpoint_seconds =
		o && o->checkpoint_seconds ? o->checkpoint_seconds : DEFAULT_CHECKPOINT;
	int r = table_init(fs);
	if (r == 0)
		r = fdcache_new(o && o->max_open ? o->max_open : default_max_open(), &fs->fds);
	if (r < 0)
		return err_set(err, EXIT_INTERNAL, r, "out of memory");
	bool lost = false;
	r = epochs_load(st, keys, &fs->epochs, &lost, err);
	if (r < 0)
		return r;
	if (lost)
		log_warning("%s/state/epoch is missing or not authentic: files are read by the "
			    "rules for an unclean end",
			store_path(st));
	fs->blobs = (struct blob_env){.store = st,
		.keys = keys,
		.epochs = fs->epochs,
		.damage = damage_record,
		.recovered = damage_recovered};
	r = open_root(fs, err);
	if (r == 0)
		r = begin(fs, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(fs);
	return 0;
}

/* Finishes and closes every file that is left, whatever the kernel still referenced. */
static int finish_nodes(struct fs *fs)
{
	int first = 0;
	struct node *n;
	while ((n = table_take_any(fs))) {
		if (S_ISREG(n->mode) && n->file && n->file->blob && !n->dead && !n->hidden) {
			int r = file_finish(fs, n);
			if (r < 0 && first == 0)
				first = r;
		}
		node_free_flat(fs, n);
	}
	fs->root = NULL;
	return first;
}

int fs_close(struct fs *fs)
{
	if (!fs)
		return 0;
	fs_stop_timer(fs);
	handles_free(fs);
	int r = finish_nodes(fs);
	if (!store_read_only(fs->store)) {
		if (r == 0)
			r = st_syncfs(fs->store);
		if (r == 0)
			r = epochs_end(fs->epochs);
	}
	fs_free(fs);
	return r;
}

struct node *fs_root(struct fs *fs)
{
	return fs->root;
}

bool fs_read_only(const struct fs *fs)
{
	return store_read_only(fs->store);
}

void fs_stats(struct fs *fs, struct fs_stats *ret)
{
	*ret = (struct fs_stats){
		.nodes = table_count(fs),
		.descriptors = fdcache_count(fs->fds),
		.damage = atomic_load(&fs->damage),
		.recovered = atomic_load(&fs->recovered),
		.unclean = fs->unclean,
	};
}

int fs_statvfs(struct fs *fs, struct statvfs *ret)
{
	struct statfs s;
	int r = st_fstatfs(fs->store, &s);
	if (r < 0)
		return r;
	/* Every record of 4096 bytes on the disk holds 4066 of a file. */
	uint64_t unit = s.f_frsize ? (uint64_t)s.f_frsize : (uint64_t)s.f_bsize;
	double plain = (double)unit / RECORD_SIZE * CAP_RECORD / RECORD_SIZE;
	*ret = (struct statvfs){
		.f_bsize = RECORD_SIZE,
		.f_frsize = RECORD_SIZE,
		.f_blocks = (fsblkcnt_t)((double)s.f_blocks * plain),
		.f_bfree = (fsblkcnt_t)((double)s.f_bfree * plain),
		.f_bavail = (fsblkcnt_t)((double)s.f_bavail * plain),
		.f_files = s.f_files,
		.f_ffree = s.f_ffree,
		.f_favail = s.f_ffree,
		.f_namemax = NAME_MAX_PLAIN,
	};
	return 0;
}
