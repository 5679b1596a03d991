#include "stack/engine/server.h"

#include "stack/engine/engine_kind.h"

int server_start(struct server *s, const struct server_spec *spec, struct err *err)
{
	if (spec->volume != NULL && engine_volume_name_check(spec->volume, err) < 0)
		return -1;
	if (s->pid != 0)
		return err_set(err, ERR_EXISTS, "the server runs already, as process %ld", s->pid);
	return s->ops->start(s, spec, err);
}

const char *server_host(const struct server *s)
{
	return s->host;
}

unsigned server_port(const struct server *s)
{
	return s->port;
}

const char *server_door(const struct server *s)
{
	return s->door;
}

const char *server_peer(const struct server *s)
{
	return s->peer;
}

int server_volume_path(struct server *s, const char *volume, char **ret, struct err *err)
{
	if (engine_volume_name_check(volume, err) < 0)
		return -1;
	return s->ops->volume_path(s, volume, ret, err);
}

const char *server_socket_dir(const struct server *s)
{
	return s->socket_dir;
}

const char *server_work_dir(const struct server *s)
{
	return s->work_dir;
}

long server_pid(const struct server *s)
{
	return s->pid;
}

int server_check(struct server *s, struct err *err)
{
	return s->ops->check(s, err);
}

int server_wait_healthy(struct server *s, struct deadline d, struct err *err)
{
	return s->ops->wait_healthy != NULL ? s->ops->wait_healthy(s, d, err) : 0;
}

const char *server_log_tail(struct server *s)
{
	return s->ops->log_tail(s);
}

int server_stop(struct server *s, int64_t grace_ms, struct err *err)
{
	return s->ops->stop(s, grace_ms, err);
}

int server_leave(struct server *s, struct err *err)
{
	return s->ops->leave(s, err);
}

void server_free(struct server *s)
{
	if (s != NULL)
		s->ops->free(s);
}
