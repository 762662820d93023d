libcoffer_a_SOURCES += \
	src/fuse/attr.c \
	src/fuse/dir.c \
	src/fuse/entry.c \
	src/fuse/file.c \
	src/fuse/flusher.c \
	src/fuse/init.c \
	src/fuse/ops.h \
	src/fuse/rawrequest.c \
	src/fuse/session.c src/fuse/session.h \
	src/fuse/unmount.c
