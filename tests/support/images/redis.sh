#!/bin/sh
# What the tests' Redis and Valkey images start with: as root it gives the volume to the server's user
# and becomes that user. The official builds have protected mode off, as a container's network is
# nobody else's; Debian's has it on, so it is turned off here where nobody has said anything.
set -eu

user=redis
id "$user" >/dev/null 2>&1 || user=valkey

case ${1:-} in
-* | *.conf) set -- "$user-server" "$@" ;;
esac
case ${1:-} in
redis-server | valkey-server)
	if [ "$(id -u)" -eq 0 ]; then
		find . \! -user "$user" -exec chown "$user" '{}' +
		exec setpriv --reuid="$user" --regid="$user" --init-groups "$0" "$@"
	fi
	said=no
	for word in "$@"; do
		case $word in
		--protected-mode) said=yes ;;
		*.conf) ! grep -qi '^[[:space:]]*protected-mode' "$word" || said=yes ;;
		esac
	done
	[ $said = yes ] || set -- "$@" --protected-mode no
	[ "$(umask)" != 0022 ] || umask 0077
	;;
esac
exec "$@"
