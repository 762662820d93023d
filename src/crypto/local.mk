libcoffer_a_SOURCES += \
	src/crypto/aead.c \
	src/crypto/crypto.h \
	src/crypto/ctxcache.c src/crypto/ctxcache.h \
	src/crypto/hash.c \
	src/crypto/keyring.c src/crypto/keyring.h \
	src/crypto/keywrap.c \
	src/crypto/ossl.c src/crypto/ossl.h \
	src/crypto/random.c \
	src/crypto/scrypt.c \
	src/crypto/sign.c \
	src/crypto/siv.c
