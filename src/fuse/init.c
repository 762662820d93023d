/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "config.h"
#include "fuse/ops.h"
#include "util/control.h"

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct daemon *d = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC |
			FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
			FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_IOCTL_DIR | FUSE_CAP_CACHE_SYMLINKS |
			/* ACLs and umask are the backing file system's business (creds.c). */
			FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
	if (!d->read_only)
		want |= FUSE_CAP_WRITEBACK_CACHE;
	conn->want = conn->capable & want;
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
	fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
#endif
	conn->max_write = MAX_REQUEST;
	conn->max_readahead = MAX_REQUEST;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
	atomic_store(&d->initialised, true);
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in_buf, size_t in_size, size_t out_size)
{
	(void)ino;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in_buf;
	(void)in_size;
	(void)out_size;
	if (cmd != CONTROL_CHECKPOINT) {
		reply_err(req, -ENOTTY);
		return;
	}
	int r = fs_checkpoint(req_fs(req));
	if (r < 0)
		reply_err(req, r);
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
}

#if !defined(FUSE_CAP_HANDLE_KILLPRIV_V2) && HAVE_FUSE_SESSION_CUSTOM_IO
/*
 * Without FUSE_HANDLE_KILLPRIV_V2 the kernel asks for security.capability before every single
 * write(2), a round trip each. libfuse below 3.17 cannot ask for the flag, so it is added to the
 * answer to INIT on its way, if the kernel offered it. Its meaning for us: writes, truncations and
 * chown clear set-id bits when told to (rawrequest.c); no other message changes its form.
 */
static bool offered;
static uint64_t init_unique;

static ssize_t hooked_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	ssize_t n = read(fd, buf, len);
	const struct fuse_in_header *in = buf;
	if (n >= (ssize_t)(sizeof(*in) + sizeof(struct fuse_init_in)) && in->opcode == FUSE_INIT) {
		const struct fuse_init_in *arg = (const void *)(in + 1);
		offered = arg->flags & FUSE_HANDLE_KILLPRIV_V2;
		init_unique = in->unique;
	}
	return n;
}

static ssize_t hooked_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	const struct fuse_out_header *out = iov[0].iov_base;
	if (offered && out->unique == init_unique && out->error == 0 && count > 1 &&
		iov[1].iov_len >= offsetof(struct fuse_init_out, max_background)) {
		struct fuse_init_out *arg = iov[1].iov_base;
		arg->flags |= FUSE_HANDLE_KILLPRIV_V2;
		offered = false;
	}
	return writev(fd, iov, count);
}

int init_hook(struct fuse_session *se)
{
	static const struct fuse_custom_io io = {.read = hooked_read, .writev = hooked_writev};
	return fuse_session_custom_io(se, &io, fuse_session_fd(se));
}
#else
int init_hook(struct fuse_session *se)
{
	(void)se;
	return 0;
}
#endif
