#!/bin/sh
# Measures a backup and a restore beside PostgreSQL's own tools, on this machine: sh bench/run.sh
# `sh bench/run.sh docker` measures a backup of a Compose stack beside docker exec.
# `sh bench/run.sh parts` measures how much of a 1 GB archive is fetched for one small table of it, from
# a folder and from a Ceph (BENCH_ARCHIVE_MB says another size).
# `sh bench/run.sh s3` measures a backup of 2 GB that streams into a Ceph beside one to a folder and s3cmd.
#
# Makes a database of 3 million rows, about 1 GB, in a temporary folder (6 GB of room), and prints a
# table. Takes about ten minutes. BENCH_ROWS and BENCH_RUNS change the size and how often each is run;
# LIFEBOAT names a program to measure instead of a fresh Release build.
set -eu
cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8
sh packaging/install-packages.sh build demo bench
measure=bench/measure.py
if [ "${1:-}" = parts ]; then
	sh packaging/install-packages.sh tests
	measure=bench/measure_parts.py
elif [ "${1:-}" = docker ]; then
	sh packaging/install-packages.sh tests
	measure=bench/measure_docker.py
elif [ "${1:-}" = s3 ]; then
	sh packaging/install-packages.sh tests
	measure=bench/measure_s3.py
fi
build=${LIFEBOAT_BUILD:-$PWD/build}
if [ -z "${LIFEBOAT:-}" ]; then
	mkdir -p "$build"
	{ cmake --preset release -B "$build/release" -DBUILD_TESTING=OFF && cmake --build "$build/release"; } \
		>"$build/release.log" 2>&1 || {
		cat "$build/release.log"
		exit 1
	}
	LIFEBOAT=$build/release/lifeboat
fi
export LIFEBOAT
exec /usr/bin/python3 -B "$measure"
