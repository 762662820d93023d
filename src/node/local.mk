libcoffer_a_SOURCES +=
