#include "tests/support/live_postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/file.h"

/* A socket bound to a free port, or -1. */
static int bind_free_port(unsigned *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&a, len) < 0 ||
			getsockname(fd, (struct sockaddr *)&a, &len) < 0)) {
		fd_closep(&fd);
		fd = -1;
	}
	*ret_port = fd >= 0 ? ntohs(a.sin_port) : 0;
	return fd;
}

unsigned live_free_port(void)
{
	unsigned port;
	int fd = bind_free_port(&port);
	fd_closep(&fd);
	return port;
}

int live_closed_port(unsigned *ret_port)
{
	return bind_free_port(ret_port);
}

int live_listen(unsigned *ret_port)
{
	int fd = bind_free_port(ret_port);
	if (fd >= 0 && listen(fd, 5) < 0) {
		fd_closep(&fd);
		fd = -1;
	}
	return fd;
}

static int find_programs(struct live_postgres *pg, struct err *err)
{
	glob_t found;
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
		return err_set(err, ERR_ABSENT, "no PostgreSQL is installed");
	const char *newest = found.gl_pathv[found.gl_pathc - 1];
	snprintf(pg->bin, sizeof pg->bin, "%.*s", (int)(strlen(newest) - strlen("/initdb")),
		 newest);
	globfree(&found);
	return 0;
}

unsigned live_postgres_newest(void)
{
	struct live_postgres pg;
	struct err ignored = ERR_INIT;
	if (find_programs(&pg, &ignored) < 0)
		return 0;
	return (unsigned)strtoul(pg.bin + strlen("/usr/lib/postgresql/"), NULL, 10);
}

static int make_folder(struct live_postgres *pg, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	/* A socket's path must be short. */
	snprintf(pg->dir, sizeof pg->dir, "%.60s/lifeboat-pg-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(pg->dir) == NULL) {
		pg->dir[0] = '\0';
		return err_sys(err, ERR_IO, errno, "can't make a temporary folder");
	}
	pg->as_other = geteuid() == 0;
	if (pg->as_other && (identity_find("postgres", &pg->identity, err) < 0 ||
			     chown(pg->dir, pg->identity.uid, pg->identity.gid) < 0))
		return err->code != ERR_NONE ? -1
					     : err_sys(err, ERR_IO, errno, "chown '%s'", pg->dir);
	return 0;
}

static int init(struct live_postgres *pg, struct err *err)
{
	char initdb[256], data[256], password[256];
	snprintf(data, sizeof data, "%s/data", pg->dir);
	snprintf(password, sizeof password, "%s/password", pg->dir);
	if (file_write_all(password, 0644, "secret\n", 7, err) < 0)
		return -1;
	const char *argv[] = {live_postgres_tool(pg, "initdb", initdb, sizeof initdb),
			      "-D",
			      data,
			      "-U",
			      "postgres",
			      "--no-sync",
			      "--encoding=UTF8",
			      "--locale=C.UTF-8",
			      "--auth-local=trust",
			      "--auth-host=scram-sha-256",
			      "--pwfile",
			      password,
			      NULL};
	return child_run(&(struct child_opts){.argv = argv,
					      .cwd = pg->dir,
					      .run_as = pg->as_other ? &pg->identity : NULL},
			 NULL, deadline_in(120000), err);
}

static int start(struct live_postgres *pg, const char *const *settings, struct err *err)
{
	char postgres[256], port[32], socket_dir[256], data[256];
	const char *argv[64] = {live_postgres_tool(pg, "postgres", postgres, sizeof postgres),
				"-D",
				data,
				"-c",
				port,
				"-c",
				socket_dir,
				"-c",
				"listen_addresses=127.0.0.1",
				"-c",
				"fsync=off",
				"-c",
				"logging_collector=off"};
	size_t n = 13;
	snprintf(data, sizeof data, "%s/data", pg->dir);
	snprintf(port, sizeof port, "port=%u", pg->port);
	snprintf(socket_dir, sizeof socket_dir, "unix_socket_directories=%s", pg->dir);
	for (; settings != NULL && *settings != NULL && n + 3 < sizeof argv / sizeof *argv;
	     settings++) {
		argv[n++] = "-c";
		argv[n++] = *settings;
	}
	return child_start(&(struct child_opts){.argv = argv,
						.cwd = pg->dir,
						.death_signal = SIGQUIT,
						.run_as = pg->as_other ? &pg->identity : NULL},
			   &pg->server, err);
}

int live_postgres_start(struct live_postgres *pg, const char *const *settings, struct err *err)
{
	*pg = (struct live_postgres){.port = live_free_port()};
	if (find_programs(pg, err) < 0)
		return -1;
	if (make_folder(pg, err) < 0 || init(pg, err) < 0 || start(pg, settings, err) < 0) {
		live_postgres_stop(pg);
		return -1;
	}
	return 0;
}

void live_postgres_stop(struct live_postgres *pg)
{
	struct err ignored = ERR_INIT;
	if (pg->server != NULL) {
		child_stop(pg->server, SIGINT, 20000);
		child_free(pg->server);
		pg->server = NULL;
	}
	if (pg->dir[0] != '\0' && dir_remove(pg->dir, &ignored) < 0)
		fprintf(stderr, "%s\n", ignored.msg);
}

char *live_postgres_url(const struct live_postgres *pg, const char *user, const char *password,
			const char *db, char *out, size_t cap)
{
	snprintf(out, cap, "postgresql://%s:%s@127.0.0.1:%u/%s", user, password, pg->port, db);
	return out;
}

char *live_postgres_socket_url(const struct live_postgres *pg, const char *user, const char *db,
			       char *out, size_t cap)
{
	snprintf(out, cap, "host=%s port=%u user=%s dbname=%s", pg->dir, pg->port, user, db);
	return out;
}

char *live_postgres_tool(const struct live_postgres *pg, const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%s", pg->bin, name);
	return out;
}
