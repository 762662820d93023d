dist_noinst_SCRIPTS = contrib/bench contrib/check contrib/quickstart
EXTRA_DIST += contrib/setup.sh
EXTRA_DIST += contrib/bench.d/main.py contrib/bench.d/machine.py contrib/bench.d/systems.py \
	contrib/bench.d/workloads.py contrib/bench.d/report.py contrib/bench.d/chart.py
