#include "tests/support/live_webdav.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "tests/support/live_redis.h"

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "live_webdav: %s: %s\n", what, why);
	abort();
}

static void run(const char *const *argv)
{
	struct err err = ERR_INIT;
	if (child_run(&(struct child_opts){.argv = argv}, NULL, deadline_in(60000), &err) < 0)
		give_up(argv[0], err.msg);
}

/* Apache refuses to serve as root. */
void live_webdav_own(const char *path)
{
	const struct passwd *www = geteuid() == 0 ? getpwnam("www-data") : NULL;
	if (www != NULL && chown(path, www->pw_uid, www->pw_gid) < 0)
		give_up(path, "can't change its owner");
}

/* ---- users and certificates ---- */

/* htpasswd's "{SHA}", htdigest's MD5. */
static void write_users(const struct live_webdav *l)
{
	static const char ha1[] = LIVE_WEBDAV_USER ":store:" LIVE_WEBDAV_PASSWORD;
	unsigned char sum[EVP_MAX_MD_SIZE], base64[64];
	unsigned len = 0;
	char line[256], hex[33];
	EVP_Digest(LIVE_WEBDAV_PASSWORD, strlen(LIVE_WEBDAV_PASSWORD), sum, &len, EVP_sha1(), NULL);
	EVP_EncodeBlock(base64, sum, (int)len);
	int n = snprintf(line, sizeof line, LIVE_WEBDAV_USER ":{SHA}%s\n", (char *)base64);
	temp_dir_write(&l->dir, "users", line, (size_t)n);
	EVP_Digest(ha1, strlen(ha1), sum, &len, EVP_md5(), NULL);
	for (size_t i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	n = snprintf(line, sizeof line, LIVE_WEBDAV_USER ":store:%s\n", hex);
	temp_dir_write(&l->dir, "digests", line, (size_t)n);
	chmod(temp_dir_in(&l->dir, "users"), 0644);
	chmod(temp_dir_in(&l->dir, "digests"), 0644);
}

static void make_certificate(struct live_webdav *l)
{
	const char *const argv[] = {"openssl",
				    "req",
				    "-x509",
				    "-newkey",
				    "ec",
				    "-pkeyopt",
				    "ec_paramgen_curve:P-256",
				    "-nodes",
				    "-days",
				    "2",
				    "-subj",
				    "/CN=127.0.0.1",
				    "-addext",
				    "subjectAltName=IP:127.0.0.1",
				    "-keyout",
				    temp_dir_in(&l->dir, "key.pem"),
				    "-out",
				    l->certificate,
				    NULL};
	run(argv);
}

/* ---- configurations ---- */

static void write_config(const struct live_webdav *l, const char *text)
{
	temp_dir_write(&l->dir, "conf", text, strlen(text));
}

static void configure_apache(const struct live_webdav *l)
{
	static const char *const modules[] = {
	    "mpm_event",   "authn_core", "authz_core", "authn_file", "authz_user", "auth_basic",
	    "auth_digest", "dav",        "dav_fs",     "alias",      "ssl",        "socache_shmcb"};
	struct err err = ERR_INIT;
	struct buf b;
	const char *dir = l->dir.path, *auth = l->opts.auth;
	bool digest = auth != NULL && strcmp(auth, "Digest") == 0;
	buf_init(&b, 1 << 16);
	int rc = buf_printf(&b, &err,
			    "ServerRoot %s\nDefaultRuntimeDir %s\nPidFile %s/pid\nServerName "
			    "127.0.0.1\nListen 127.0.0.1:%u\nErrorLog %s/log\nStartServers 1\n",
			    dir, dir, dir, (unsigned)l->port, dir);
	for (size_t i = 0; rc == 0 && i < sizeof modules / sizeof *modules; i++)
		rc = buf_printf(&b, &err,
				"LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n",
				modules[i], modules[i]);
	if (rc == 0 && geteuid() == 0)
		rc = buf_puts(&b, "User www-data\nGroup www-data\n", &err);
	if (rc == 0 && l->opts.tls)
		rc = buf_printf(&b, &err,
				"SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile "
				"%s/key.pem\n",
				l->certificate, dir);
	if (rc == 0)
		rc = buf_printf(
		    &b, &err, "DavLockDB %s/locks/db\nAlias /dav %s\n<Directory %s>\nDav On\n%s\n",
		    dir, l->folder, l->folder, l->opts.more != NULL ? l->opts.more : "");
	if (rc == 0 && auth != NULL)
		rc = buf_printf(&b, &err,
				"AuthType %s\nAuthName store\n%s\nAuthUserFile %s/%s\nRequire "
				"valid-user\n",
				auth, digest ? "AuthDigestProvider file" : "", dir,
				digest ? "digests" : "users");
	else if (rc == 0)
		rc = buf_puts(&b, "Require all granted\n", &err);
	if (rc < 0 || buf_puts(&b, "</Directory>\n", &err) < 0)
		give_up("configuration", err.msg);
	write_config(l, buf_text(&b));
	buf_done(&b);
	mkdir(temp_dir_in(&l->dir, "locks"), 0755);
	live_webdav_own(temp_dir_in(&l->dir, "locks"));
}

/* In one process, which dies with the test. */
static void configure_nginx(const struct live_webdav *l)
{
	struct err err = ERR_INIT;
	struct buf b;
	const char *dir = l->dir.path;
	char auth[TEMP_DIR_BYTES + 64] = "", tls[2 * TEMP_DIR_BYTES + 64] = "";
	if (l->opts.auth != NULL)
		snprintf(auth, sizeof auth, "auth_basic store; auth_basic_user_file %s/users;",
			 dir);
	if (l->opts.tls)
		snprintf(tls, sizeof tls, "ssl_certificate %s; ssl_certificate_key %s/key.pem;",
			 l->certificate, dir);
	buf_init(&b, 1 << 16);
	if (buf_printf(
		&b, &err,
		"load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;\ndaemon off;\n"
		"master_process off;\nerror_log %s/log;\npid %s/pid;\n"
		"events { worker_connections 64; }\nhttp {\naccess_log off;\n"
		"client_body_temp_path %s/body; proxy_temp_path %s/p; fastcgi_temp_path %s/f;\n"
		"uwsgi_temp_path %s/u; scgi_temp_path %s/s;\nclient_max_body_size 0;\n"
		"server { listen 127.0.0.1:%u%s; %s\nlocation /dav/ { alias %s/; %s\n"
		"dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;\n"
		"dav_access user:rw; %s }\n}\n}\n",
		dir, dir, dir, dir, dir, dir, dir, (unsigned)l->port, l->opts.tls ? " ssl" : "",
		tls, l->folder, auth, l->opts.more != NULL ? l->opts.more : "") < 0)
		give_up("configuration", err.msg);
	write_config(l, buf_text(&b));
	buf_done(&b);
}

/* ---- the server ---- */

static bool answers(const struct live_webdav *l)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port)};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
	if (fd >= 0)
		close(fd);
	return yes;
}

static bool try_start(struct live_webdav *l)
{
	struct err err = ERR_INIT;
	char conf[TEMP_DIR_BYTES + 16];
	snprintf(conf, sizeof conf, "%s/conf", l->dir.path);
	const char *const apache[] = {"/usr/sbin/apache2", "-d", l->dir.path, "-f", conf,
				      "-DFOREGROUND",      NULL};
	const char *const nginx[] = {"/usr/sbin/nginx", "-p", l->dir.path, "-c", conf, NULL};
	bool is_apache = l->opts.server == LIVE_APACHE;
	(is_apache ? configure_apache : configure_nginx)(l);
	const struct child_opts opts = {.argv = is_apache ? apache : nginx};
	if (child_start(&opts, &l->child, &err) < 0)
		give_up(opts.argv[0], err.msg);
	for (int i = 0; i < 1000 && child_running(l->child); i++) {
		if (answers(l))
			return true;
		poll(NULL, 0, 10);
	}
	fprintf(stderr, "live_webdav: %s\n", child_stderr(l->child));
	child_free(l->child);
	l->child = NULL;
	return false;
}

void live_webdav_start(struct live_webdav *l, struct live_webdav_opts opts)
{
	*l = (struct live_webdav){.opts = opts};
	temp_dir_make(&l->dir);
	chmod(l->dir.path, 0755);
	snprintf(l->certificate, sizeof l->certificate, "%s/certificate.pem", l->dir.path);
	if (opts.folder != NULL)
		snprintf(l->folder, sizeof l->folder, "%s", opts.folder);
	else
		snprintf(l->folder, sizeof l->folder, "%s/stored", l->dir.path);
	if (opts.folder == NULL && mkdir(l->folder, 0755) < 0)
		give_up(l->folder, "can't be made");
	live_webdav_own(l->folder);
	write_users(l);
	if (opts.tls)
		make_certificate(l);
	/* Somebody else may take the port between our look and its start. */
	for (int i = 0; i < 5; i++) {
		l->port = live_redis_free_port();
		snprintf(l->url, sizeof l->url, "%s://127.0.0.1:%u/dav", opts.tls ? "davs" : "dav",
			 (unsigned)l->port);
		if (try_start(l))
			return;
	}
	give_up("server", "does not start");
}

void live_webdav_signal(struct live_webdav *l, int signal_number)
{
	kill(-child_pid(l->child), signal_number);
}

void live_webdav_stop(struct live_webdav *l)
{
	live_webdav_signal(l, SIGCONT);
	child_free(l->child);
	temp_dir_remove(&l->dir);
}
