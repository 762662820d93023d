libcoffer_a_SOURCES += \
	src/cmd/break_lock.c \
	src/cmd/command.c src/cmd/command.h \
	src/cmd/daemon.c src/cmd/daemon.h \
	src/cmd/fuse_check.c src/cmd/fuse_check.h \
	src/cmd/header.c \
	src/cmd/holders.c src/cmd/holders.h \
	src/cmd/init.c \
	src/cmd/mount.c \
	src/cmd/mount_options.c src/cmd/mount_options.h \
	src/cmd/mountinfo.c src/cmd/mountinfo.h \
	src/cmd/mountpoint.c src/cmd/mountpoint.h \
	src/cmd/nearest.c src/cmd/nearest.h \
	src/cmd/options.c src/cmd/options.h \
	src/cmd/passwd.c \
	src/cmd/status.c \
	src/cmd/status_report.c src/cmd/status_report.h \
	src/cmd/sync.c \
	src/cmd/umount.c \
	src/cmd/unmount.c src/cmd/unmount.h
