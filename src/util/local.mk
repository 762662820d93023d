libcoffer_a_SOURCES += \
	src/util/b64.c src/util/b64.h \
	src/util/bytes.c src/util/bytes.h \
	src/util/cleanup.h \
	src/util/control.h \
	src/util/error.c src/util/error.h \
	src/util/exitcode.c src/util/exitcode.h \
	src/util/json.c src/util/json.h \
	src/util/log.c src/util/log.h \
	src/util/secret.c src/util/secret.h
