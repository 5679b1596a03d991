#!/bin/sh
# In the system "arm64" (other_system.py): builds for arm64, runs the unit tests, makes the Debian package.
set -eu
export CTEST_OUTPUT_ON_FAILURE=1 DEB_HOST_ARCH=arm64
make_tree() {
	tree=$1
	shift
	cmake --preset "$tree" -B "/build/$tree" "$@" >"/build/$tree.log" 2>&1 && cmake --build "/build/$tree" >>"/build/$tree.log" 2>&1 || {
		tail -n 60 "/build/$tree.log"
		exit 1
	}
}

make_tree arm64
# tests/unit/agent/test_events.c and tests/unit/storage/test_lease_takers.c say why they are not there.
ctest --test-dir /build/arm64 --no-tests=error -j "$(nproc)" -L '^unit$' -E '^unit/(agent/events|storage/lease_takers)$'
make_tree release --toolchain packaging/arm64.cmake -DBUILD_TESTING=OFF
cd /build/release
rm -f ./*.deb
cpack -G DEB >/build/cpack.log || {
	cat /build/cpack.log
	exit 1
}
file -L lifeboat | grep -q 'ARM aarch64'
test "$(dpkg-deb -f ./*.deb Architecture)" = arm64
dpkg-deb -f ./*.deb Package Version Architecture Depends
qemu-aarch64 ./lifeboat version
