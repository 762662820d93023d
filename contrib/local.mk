dist_noinst_SCRIPTS = contrib/check contrib/quickstart
EXTRA_DIST += contrib/setup.sh
