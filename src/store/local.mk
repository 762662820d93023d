libcoffer_a_SOURCES += \
	src/store/content.c \
	src/store/file.c \
	src/store/forced_open.c \
	src/store/lock.c src/store/lock.h \
	src/store/lock_text.c src/store/lock_text.h \
	src/store/names.c \
	src/store/probe.c \
	src/store/store.c src/store/store.h src/store/store_priv.h \
	src/store/traits.c \
	src/store/xattrs.c
