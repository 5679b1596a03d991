#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_archive.h"
#include "stack/docker/docker_impl.h"
#include "stack/docker/docker_tar.h"

enum { LINKS_MAX = 40 };

/* ---- what HEAD says of a path ---- */

/* Go's io/fs.FileMode. */
enum { GO_PERM = 0777 };
static const uint32_t GO_DIR = 1U << 31, GO_SYMLINK = 1U << 27, GO_DEVICE = 1U << 26,
		      GO_PIPE = 1U << 25, GO_SOCKET = 1U << 24, GO_SETUID = 1U << 23,
		      GO_SETGID = 1U << 22, GO_CHAR = 1U << 21, GO_STICKY = 1U << 20;

static void set_mode(struct archive_entry *e, uint64_t go)
{
	__LA_MODE_T type = AE_IFREG;
	if (go & GO_DIR)
		type = AE_IFDIR;
	else if (go & GO_SYMLINK)
		type = AE_IFLNK;
	else if (go & GO_PIPE)
		type = AE_IFIFO;
	else if (go & GO_SOCKET)
		type = AE_IFSOCK;
	else if (go & GO_DEVICE)
		type = go & GO_CHAR ? AE_IFCHR : AE_IFBLK;
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, (__LA_MODE_T)((go & GO_PERM) | (go & GO_SETUID ? 04000U : 0U) |
						(go & GO_SETGID ? 02000U : 0U) |
						(go & GO_STICKY ? 01000U : 0U)));
}

static bool two_digits(const char *p, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return true;
}

/* RFC 3339 with fractions, in the daemon's own zone: "2026-11-23T08:00:00.123456789+01:00". */
static int set_time(struct archive_entry *e, const char *text, struct err *err)
{
	char whole[32] = "";
	int64_t ms;
	long nanos = 0;
	int hours = 0, minutes = 0;
	if (strlen(text) < 20)
		return err_set(err, ERR_CORRUPT, "'%.40s' is no time", text);
	memcpy(whole, text, 19);
	whole[19] = 'Z';
	if (clock_parse_rfc3339(whole, &ms, err) < 0)
		return -1;
	const char *p = text + 19;
	if (*p == '.') {
		int digits = 0;
		for (p++; *p >= '0' && *p <= '9'; p++, digits++)
			if (digits < 9)
				nanos = nanos * 10 + (*p - '0');
		for (; digits < 9; digits++)
			nanos *= 10;
	}
	bool utc = strcmp(p, "Z") == 0;
	if (!utc && !((*p == '+' || *p == '-') && strlen(p) == 6 && p[3] == ':' &&
		      two_digits(p + 1, &hours) && two_digits(p + 4, &minutes)))
		return err_set(err, ERR_CORRUPT, "'%.40s' is no time", text);
	int64_t offset = (hours * 60 + minutes) * 60;
	archive_entry_set_mtime(e, (time_t)(ms / 1000 - (*p == '-' ? -offset : offset)), nanos);
	return 0;
}

static int decode(const char *header, struct buf *out, struct err *err)
{
	size_t len = strlen(header);
	size_t padding = 0;
	while (padding < 2 && padding < len && header[len - 1 - padding] == '=')
		padding++;
	if (len == 0 || len % 4 != 0 || len > 1 << 20)
		return err_set(err, ERR_CORRUPT, "not base64");
	if (buf_reserve(out, len / 4 * 3, err) < 0)
		return -1;
	int n = EVP_DecodeBlock(out->data, (const unsigned char *)header, (int)len);
	if (n < (int)padding)
		return err_set(err, ERR_CORRUPT, "not base64");
	out->len = (size_t)n - padding;
	out->data[out->len] = 0;
	return 0;
}

static int parse_stat(const char *header, struct archive_entry **ret, char **ret_link,
		      struct err *err)
{
	struct buf text;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(docker_entry_freep) struct archive_entry *e = archive_entry_new();
	const char *name, *mtime;
	uint64_t size, mode;
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	buf_init(&text, 1 << 20);
	int rc = decode(header, &text, err);
	if (rc == 0)
		rc = json_parse(buf_text(&text), text.len, &j, err);
	buf_done(&text);
	if (rc < 0 || json_get_str(j, "name", &name, err) < 0 ||
	    json_get_u64(j, "size", &size, err) < 0 || json_get_u64(j, "mode", &mode, err) < 0 ||
	    json_get_str(j, "mtime", &mtime, err) < 0 || set_time(e, mtime, err) < 0)
		return -1;
	if (size > INT64_MAX)
		return err_set(err, ERR_CORRUPT, "field 'size' is too large");
	set_mode(e, mode);
	archive_entry_copy_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	const char *link = json_str_or(j, "linkTarget", "");
	if (link[0] != '\0' && ret_link != NULL && str_dup(link, ret_link, err) < 0)
		return -1;
	if (archive_entry_filetype(e) == AE_IFLNK)
		archive_entry_copy_symlink(e, link);
	*ret = e;
	e = NULL;
	return 0;
}

int docker_archive_parse_stat(const char *header, struct archive_entry **ret, char **ret_link,
			      struct err *err)
{
	char *link = NULL;
	if (parse_stat(header, ret, &link, err) < 0) {
		free(link);
		return err_wrap(err, "Docker's description of a file");
	}
	if (ret_link != NULL)
		*ret_link = link;
	else
		free(link);
	return 0;
}

/* ---- calls ---- */

static int archive_url(struct docker *d, const char *container, const char *path, char **ret,
		       struct err *err)
{
	struct buf b;
	buf_init(&b, 64 << 10);
	int rc = path[0] == '/'
		     ? http_escape(&b, path, err)
		     : err_set(err, ERR_FAILED, "'%s' is no absolute path in a container", path);
	if (rc == 0)
		rc = docker_url(d, ret, err, "/containers/%s/archive?path=%s", container,
				buf_text(&b));
	buf_done(&b);
	return rc;
}

/* An answer to HEAD has no body, so no reason either: GET has. */
static int ask_why(struct docker *d, const char *container, const char *path,
		   const struct http_response *head, struct err *err)
{
	CLEANUP(source_freep) struct source *s = NULL;
	struct err why = ERR_INIT;
	if (docker_archive_raw(d, container, path, &s, &why) == 0 &&
	    docker_judge(NULL, head, &why) == 0)
		return err_set(err, ERR_FAILED, "Docker does not describe '%s'", path);
	*err = why;
	/* As the system has it: there is nothing below a file. */
	if (strstr(err->msg, "not a directory") != NULL)
		err->code = ERR_ABSENT;
	return err_wrap(err, "'%s' in container '%s'", path, container);
}

int docker_stat(struct docker *d, const char *container, const char *path,
		struct archive_entry **ret, char **ret_link, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(http_response_done) struct http_response answer = {0};
	if (archive_url(d, container, path, &url, err) < 0 ||
	    docker_ask(d, "HEAD", url, NULL, DOCKER_IDLE_MS, &answer, err) < 0)
		return -1;
	if (answer.status == 404)
		return err_set(err, ERR_ABSENT, "there is no '%s' in container '%s'", path,
			       container);
	if (answer.status != 200)
		return ask_why(d, container, path, &answer, err);
	const char *header = http_header(&answer, "X-Docker-Container-Path-Stat");
	if (header == NULL)
		return err_set(err, ERR_CORRUPT, "Docker does not describe '%s'", path);
	return docker_archive_parse_stat(header, ret, ret_link, err);
}

/* Where a link leads, seen from where it lies. */
static int follow_link(const char *path, const char *target, char **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (target[0] == '/' || slash == NULL)
		return str_dup(target, ret, err);
	return str_printf(ret, err, "%.*s/%s", (int)(slash - path), path, target);
}

int docker_resolve(struct docker *d, const char *container, const char *path, char **ret,
		   struct archive_entry **ret_entry, struct err *err)
{
	CLEANUP(freep) char *at = NULL;
	if (str_dup(path, &at, err) < 0)
		return -1;
	/* "/data/" is what "/data" is, and its name is wanted. */
	for (size_t n = strlen(at); n > 1 && at[n - 1] == '/'; n--)
		at[n - 1] = '\0';
	for (unsigned links = 0; links < LINKS_MAX; links++) {
		CLEANUP(docker_entry_freep) struct archive_entry *e = NULL;
		CLEANUP(freep) char *target = NULL;
		char *next = NULL;
		if (docker_stat(d, container, at, &e, &target, err) < 0)
			return -1;
		if (archive_entry_filetype(e) != AE_IFLNK) {
			*ret = at;
			at = NULL;
			if (ret_entry != NULL) {
				*ret_entry = e;
				e = NULL;
			}
			return 0;
		}
		if (target == NULL)
			return err_set(err, ERR_CORRUPT, "the link '%s' leads nowhere", at);
		if (follow_link(at, target, &next, err) < 0)
			return -1;
		free(at);
		at = next;
	}
	return err_set(err, ERR_FAILED, "'%s' in container '%s': too many symbolic links", path,
		       container);
}

int docker_archive_raw(struct docker *d, const char *container, const char *path,
		       struct source **ret, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(http_response_done) struct http_response answer = {0};
	struct source *body = NULL;
	if (archive_url(d, container, path, &url, err) < 0)
		return -1;
	struct http_request q = {.method = "GET", .url = url, .idle_ms = DOCKER_IDLE_MS};
	if (http_source(d->http, &q, &answer, &body, err) < 0)
		return docker_lost(d, err);
	if (body == NULL) {
		if (docker_judge(NULL, &answer, err) < 0)
			return -1;
		return err_set(err, ERR_FAILED, "Docker sent no archive of '%s'", path);
	}
	*ret = body;
	return 0;
}

int docker_archive_put(struct docker *d, const char *container, const char *path, struct sink **ret,
		       struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
	if (archive_url(d, container, path, &url, err) < 0)
		return -1;
	struct http_request q = {
	    .method = "PUT", .url = url, .headers = headers, .idle_ms = DOCKER_IDLE_MS};
	if (http_sink(d->http, &q, UINT64_MAX, docker_judge, NULL, ret, err) < 0)
		return docker_lost(d, err);
	return 0;
}
