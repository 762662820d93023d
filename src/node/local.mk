libcoffer_a_SOURCES += \
	src/node/alias.c \
	src/node/attr.c \
	src/node/checkpoint.c \
	src/node/creds.c \
	src/node/damage.c \
	src/node/fdcache.c src/node/fdcache.h \
	src/node/file.c \
	src/node/fs.c src/node/fs.h \
	src/node/fsxattr.c \
	src/node/lookup.c \
	src/node/make.c \
	src/node/node.h \
	src/node/open.c \
	src/node/path.c \
	src/node/place.c \
	src/node/readdir.c \
	src/node/remove.c \
	src/node/rename.c \
	src/node/sync.c \
	src/node/table.c
