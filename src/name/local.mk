libcoffer_a_SOURCES += \
	src/name/dirid.c \
	src/name/name.c src/name/name.h \
	src/name/target.c src/name/target.h \
	src/name/xattr.c src/name/xattr.h \
	src/name/xattr_format.c src/name/xattr_format.h
