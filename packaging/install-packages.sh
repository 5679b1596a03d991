#!/bin/sh
# Installs Debian packages of the given sets (packaging/packages): sh packaging/install-packages.sh build demo
# Does nothing, and asks for no rights, where all of them are there already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

missing=
for set in "$@"; do
	for package in $(awk -v set="$set" '!/^#/ && $2 == set {print $1}' "$here/packages"); do
		status=
		for choice in $(echo "$package" | tr '|' ' '); do
			status=$status$(dpkg-query -W -f '${db:Status-Status} ' "$choice" 2>/dev/null) || true
		done
		case " $status" in
		*" installed "*) ;;
		*) missing="$missing ${package%%|*}" ;;
		esac
	done
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "these packages are missing, and there is no sudo to install them:$missing" >&2
		exit 1
	}
	as_root=sudo
fi
echo "installing:$missing"

# Debian starts a server when its package is installed. Nobody asked for servers here: policy-rc.d
# says no (status 101) until this is done.
policy=/usr/sbin/policy-rc.d
mine=no
cleanup() {
	[ "$mine" = no ] || $as_root rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	mine=yes
	$as_root chmod 755 "$policy"
fi

log=$(mktemp)
apt() {
	# Words are meant to split.
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null || {
		status=$?
		tail -n 40 "$log" >&2
		rm -f "$log"
		exit $status
	}
}
# shellcheck disable=SC2086
{
	apt update
	apt install --no-install-recommends $missing
}
rm -f "$log"

# A booted system would start them with its next boot; before this there were none.
if [ -d /run/systemd/system ]; then
	case "$missing " in
	*" docker.io "*) $as_root systemctl disable --quiet docker.service docker.socket containerd 2>/dev/null || true ;;
	esac
	for service in postgresql redis-server pgbouncer nginx prometheus; do
		case "$missing " in
		*" $service"*) $as_root systemctl disable --quiet "$service" 2>/dev/null || true ;;
		esac
	done
	case "$missing " in
	*" openssh-server "*) $as_root systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true ;;
	esac
fi
