# Unit tests: one program per module, cmocka, no mount. Each folder's helper adds its own below.
if HAVE_CMOCKA
unit_tests =
include tests/unit/local.mk
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
AM_TESTS_ENVIRONMENT = srcdir='$(abs_srcdir)'; export srcdir;
UNIT_LIBS = libcoffer.a $(CMOCKA_LIBS)

include tests/fuzz/local.mk
include tests/mounted/local.mk

# Checks that need no build.
TESTS += tests/exitcodes.test
EXTRA_DIST += tests/exitcodes.test
