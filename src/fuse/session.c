/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuse/ops.h"
#include "fuse/session.h"
#include "util/cleanup.h"
#include "util/log.h"

#define MOST_THREADS 64
/* How long a mount that is busy when we are told to stop may go on before its connection is cut. */
#define STOP_GRACE_SECONDS 5

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.ioctl = op_ioctl,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
#if FUSE_VERSION >= 317
	.tmpfile = op_tmpfile,
#endif
	/* No flush: the kernel writes its pages at close by itself and then stops asking. No
	   access: default_permissions. */
};

/* One serving of a mount. */
struct serving {
	struct daemon daemon;
	const struct fuse_mount_options *options;
	pthread_t main, threads[MOST_THREADS];
	unsigned thread_count;
	atomic_uint running;
	dev_t dev;
	bool usable, cut;
};

/* A serving whose connection was cut off stays as it is to the end of the process. */
static struct serving *volatile abandoned;

/* ---- per-thread reply buffer ---- */
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	if (pthread_key_create(&buffer_key, free) != 0)
		abort();
}

void *thread_buffer(void)
{
	pthread_once(&buffer_once, make_key);
	void *buf = pthread_getspecific(buffer_key);
	if (!buf && posix_memalign(&buf, 4096, MAX_REQUEST) == 0)
		pthread_setspecific(buffer_key, buf);
	return buf;
}

/* ---- workers ---- */
static void *worker_main(void *arg)
{
	struct serving *s = arg;
	struct fuse_session *se = s->daemon.session;
	struct fuse_buf buf = {.mem = NULL};
	bool was_ready = atomic_load(&s->daemon.initialised);
	while (!fuse_session_exited(se)) {
		int r = fuse_session_receive_buf(se, &buf);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break; /* unmounted */
		raw_set(buf.mem);
		fuse_session_process_buf(se, &buf);
		raw_set(NULL);
		if (!was_ready && atomic_load(&s->daemon.initialised)) {
			was_ready = true;
			pthread_kill(s->main, SIGUSR1);
		}
	}
	free(buf.mem);
	fuse_session_exit(se);
	if (atomic_fetch_sub(&s->running, 1) == 1)
		pthread_kill(s->main, SIGUSR2);
	return NULL;
}

static unsigned choose_threads(unsigned wanted)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = wanted ? wanted : cpus > 0 ? (unsigned)cpus * 2 + 2 : 4;
	return n < MOST_THREADS ? n : MOST_THREADS;
}

static int start_workers(struct serving *s)
{
	unsigned want = choose_threads(s->options->threads);
	for (unsigned i = 0; i < want; i++) {
		atomic_fetch_add(&s->running, 1);
		int r = pthread_create(&s->threads[i], NULL, worker_main, s);
		if (r != 0) {
			atomic_fetch_sub(&s->running, 1);
			return i > 0 ? 0 : -r;
		}
		s->thread_count++;
	}
	return 0;
}

/* ---- stopping ---- */
static void ignore_signal(int sig)
{
	(void)sig;
}

/*
 * SIGUSR1: the mount became usable; SIGUSR2: no worker is left; the rest ask us to stop. They are
 * blocked in every thread and taken by the main one with sigtimedwait. SIGALRM only interrupts a
 * worker's read.
 */
static void signals_prepare(sigset_t *ret_wait, sigset_t *ret_old)
{
	sigemptyset(ret_wait);
	sigaddset(ret_wait, SIGUSR1);
	sigaddset(ret_wait, SIGUSR2);
	sigaddset(ret_wait, SIGTERM);
	sigaddset(ret_wait, SIGINT);
	sigaddset(ret_wait, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret_wait, ret_old);
	struct sigaction wake = {.sa_handler = ignore_signal};
	sigaction(SIGALRM, &wake, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void signals_ignore(const sigset_t *old)
{
	static const int ours[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP};
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		signal(ours[i], SIG_IGN);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* Waits for a signal of the set, at most seconds (< 0: for ever). 0: time is over. */
static int wait_signal(const sigset_t *set, int seconds)
{
	for (;;) {
		struct timespec ts = {.tv_sec = seconds};
		int sig = seconds < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &ts);
		if (sig > 0)
			return sig;
		if (errno != EINTR)
			return 0;
	}
}

/* Told to stop: everything that the kernel holds is written out while the workers still serve, then
 * the mount goes. */
static void stop_mount(struct serving *s)
{
	const char *mountpoint = s->options->mountpoint;
	_cleanup_close_ int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && syncfs(fd) < 0)
		log_warning("%s: writing out what the kernel still held failed: %s", mountpoint,
			strerror(errno));
	if (fd >= 0)
		close(TAKE_FD(fd));
	int r = unmount_path(mountpoint, s->dev, false);
	if (r == -EBUSY) {
		log_warning("%s is still in use: it is detached now, and cut off in %d s",
			mountpoint, STOP_GRACE_SECONDS);
		r = unmount_path(mountpoint, s->dev, true);
	}
	if (r < 0)
		log_warning("%s: unmounting failed: %s", mountpoint, strerror(-r));
}

/* Makes the workers leave although the kernel may still have the connection. */
static void cut_off(struct serving *s, const sigset_t *set)
{
	s->cut = true;
	fuse_session_exit(s->daemon.session);
	while (atomic_load(&s->running) > 0) {
		for (unsigned i = 0; i < s->thread_count; i++)
			pthread_kill(s->threads[i], SIGALRM);
		wait_signal(set, 1);
	}
}

static void serve(struct serving *s, const sigset_t *set, void (*ready)(void *cookie), void *cookie)
{
	bool stopping = false;
	while (atomic_load(&s->running) > 0) {
		int sig = wait_signal(set, stopping ? STOP_GRACE_SECONDS : -1);
		if (sig == SIGUSR1) {
			if (!s->usable) {
				s->usable = true;
				s->dev = mount_device(s->options->mountpoint);
				ready(cookie);
			}
		} else if (sig == 0) {
			cut_off(s, set);
		} else if (sig != SIGUSR2 && !stopping) {
			log_info("%s: signal %d: flushing and unmounting", s->options->mountpoint,
				sig);
			stopping = true;
			stop_mount(s);
		}
	}
}

/* ---- setting up ---- */
static struct fuse_session *new_session(
	struct daemon *d, const struct fuse_mount_options *o, struct err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	_cleanup_free_ char *fsname = NULL;
	struct fuse_session *se = NULL;
	/* Commas and backslashes would end the option. */
	char *source = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&source, &len);
	if (f) {
		for (const char *p = o->source; *p; p++) {
			if (*p == ',' || *p == '\\')
				fputc('\\', f);
			fputc(*p, f);
		}
		fclose(f);
	}
	_cleanup_free_ char *escaped = source;
	if (asprintf(&fsname, "fsname=%s,subtype=coffer,default_permissions%s%s",
		    escaped ? escaped : "coffer",
		    o->kernel_options && *o->kernel_options ? "," : "",
		    o->kernel_options ? o->kernel_options : "") < 0)
		fsname = NULL;
	if (fsname && fuse_opt_add_arg(&args, "coffer") == 0 &&
		fuse_opt_add_arg(&args, "-o") == 0 && fuse_opt_add_arg(&args, fsname) == 0 &&
		(!o->debug || fuse_opt_add_arg(&args, "-d") == 0))
		se = fuse_session_new(&args, &ops, sizeof(ops), d);
	fuse_opt_free_args(&args);
	if (!se)
		err_set(err, EXIT_FUSE, -EINVAL,
			"the FUSE library refused the mount options \"%s\"", fsname ? fsname : "");
	return se;
}

static int mount_session(struct serving *s, struct err *err)
{
	const struct fuse_mount_options *o = s->options;
	s->daemon.session = new_session(&s->daemon, o, err);
	if (!s->daemon.session)
		return -EINVAL;
	if (fuse_session_mount(s->daemon.session, o->mountpoint) != 0)
		return err_set(err, EXIT_FUSE, -EIO,
			"mounting at %s failed (the line above says why); see \"Messages\" in "
			"coffer-mount(1)",
			o->mountpoint);
	int r = init_hook(s->daemon.session);
	if (r < 0)
		return err_set(err, EXIT_FUSE, r, "the FUSE library refused our channel functions");
	r = flusher_start(&s->daemon, &s->daemon.flusher);
	if (r == 0)
		r = fs_start(s->daemon.fs);
	if (r == 0)
		r = start_workers(s);
	if (r < 0)
		return err_set_errno(err, EXIT_INTERNAL, r, "cannot start threads");
	return 0;
}

int fuse_serve(struct fs *fs, const struct fuse_mount_options *o, void (*ready)(void *cookie),
	void *cookie, struct err *err)
{
	struct serving *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, EXIT_INTERNAL, -ENOMEM, "out of memory");
	s->options = o;
	s->main = pthread_self();
	s->daemon.fs = fs;
	s->daemon.read_only = o->read_only;
	sigset_t set, old;
	signals_prepare(&set, &old);
	int r = mount_session(s, err);
	if (r == 0)
		serve(s, &set, ready, cookie);
	for (unsigned i = 0; i < s->thread_count; i++)
		pthread_join(s->threads[i], NULL);
	flusher_stop(s->daemon.flusher);
	/* From here on nothing can be stopped any more: late signals change nothing. */
	signals_ignore(&old);
	if (s->daemon.session && s->cut) {
		/* The kernel still has the connection, and the mount point may be somebody else's
		 * by now: only our end closes it. */
		abandoned = s;
		return r;
	}
	if (s->daemon.session) {
		fuse_session_unmount(s->daemon.session);
		fuse_session_destroy(s->daemon.session);
	}
	free(s);
	return r;
}
