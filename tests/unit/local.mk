# unit_tests += tests/unit/test_foo
# tests_unit_test_foo_SOURCES = tests/unit/test_foo.c
# tests_unit_test_foo_LDADD = $(UNIT_LIBS)
