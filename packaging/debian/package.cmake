# The Debian package, from a release build: cpack -G DEB (docs/install.md).
set(LIFEBOAT_MAINTAINER "The Lifeboat authors <lifeboat@example.org>" CACHE STRING
	"Who answers for the package")
set(debian ${CMAKE_SOURCE_DIR}/packaging/debian)
set(deb ${CMAKE_BINARY_DIR}/debian)
file(MAKE_DIRECTORY ${deb})

find_program(GZIP gzip)
if(NOT GZIP)
	return()
endif()
configure_file(${debian}/changelog ${deb}/changelog @ONLY)
execute_process(COMMAND ${GZIP} -9nc ${deb}/changelog
	OUTPUT_FILE ${deb}/changelog.Debian.gz COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${GZIP} -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md
	OUTPUT_FILE ${deb}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
	CHANGELOG.md)

# Parts that a plain `cmake --install` leaves out.
set(only COMPONENT debian EXCLUDE_FROM_ALL)
file(GLOB units ${CMAKE_SOURCE_DIR}/packaging/systemd/*)
install(FILES ${units} DESTINATION lib/systemd/system ${only})
# Only comments, and hardly ever others: a fresh installation backs up nothing by accident, and an
# upgrade does not ask what to do with a file that everybody has replaced.
install(FILES ${debian}/agent.conf DESTINATION /etc/lifeboat
	PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ ${only})
install(FILES ${CMAKE_SOURCE_DIR}/agent.conf DESTINATION share/doc/lifeboat/examples ${only})
install(FILES ${debian}/lintian-overrides DESTINATION share/lintian/overrides RENAME lifeboat ${only})
install(FILES ${debian}/copyright ${deb}/changelog.gz ${deb}/changelog.Debian.gz
	DESTINATION share/doc/lifeboat ${only})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lifeboat)
set(CPACK_PACKAGE_VENDOR "The Lifeboat authors")
set(CPACK_PACKAGE_CONTACT "${LIFEBOAT_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
	GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_INSTALL_CMAKE_PROJECTS
	"${CMAKE_BINARY_DIR};lifeboat;program;/;${CMAKE_BINARY_DIR};lifeboat;debian;/")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, tzdata")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "age, docker.io | docker-ce, pgbouncer, postgresql, redis-server")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
	"${debian}/postinst;${debian}/prerm;${debian}/postrm;${debian}/conffiles")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "backups of PostgreSQL, Redis and volumes, proved by restoring")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Lifeboat backs up a stack of PostgreSQL, Redis, PgBouncer and plain volumes
into one archive, and proves it: it restores the archive into fresh volumes,
boots the servers on them and compares their contents with the dumps.

It works on a Docker Compose stack and on servers of the machine itself.
Stores are folders, S3, SFTP and WebDAV.")
include(CPack)
