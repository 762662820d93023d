# libFuzzer targets, one per decoder of untrusted bytes. They need clang:
#   ./configure CC=clang --enable-fuzz-targets CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address,undefined'
#   make && tests/fuzz/fuzz_name -max_total_time=60
# (without the CFLAGS the targets work, but find their way less well: the library then tells them no coverage)
FUZZ_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_LIBS = libcoffer.a

if FUZZ_TARGETS
fuzz_targets =
noinst_PROGRAMS += $(fuzz_targets)

fuzz_targets += tests/fuzz/fuzz_name
tests_fuzz_fuzz_name_SOURCES = tests/fuzz/fuzz_name.c tests/fuzz/fuzz_ring.h
tests_fuzz_fuzz_name_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_name_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_target
tests_fuzz_fuzz_target_SOURCES = tests/fuzz/fuzz_target.c tests/fuzz/fuzz_ring.h
tests_fuzz_fuzz_target_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_target_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_config_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_record
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c
tests_fuzz_fuzz_record_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_record_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_epoch
tests_fuzz_fuzz_epoch_SOURCES = tests/fuzz/fuzz_epoch.c tests/fuzz/fuzz_ring.h
tests_fuzz_fuzz_epoch_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_epoch_LDADD = $(FUZZ_LIBS)
endif
EXTRA_DIST += tests/fuzz/fuzz_config.dict
