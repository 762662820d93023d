libcoffer_a_SOURCES += \
	src/keys/config.c src/keys/config.h src/keys/config_internal.h \
	src/keys/config_file.c \
	src/keys/config_text.c \
	src/keys/fields.c src/keys/fields.h \
	src/keys/password.c src/keys/password.h \
	src/keys/repo.c src/keys/repo.h src/keys/repo_internal.h \
	src/keys/repo_create.c \
	src/keys/slot.c src/keys/slot.h \
	src/keys/slot_password.c \
	src/keys/terminal.c src/keys/terminal.h
