#!/bin/sh
# Installs what is needed, builds, tests: everything, or what is named.
#
#   sh tests/run.sh                 all of it
#   sh tests/run.sh unit live       some labels of ctest: lint unit sweep live integration docker docker-long
#                                   fuzz matrix ceph soak
#   sh tests/run.sh debug           one whole step: debug docker fuzz threads analyze coverage
#   sh tests/run.sh trixie arm64    elsewhere, as root: with the compilers, libraries and servers of another Debian
#                                   (trixie, forky); built for arm64, unit tests under qemu-user, a package
#   sh tests/run.sh bench           measures; nothing passes or fails by its figures
#
# A step that fails does not stop the others; the last lines say how each ended, and the exit status
# is 0 only if all of them passed. LIFEBOAT_BUILD names the folder to build in (default: build/).
set -u
cd "$(dirname "$0")/.." || exit 1
# Debian's own Python and compilers, whatever else a PATH may offer first.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export PATH
export LC_ALL=C.UTF-8 CTEST_OUTPUT_ON_FAILURE=1
unset CC CFLAGS LDFLAGS LIBRARY_PATH C_INCLUDE_PATH CPATH 2>/dev/null
build=${LIFEBOAT_BUILD:-$PWD/build}
jobs=$(nproc)
# Tests of servers wait more than they compute; fuzz targets run for a time, not for a result.
waiting_jobs=$((jobs * 2))
all='debug docker fuzz threads analyze coverage'

say() {
	printf '\n==== %s\n' "$*"
}

# make_tree PRESET CMAKE-ARGUMENTS…: a build folder of that preset, built.
make_tree() {
	tree=$1
	shift
	cmake --preset "$tree" -B "$build/$tree" "$@" >"$build/$tree.log" 2>&1 </dev/null || {
		cat "$build/$tree.log"
		return 1
	}
	cmake --build "$build/$tree" -j "$jobs" </dev/null >"$build/$tree.log" 2>&1 || {
		tail -n 60 "$build/$tree.log"
		return 1
	}
	echo "built in $build/$tree"
}

# run_tests TREE JOBS CTEST-ARGUMENTS…: an empty choice is a failure.
run_tests() {
	tree=$1
	side_by_side=$2
	shift 2
	$no_aslr ctest --test-dir "$build/$tree" --no-tests=error -j "$side_by_side" "$@" </dev/null
}

# The sanitizers need a memory layout that not every kernel gives by itself, and the leak checker
# must be allowed to look at its own threads. Ask once, and say what was found.
probe_sanitizers() {
	no_aslr=
	mkdir -p "$build"
	printf 'int main(void) { return 0; }\n' >"$build/probe.c"
	gcc -fsanitize=address "$build/probe.c" -o "$build/probe_asan" || return 1
	gcc -fsanitize=thread "$build/probe.c" -o "$build/probe_tsan" || return 1
	if ! { "$build/probe_asan" && "$build/probe_tsan"; } >/dev/null 2>&1; then
		if setarch "$(uname -m)" -R "$build/probe_tsan" >/dev/null 2>&1; then
			echo "sanitizers: running without address randomisation, as this kernel needs it"
			no_aslr="setarch $(uname -m) -R"
		fi
	fi
	if ! $no_aslr "$build/probe_asan" 2>"$build/probe.log"; then
		if grep -q LeakSanitizer "$build/probe.log"; then
			echo "sanitizers: THIS SYSTEM FORBIDS ptrace, SO LEAKS ARE NOT LOOKED FOR"
			ASAN_OPTIONS=detect_leaks=0
			export ASAN_OPTIONS
		else
			cat "$build/probe.log"
			return 1
		fi
	fi
}

# With sanitizers, and counting lines: step_coverage looks at what these tests ran.
step_debug() {
	make_tree debug -DLIFEBOAT_COVERAGE=ON || return 1
	find "$build/debug" -name '*.gcda' -delete
	run_tests debug "$waiting_jobs" -L '^(lint|unit|sweep|live|integration)$'
}

step_fuzz() {
	make_tree clang && run_tests clang "$waiting_jobs" -L '^fuzz$'
}

step_threads() {
	make_tree tsan && run_tests tsan "$jobs" -L '^(unit|sweep)$' -R '/(base|storage)/'
}

# gcc's own analyzer over everything that ships. gcc 12 takes variables with a cleanup in a loop for
# uninitialised; clang and the sanitizers look at those.
step_analyze() {
	{
		cmake -S . -B "$build/analyze" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBUILD_TESTING=OFF -DLIFEBOAT_FAULTS=ON \
			-DCMAKE_C_FLAGS='-fanalyzer -Wno-analyzer-use-of-uninitialized-value' &&
			cmake --build "$build/analyze" -j "$jobs"
	} </dev/null >"$build/analyze.log" 2>&1 || {
		tail -n 80 "$build/analyze.log"
		return 1
	}
	echo 'gcc -fanalyzer: clean'
	# This one has no sanitizers: its daemon's memory can be measured, by a clock that the test sets.
	LIFEBOAT="$build/analyze/lifeboat" PYTHONPATH="$PWD/tests/support" /usr/bin/python3 -B tests/soak/test_idle.py
}

# Which lines step_debug and the Docker tests ran. A room below 85 % is a failure.
step_coverage() {
	if [ -z "$(find "$build/debug" -name '*.gcda' 2>/dev/null | head -n 1)" ]; then
		step_debug && step_label docker || return 1
	fi
	gcovr --root . --exclude tests --json-summary "$build/coverage.json" \
		-j "$jobs" "$build/debug" >"$build/coverage.log" 2>&1 || {
		tail -n 40 "$build/coverage.log"
		return 1
	}
	/usr/bin/python3 tests/support/coverage.py "$build/coverage.json" 85 base stack storage snapshot restore
}

# What users run, but with a clock that the test sets: with sanitizers no figure of memory would be true.
step_soak() {
	make_tree soak && run_tests soak 1 -L '^soak$'
}

# With both compilers, and the tests that ask for nothing of this machine. Layout is a matter of one clang-format.
step_debian() {
	/usr/bin/python3 -B tests/support/other_system.py "$1" sh tests/run.sh clang unit sweep live integration
}

step_clang() {
	make_tree clang
}

step_arm64() {
	/usr/bin/python3 -B tests/support/other_system.py arm64 sh tests/support/arm64.sh
}

step_bench() {
	sh bench/run.sh
}

step_label() {
	case $1 in
	fuzz | soak) "step_$1" ;;
	*) make_tree debug && run_tests debug "$waiting_jobs" -L "^$1\$" ;;
	esac
}

failed=0
summary=
step() {
	name=$1
	shift
	say "$name"
	begin=$(date +%s)
	if "$@"; then
		how=passed
	else
		how=FAILED
		failed=1
	fi
	summary="$summary$(printf '%-12s %s, %d s' "$name" "$how" $(($(date +%s) - begin)))
"
}

# Words are meant to split.
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $all
mkdir -p "$build" || exit 1
step packages sh packaging/install-packages.sh build demo tests
if [ $failed -eq 0 ]; then
	step sanitizers probe_sanitizers
	for wanted in "$@"; do
		case $wanted in
		debug | fuzz | threads | analyze | coverage | bench | clang | arm64) step "$wanted" "step_$wanted" ;;
		trixie | forky) step "$wanted" step_debian "$wanted" ;;
		*) step "$wanted" step_label "$wanted" ;;
		esac
	done
fi

say summary
printf '%s' "$summary"
if [ $failed -ne 0 ]; then
	echo 'tests/run.sh: FAILED'
	exit 1
fi
echo 'tests/run.sh: all passed'
