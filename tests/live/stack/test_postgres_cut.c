/* The connection ends after every number of bytes from the server: a digest is right or is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/postgres/postgres.h"
#include "tests/support/live_postgres.h"

static struct live_postgres server;

/* Passes bytes on, for one connection, until `limit` came from the server. */
struct proxy {
	int listener;
	unsigned port;
	size_t limit;
	atomic_size_t passed;
	pthread_t thread;
};

static int connect_server(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)server.port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool pass(int from, int to, size_t most, size_t *ret_n)
{
	char block[4096];
	ssize_t n = read(from, block, most < sizeof block ? most : sizeof block);
	if (n <= 0 || send(to, block, (size_t)n, MSG_NOSIGNAL) != n)
		return false;
	*ret_n = (size_t)n;
	return true;
}

static void *run_proxy(void *arg)
{
	struct proxy *x = arg;
	CLEANUP(fd_closep) int client = accept(x->listener, NULL, NULL);
	CLEANUP(fd_closep) int behind = connect_server();
	struct pollfd fds[2] = {{.fd = client, .events = POLLIN}, {.fd = behind, .events = POLLIN}};
	size_t passed = 0, n;
	while (passed < x->limit && poll(fds, 2, 60000) > 0) {
		if (fds[0].revents != 0 && !pass(client, behind, 4096, &n))
			break;
		if (fds[1].revents == 0)
			continue;
		if (!pass(behind, client, x->limit - passed, &n))
			break;
		passed += n;
		atomic_store(&x->passed, passed);
	}
	return NULL;
}

static void proxy_start(struct proxy *x, size_t limit)
{
	*x = (struct proxy){.limit = limit};
	x->listener = live_listen(&x->port);
	assert_true(x->listener >= 0);
	assert_int_equal(pthread_create(&x->thread, NULL, run_proxy, x), 0);
}

static size_t proxy_stop(struct proxy *x)
{
	/* Whoever never came is not waited for. */
	shutdown(x->listener, SHUT_RDWR);
	pthread_join(x->thread, NULL);
	close(x->listener);
	return atomic_load(&x->passed);
}

static int ask(unsigned port, struct rows_digest *ret_rows, struct rows_digest *ret_objects,
	       struct err *err)
{
	char url[256];
	CLEANUP(pg_freep) struct pg *p = NULL;
	snprintf(url, sizeof url,
		 "postgresql://postgres:secret@127.0.0.1:%u/postgres?sslmode=disable&"
		 "gssencmode=disable",
		 port);
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 30000};
	if (pg_connect(&opts, NULL, &p, err) < 0 ||
	    pg_table_digest(p, "public", "t", "(a, b)", ret_rows, err) < 0 ||
	    pg_large_objects_digest(p, ret_objects, err) < 0)
		return -1;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char url[256];
	CLEANUP(pg_freep) struct pg *p = NULL;
	static const char *const settings[] = {"ssl=off", NULL};
	if (live_postgres_start(&server, settings, &err) == 0) {
		live_postgres_url(&server, "postgres", "secret", "postgres", url, sizeof url);
		if (pg_wait_ready(&(struct pg_opts){.url = url}, NULL, NULL, NULL,
				  deadline_in(60000), &p, &err) == 0 &&
		    pg_exec(p,
			    "CREATE TABLE public.t (a int, b text); INSERT INTO public.t SELECT g, "
			    "repeat('x', g) FROM generate_series(1, 20) g; "
			    "SELECT lo_from_bytea(7, 'seven'), lo_from_bytea(8, '')",
			    DEADLINE_NEVER, &err) == 0)
			return 0;
	}
	print_error("%s\n", err.msg);
	return -1;
}

static int tear_down(void **state)
{
	(void)state;
	live_postgres_stop(&server);
	return 0;
}

static void pg__connection_cut_after_every_few_bytes__error_or_right_answer(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct rows_digest rows = {0}, objects = {0};
	struct proxy x;
	proxy_start(&x, SIZE_MAX);
	if (ask(x.port, &rows, &objects, &err) < 0)
		fail_msg("%s", err.msg);
	size_t total = proxy_stop(&x);
	assert_true(total > 1000);
	assert_int_equal(rows.rows, 20);
	assert_int_equal(objects.rows, 2);
	for (size_t limit = 0; limit < total; limit += limit < total - 64 ? 11 : 1) {
		struct rows_digest r = {0}, o = {0};
		proxy_start(&x, limit);
		int rc = ask(x.port, &r, &o, &err);
		proxy_stop(&x);
		/* Numbers in the stream vary by a digit: the end may come a little earlier. */
		if (rc == 0) {
			assert_true(limit > total - 64);
			assert_memory_equal(&r, &rows, sizeof r);
			assert_memory_equal(&o, &objects, sizeof o);
			continue;
		}
		if (err.code != ERR_UNREACHABLE)
			fail_msg("after %zu bytes of %zu: %s: %s", limit, total,
				 err_code_name(err.code), err.msg);
		assert_true(err.retryable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pg__connection_cut_after_every_few_bytes__error_or_right_answer),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
