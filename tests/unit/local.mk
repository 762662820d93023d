# unit_tests += tests/unit/test_foo
# tests_unit_test_foo_SOURCES = tests/unit/test_foo.c
# tests_unit_test_foo_LDADD = $(UNIT_LIBS)

# util/ and crypto/
unit_tests += tests/unit/test_util tests/unit/test_secret tests/unit/test_crypto \
	tests/unit/test_cipher tests/unit/test_keyring
tests_unit_test_util_SOURCES = tests/unit/test_util.c
tests_unit_test_util_LDADD = $(UNIT_LIBS)
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_LDADD = $(UNIT_LIBS)
tests_unit_test_crypto_SOURCES = tests/unit/test_crypto.c tests/unit/hex.h
tests_unit_test_crypto_LDADD = $(UNIT_LIBS)
tests_unit_test_cipher_SOURCES = tests/unit/test_cipher.c tests/unit/hex.h
tests_unit_test_cipher_LDADD = $(UNIT_LIBS)
tests_unit_test_keyring_SOURCES = tests/unit/test_keyring.c tests/unit/hex.h
tests_unit_test_keyring_LDADD = $(UNIT_LIBS)

# node/
unit_tests += tests/unit/test_node
tests_unit_test_node_SOURCES = tests/unit/test_node.c
tests_unit_test_node_LDADD = $(UNIT_LIBS)
