#!/bin/sh
# Runs lifeboat as its own user where the Docker socket's group lets it in, as root where only root may
# open it. `docker run --user` is left as it is.
set -eu
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${socket#unix://}

if [ "$(id -u)" -ne 0 ] || [ ! -S "$socket" ]; then
	exec lifeboat "$@"
fi
# drwxrw----: the sixth character is the group's right to write.
case $(stat -c %A "$socket") in
?????w*) exec setpriv --reuid=lifeboat --regid=lifeboat --groups="$(stat -c %g "$socket")" lifeboat "$@" ;;
*) exec lifeboat "$@" ;;
esac
