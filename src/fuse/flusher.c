/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fuse/ops.h"

/*
 * The kernel does not write dirty pages out before it asks for SEEK_DATA or SEEK_HOLE, so an answer
 * from the blob alone could call fresh data a hole, and a copying program would lose it.
 * Invalidating the inode makes the kernel write them first. That call waits for WRITE requests,
 * which need a worker: it is done by one thread of its own, never by a worker.
 */
struct seek {
	struct seek *next;
	fuse_req_t req;
	fuse_ino_t ino;
	off_t off;
	int whence;
};

struct flusher {
	struct daemon *daemon;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct seek *first, **last; /* lock */
	bool stopping;              /* lock */
};

static void answer(struct daemon *d, struct seek *s)
{
	int r = fuse_lowlevel_notify_inval_inode(d->session, s->ino, 0, 0);
	/* -ENOENT: the kernel has no such inode any more, so no pages either. */
	int64_t pos = r < 0 && r != -ENOENT ? r
					    : fs_lseek(d->fs, ino_node(d->fs, s->ino),
						      (uint64_t)s->off, s->whence);
	if (pos < 0)
		reply_err(s->req, (int)pos);
	else
		fuse_reply_lseek(s->req, pos);
}

static void *flusher_main(void *arg)
{
	struct flusher *f = arg;
	pthread_mutex_lock(&f->lock);
	for (;;) {
		while (!f->first && !f->stopping)
			pthread_cond_wait(&f->work, &f->lock);
		struct seek *s = f->first;
		if (!s)
			break;
		f->first = s->next;
		if (!f->first)
			f->last = &f->first;
		bool stopping = f->stopping;
		pthread_mutex_unlock(&f->lock);
		if (stopping)
			reply_err(s->req, -EIO);
		else
			answer(f->daemon, s);
		free(s);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

int flusher_start(struct daemon *d, struct flusher **ret)
{
	struct flusher *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->daemon = d;
	f->last = &f->first;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->work, NULL);
	int r = pthread_create(&f->thread, NULL, flusher_main, f);
	if (r != 0) {
		free(f);
		return -r;
	}
	*ret = f;
	return 0;
}

void flusher_stop(struct flusher *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->work);
	free(f);
}

void flusher_seek(struct flusher *f, fuse_req_t req, fuse_ino_t ino, off_t off, int whence)
{
	struct seek *s = malloc(sizeof(*s));
	if (!s) {
		reply_err(req, -ENOMEM);
		return;
	}
	*s = (struct seek){.req = req, .ino = ino, .off = off, .whence = whence};
	pthread_mutex_lock(&f->lock);
	*f->last = s;
	f->last = &s->next;
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
}
