"""The Debian package, of a release build: made once and brought up to date.

    deb = package()             its path; package("2") is a later one with the same content
    depends(deb)                the packages that it needs
"""

import re

from docker_daemon import BUILD, lock
from stack import TOP, run


def package(release="1"):
    build = BUILD / "package"
    with lock("package"):
        build_release(TOP, build)
        run(["cpack", "-G", "DEB", "-D", "CPACK_DEBIAN_PACKAGE_RELEASE=" + release, "-B", build / "fresh"], cwd=build)
        fresh = next((build / "fresh").glob("lifeboat_*-%s_*.deb" % release))
        # In one step: another test may be reading the one of before.
        return fresh.replace(build / fresh.name)


def build_release(source, build):
    run(["cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"], timeout=120)
    run(["nice", "cmake", "--build", build, "-j2"], timeout=1100)


def depends(deb):
    text = run(["dpkg-deb", "-f", deb, "Depends"]).stdout.decode()
    return sorted(re.match(r"[a-z0-9.+-]+", word.strip()).group() for word in text.split(","))
