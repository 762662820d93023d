libcoffer_a_SOURCES += src/conf/ini.c src/conf/ini.h
