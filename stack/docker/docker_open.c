#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/docker/docker_impl.h"

#define DEFAULT_HOST "unix:///var/run/docker.sock"

/* Versions of the API, as 1000 × major + minor. */
enum { API_WANTED = 1041 };

static int no_socket(const char *path, int why, struct err *err)
{
	if (why == EACCES || why == EPERM) {
		err_sys(err, ERR_DENIED, why, "no right to use Docker's socket '%s'", path);
		return err_hint(err, "Run the agent as root, or add its user to the group that "
				     "owns the socket (usually 'docker').");
	}
	err_sys(err, ERR_UNREACHABLE, why, "Docker does not answer at '%s'", path);
	err->retryable = true;
	if (why == ENOENT)
		return err_hint(err, "Start Docker, or name its socket in DOCKER_HOST; in a "
				     "container, mount /var/run/docker.sock.");
	return err_hint(err, "Start Docker.");
}

/* libcurl says "couldn't connect" for all reasons; the system says which. */
static int try_socket(const char *path, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof to.sun_path)
		return err_set(err, ERR_CONFIG, "the socket's path '%.200s' is too long", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "a socket");
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
		return no_socket(path, errno, err);
	return 0;
}

/* $DOCKER_CERT_PATH/ca.pem and so on; without it, where docker itself looks. */
static int find_certificates(struct docker *d, struct http_opts *o, struct err *err)
{
	const char *folder = getenv("DOCKER_CERT_PATH"), *home = getenv("HOME");
	CLEANUP(freep) char *own = NULL;
	if (folder == NULL || folder[0] == '\0') {
		if (str_printf(&own, err, "%s/.docker", home != NULL ? home : "") < 0)
			return -1;
		folder = own;
	}
	const char *const names[] = {"ca.pem", "cert.pem", "key.pem"};
	for (size_t i = 0; i < 3; i++) {
		if (strlist_pushf(&d->files, err, "%s/%s", folder, names[i]) < 0)
			return -1;
		if (access(d->files.items[i], R_OK) < 0) {
			err_sys(err, ERR_CONFIG, errno, "can't read '%s'", d->files.items[i]);
			return err_hint(err, "DOCKER_TLS_VERIFY is set: put ca.pem, cert.pem and "
					     "key.pem into the folder DOCKER_CERT_PATH.");
		}
	}
	o->ca_file = d->files.items[0];
	o->cert_file = d->files.items[1];
	o->key_file = d->files.items[2];
	return 0;
}

static int parse_tcp(struct docker *d, const char *address, struct http_opts *o, struct err *err)
{
	const char *verify = getenv("DOCKER_TLS_VERIFY");
	bool tls = verify != NULL && verify[0] != '\0';
	size_t len = strcspn(address, "/?#");
	/* A colon inside the brackets of an IPv6 address is none of a port. */
	const char *end = memchr(address, ']', len);
	const char *from = end != NULL ? end : address;
	bool has_port = memchr(from, ':', len - (size_t)(from - address)) != NULL;
	if (len == 0 || address[len + (address[len] == '/')] != '\0' ||
	    memchr(address, '@', len) != NULL) {
		err_set(err, ERR_CONFIG, "'%.200s' is not an address of Docker", d->where);
		return err_hint(err, "Write tcp://host:port.");
	}
	if (tls && find_certificates(d, o, err) < 0)
		return -1;
	return str_printf(&d->root, err, "%s://%.*s%s", tls ? "https" : "http", (int)len, address,
			  has_port ? ""
			  : tls    ? ":2376"
				   : ":2375");
}

static int parse_host(struct docker *d, struct http_opts *o, struct err *err)
{
	if (strncmp(d->where, "tcp://", 6) == 0)
		return parse_tcp(d, d->where + 6, o, err);
	if (strncmp(d->where, "unix://", 7) == 0 && d->where[7] == '/') {
		d->near = true;
		o->unix_socket = d->where + 7;
		if (try_socket(o->unix_socket, err) < 0)
			return -1;
		return str_dup("http://docker", &d->root, err);
	}
	err_set(err, ERR_CONFIG, "'%.200s' is not an address of Docker", d->where);
	return err_hint(err, "Write unix:///path or tcp://host:port.");
}

/* "1.41" as 1041; 0 for what is no version. */
static unsigned api_number(const char *text)
{
	char *end;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	unsigned long major = strtoul(text, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return 0;
	unsigned long minor = strtoul(end + 1, &end, 10);
	return *end == '\0' && major < 1000 && minor < 1000 ? (unsigned)(major * 1000 + minor) : 0;
}

/* 1.41 is spoken where the daemon still understands it, and its oldest version where not. */
static int settle_version(struct docker *d, const json_t *answer, struct err *err)
{
	const char *api = json_str_or(answer, "ApiVersion", NULL);
	unsigned newest = api_number(api);
	unsigned oldest = api_number(json_str_or(answer, "MinAPIVersion", "1.0"));
	if (newest == 0)
		return err_set(err, ERR_FAILED, "what answers at '%s' is not a Docker Engine",
			       d->where);
	if (newest < API_WANTED) {
		err_set(err, ERR_FAILED, "Docker %.40s speaks version %.20s of its API, not 1.41",
			json_str_or(answer, "Version", "?"), api);
		return err_hint(err, "Update Docker to 20.10 or later.");
	}
	unsigned spoken = oldest > API_WANTED ? oldest : API_WANTED;
	return str_printf(&d->base, err, "%s/v%u.%u", d->root, spoken / 1000, spoken % 1000);
}

static int ask_version(struct docker *d, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(json_freep) json_t *j = NULL;
	struct err why = ERR_INIT;
	if (str_printf(&url, err, "%s/version", d->root) < 0 ||
	    docker_ask(d, "GET", url, NULL, 30000, &answer, err) < 0 ||
	    docker_judge(NULL, &answer, err) < 0)
		return -1;
	if (json_parse(buf_text(&answer.body), answer.body.len, &j, &why) < 0 &&
	    why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	return settle_version(d, j, err);
}

int docker_open(const char *host, struct docker **ret, struct err *err)
{
	CLEANUP(docker_freep) struct docker *d = mem_zalloc(sizeof *d, "the door to Docker", err);
	if (d == NULL)
		return -1;
	const char *env = getenv("DOCKER_HOST");
	if (host == NULL)
		host = env != NULL && env[0] != '\0' ? env : DEFAULT_HOST;
	struct http_opts o = {0};
	if (str_dup(host, &d->where, err) < 0 || parse_host(d, &o, err) < 0 ||
	    http_open(&o, &d->http, err) < 0 || ask_version(d, err) < 0)
		return -1;
	*ret = d;
	d = NULL;
	return 0;
}

void docker_free(struct docker *d)
{
	if (d == NULL)
		return;
	http_free(d->http);
	free(d->root);
	free(d->base);
	free(d->where);
	strlist_done(&d->files);
	free(d);
}

bool docker_is_near(const struct docker *d)
{
	return d->near;
}
