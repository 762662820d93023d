# Tests of real mounts (pytest): contrib/check runs them, or by hand, as root:
#   COFFER=$PWD/coffer /usr/bin/python3 -m pytest tests/mounted
EXTRA_DIST += \
	tests/mounted/conftest.py \
	tests/mounted/exitcodes.py \
	tests/mounted/expect.py \
	tests/mounted/harness.py \
	tests/mounted/system.py \
	tests/mounted/tree.py \
	tests/mounted/test_acl.py \
	tests/mounted/test_badinput.py \
	tests/mounted/test_commands.py \
	tests/mounted/test_concurrent.py \
	tests/mounted/test_copy.py \
	tests/mounted/test_fallocate.py \
	tests/mounted/test_files.py \
	tests/mounted/test_integrity.py \
	tests/mounted/test_links.py \
	tests/mounted/test_locks.py \
	tests/mounted/test_mmap.py \
	tests/mounted/test_modes.py \
	tests/mounted/test_names.py \
	tests/mounted/test_programs.py \
	tests/mounted/test_random.py \
	tests/mounted/test_readdir.py \
	tests/mounted/test_rename.py \
	tests/mounted/test_sparse.py \
	tests/mounted/test_special.py \
	tests/mounted/test_statfs.py \
	tests/mounted/test_sync.py \
	tests/mounted/test_times.py \
	tests/mounted/test_unlinked.py \
	tests/mounted/test_xattr.py
EXTRA_DIST += \
	tests/mounted/reader.py \
	tests/mounted/test_reader.py \
	tests/mounted/test_readme.py
EXTRA_DIST += \
	tests/mounted/test_golden.py \
	tests/golden/make \
	tests/golden/v1.json \
	tests/golden/v1.tar.xz
