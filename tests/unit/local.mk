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

# store/ and name/
unit_tests += tests/unit/test_store tests/unit/test_replace tests/unit/test_lock \
	tests/unit/test_probe tests/unit/test_name tests/unit/test_target tests/unit/test_xattr
tests_unit_test_store_SOURCES = tests/unit/test_store.c tests/unit/scratch.h
tests_unit_test_store_LDADD = $(UNIT_LIBS)
tests_unit_test_replace_SOURCES = tests/unit/test_replace.c tests/unit/scratch.h
tests_unit_test_replace_LDADD = $(UNIT_LIBS)
tests_unit_test_lock_SOURCES = tests/unit/test_lock.c tests/unit/scratch.h
tests_unit_test_lock_LDADD = $(UNIT_LIBS)
tests_unit_test_probe_SOURCES = tests/unit/test_probe.c tests/unit/scratch.h
tests_unit_test_probe_LDADD = $(UNIT_LIBS)
tests_unit_test_name_SOURCES = tests/unit/test_name.c tests/unit/ring.h tests/unit/scratch.h
tests_unit_test_name_LDADD = $(UNIT_LIBS)
tests_unit_test_target_SOURCES = tests/unit/test_target.c tests/unit/ring.h
tests_unit_test_target_LDADD = $(UNIT_LIBS)
tests_unit_test_xattr_SOURCES = tests/unit/test_xattr.c tests/unit/hex.h tests/unit/ring.h \
	tests/unit/scratch.h
tests_unit_test_xattr_LDADD = $(UNIT_LIBS)

# conf/, keys/, cmd/
unit_tests += tests/unit/test_ini tests/unit/test_config tests/unit/test_config_file \
	tests/unit/test_password tests/unit/test_repo tests/unit/test_options \
	tests/unit/test_mounting
tests_unit_test_ini_SOURCES = tests/unit/test_ini.c
tests_unit_test_ini_LDADD = $(UNIT_LIBS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c
tests_unit_test_config_LDADD = $(UNIT_LIBS)
tests_unit_test_config_file_SOURCES = tests/unit/test_config_file.c
tests_unit_test_config_file_LDADD = $(UNIT_LIBS)
tests_unit_test_password_SOURCES = tests/unit/test_password.c
tests_unit_test_password_LDADD = $(UNIT_LIBS) -lutil
tests_unit_test_repo_SOURCES = tests/unit/test_repo.c
tests_unit_test_repo_LDADD = $(UNIT_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test_options.c
tests_unit_test_options_LDADD = $(UNIT_LIBS)
tests_unit_test_mounting_SOURCES = tests/unit/test_mounting.c
tests_unit_test_mounting_LDADD = $(UNIT_LIBS)

# the pages
unit_tests += tests/unit/test_format_page
tests_unit_test_format_page_SOURCES = tests/unit/test_format_page.c
tests_unit_test_format_page_LDADD = $(UNIT_LIBS)

# blob/
unit_tests += tests/unit/test_layout tests/unit/test_record tests/unit/test_epoch \
	tests/unit/test_blob tests/unit/test_blob_damage tests/unit/test_blob_faults \
	tests/unit/test_blob_crash tests/unit/test_blob_threads
blob_world = tests/unit/blob_world.h tests/unit/ring.h tests/unit/scratch.h
tests_unit_test_layout_SOURCES = tests/unit/test_layout.c
tests_unit_test_layout_LDADD = $(UNIT_LIBS)
tests_unit_test_record_SOURCES = tests/unit/test_record.c
tests_unit_test_record_LDADD = $(UNIT_LIBS)
tests_unit_test_epoch_SOURCES = tests/unit/test_epoch.c $(blob_world)
tests_unit_test_epoch_LDADD = $(UNIT_LIBS)
tests_unit_test_blob_SOURCES = tests/unit/test_blob.c $(blob_world)
tests_unit_test_blob_LDADD = $(UNIT_LIBS)
tests_unit_test_blob_damage_SOURCES = tests/unit/test_blob_damage.c $(blob_world)
tests_unit_test_blob_damage_LDADD = $(UNIT_LIBS)
tests_unit_test_blob_faults_SOURCES = tests/unit/test_blob_faults.c $(blob_world)
tests_unit_test_blob_faults_LDADD = $(UNIT_LIBS)
tests_unit_test_blob_crash_SOURCES = tests/unit/test_blob_crash.c $(blob_world)
tests_unit_test_blob_crash_LDADD = $(UNIT_LIBS)
tests_unit_test_blob_threads_SOURCES = tests/unit/test_blob_threads.c $(blob_world)
tests_unit_test_blob_threads_LDADD = $(UNIT_LIBS)
