libcoffer_a_SOURCES += src/blob/layout.c src/blob/layout.h src/blob/header.c src/blob/header.h \
	src/blob/record.c src/blob/record.h src/blob/range.c src/blob/range.h src/blob/gaps.c \
	src/blob/gaps.h src/blob/dirty.c src/blob/dirty.h src/blob/scratch.c src/blob/scratch.h \
	src/blob/epoch.c src/blob/epoch.h src/blob/epoch_file.c src/blob/epoch_file.h \
	src/blob/blob.h src/blob/blob_impl.h src/blob/blob.c src/blob/cache.c src/blob/clean.c \
	src/blob/finish.c src/blob/hole.c src/blob/prepare.c src/blob/read.c src/blob/settle.c \
	src/blob/single.c src/blob/truncate.c src/blob/write.c
