# Built on this Debian for the same Debian's arm64, as `sh tests/run.sh arm64` does:
#     cmake --preset release --toolchain packaging/arm64.cmake
# It takes gcc-aarch64-linux-gnu, the libraries' arm64 packages, and qemu-user, under which the manual
# pages are made and the tests run.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
# Else pkg-config finds the libraries of the machine that builds.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
# For cpack, which asks the machine that builds.
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
