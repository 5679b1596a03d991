#include "tests/support/redis_ask.h"

#include "base/file.h"

/* An authority of our own, a certificate for the server at 127.0.0.1 and localhost, one for a
 * client, and an authority that nobody knows. */
static char folder[64];

static void openssl(const char *const *argv)
{
	struct err err = ERR_INIT;
	if (child_run(&(struct child_opts){.argv = argv, .cwd = folder}, NULL, deadline_in(60000),
		      &err) < 0)
		fail_msg("%s", err.msg);
}

static void make_authority(const char *key, const char *cert, const char *subject)
{
	openssl((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
				      "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
				      cert, "-days", "2", "-subj", subject, NULL});
}

static void make_certificate(const char *name, const char *extension)
{
	char key[32], cert[32];
	snprintf(key, sizeof key, "%s.key", name);
	snprintf(cert, sizeof cert, "%s.crt", name);
	openssl((const char *const[]){"openssl",
				      "req",
				      "-x509",
				      "-newkey",
				      "ec",
				      "-pkeyopt",
				      "ec_paramgen_curve:P-256",
				      "-nodes",
				      "-keyout",
				      key,
				      "-out",
				      cert,
				      "-days",
				      "2",
				      "-subj",
				      "/CN=a server",
				      "-addext",
				      extension,
				      "-CA",
				      "ca.crt",
				      "-CAkey",
				      "ca.key",
				      NULL});
}

static int make_files(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/live-redis-tls-XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_authority("ca.key", "ca.crt", "/CN=an authority");
	make_authority("other.key", "other.crt", "/CN=somebody else");
	make_certificate("server", "subjectAltName=IP:127.0.0.1,DNS:localhost");
	make_certificate("wrong", "subjectAltName=DNS:elsewhere.example");
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return dir_remove(folder, &err);
}

static char *in_folder(const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", folder, name);
	return out;
}

static void start_tls(struct live_redis *l, const char *cert, const char *auth_clients,
		      uint16_t *ret_port)
{
	char ca[128], crt[128], key[128], port[8], name[32];
	*ret_port = live_redis_free_port();
	snprintf(port, sizeof port, "%u", (unsigned)*ret_port);
	snprintf(name, sizeof name, "%s.crt", cert);
	in_folder(name, crt);
	snprintf(name, sizeof name, "%s.key", cert);
	in_folder(name, key);
	live_redis_start(l, (const char *const[]){
				"--tls-port", port, "--tls-cert-file", crt, "--tls-key-file", key,
				"--tls-ca-cert-file", in_folder("ca.crt", ca), "--tls-auth-clients",
				auth_clients, "--repl-diskless-sync-delay", "0", NULL});
}

/* A url with one '#' for the port and one '*' for the folder. */
static char *tls_url(const char *fmt, uint16_t port, char out[512])
{
	size_t n = 0;
	for (; *fmt != '\0' && n < 400; fmt++) {
		if (*fmt == '#')
			n += (size_t)snprintf(out + n, 512 - n, "%u", (unsigned)port);
		else if (*fmt == '*')
			n += (size_t)snprintf(out + n, 512 - n, "%s", folder);
		else
			out[n++] = *fmt;
	}
	out[n] = '\0';
	return out;
}

static void redisdoor_tls__trusted_server__saves_and_streams(void **state)
{
	(void)state;
	struct live_redis l;
	uint16_t port;
	char url[512];
	struct err err = ERR_INIT;
	start_tls(&l, "server", "no", &port);
	redisdoor_free(open_url(tls_url("rediss://127.0.0.1:#?cacert=*/ca.crt", port, url)));
	redisdoor_free(open_url(tls_url("rediss://127.0.0.1:#?verify=no", port, url)));
	struct redisdoor *r =
	    open_url(tls_url("rediss://localhost:#/2?cacert=*/ca.crt", port, url));
	static char big[5000001];
	memset(big, 'x', sizeof big - 1);
	do_it(r, "CONFIG", "SET", "rdbcompression", "no");
	do_it(r, "SET", "big", big, NULL);
	char *back = ask(r, "GET", "big", NULL, NULL);
	assert_string_equal(back, big);
	free(back);
	struct redis_save save;
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	struct source *from = NULL;
	assert_int_equal(rdb_new(NULL, &rdb, &err), 0);
	if (redisdoor_stream(r, 20000, &from, &err) < 0 || read_rdb(from, rdb, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(keys_in(rdb, 2), 1);
	assert_true(rdb_summary(rdb)->bytes > 5000000);
	source_free(from);
	redisdoor_free(r);
	live_redis_stop(&l);
}

static void redisdoor_tls__untrusted_server__is_refused(void **state)
{
	(void)state;
	struct live_redis l;
	uint16_t port;
	char url[512];
	start_tls(&l, "server", "no", &port);
	refuse_url(tls_url("rediss://127.0.0.1:#", port, url), ERR_UNREACHABLE, "is not trusted: ");
	refuse_url(tls_url("rediss://127.0.0.1:#?cacert=*/other.crt", port, url), ERR_UNREACHABLE,
		   "is not trusted: ");
	refuse_url(tls_url("rediss://127.0.0.1:#?cacert=*/none.crt", port, url), ERR_CONFIG,
		   "can't use the cacert '");
	refuse_url(
	    tls_url("rediss://127.0.0.1:#?verify=no&cert=*/server.crt&key=*/ca.key", port, url),
	    ERR_CONFIG, "can't use the key '");
	live_redis_stop(&l);
	start_tls(&l, "wrong", "no", &port);
	refuse_url(tls_url("rediss://127.0.0.1:#?cacert=*/ca.crt", port, url), ERR_UNREACHABLE,
		   "is not trusted: IP address mismatch");
	refuse_url(tls_url("rediss://localhost:#?cacert=*/ca.crt", port, url), ERR_UNREACHABLE,
		   "is not trusted: hostname mismatch");
	live_redis_stop(&l);
}

static void redisdoor_tls__client_certificate__is_shown(void **state)
{
	(void)state;
	struct live_redis l;
	uint16_t port;
	char url[512];
	start_tls(&l, "server", "yes", &port);
	redisdoor_free(open_url(tls_url(
	    "rediss://127.0.0.1:#?cacert=*/ca.crt&cert=*/server.crt&key=*/server.key", port, url)));
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	tls_url("rediss://127.0.0.1:#?cacert=*/ca.crt", port, url);
	assert_int_equal(redisdoor_connect(&(struct redis_opts){.url = url}, &r, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	/* The server says "certificate required" before it closes, and sometimes that arrives. */
	if (strstr(err.hint, "cert=FILE&key=FILE") == NULL)
		fail_msg("%s / %s", err.msg, err.hint);
	live_redis_stop(&l);
}

static void redisdoor_tls__wrong_kind_of_port__is_told(void **state)
{
	(void)state;
	struct live_redis l;
	uint16_t port;
	char url[512];
	start_tls(&l, "server", "no", &port);
	struct redisdoor *r = NULL;
	struct err err = ERR_INIT;
	tls_url("rediss://127.0.0.1:#?verify=no", l.port, url);
	assert_int_equal(
	    redisdoor_connect(&(struct redis_opts){.url = url, .connect_timeout_ms = 2000}, &r,
			      &err),
	    -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	tls_url("redis://127.0.0.1:#", port, url);
	assert_int_equal(redisdoor_connect(&(struct redis_opts){.url = url}, &r, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.hint, "rediss://"));
	live_redis_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor_tls__trusted_server__saves_and_streams),
	    cmocka_unit_test(redisdoor_tls__untrusted_server__is_refused),
	    cmocka_unit_test(redisdoor_tls__client_certificate__is_shown),
	    cmocka_unit_test(redisdoor_tls__wrong_kind_of_port__is_told),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
