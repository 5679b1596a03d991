#include "stack/redis/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

enum { DEFAULT_PORT = 6379, MAX_DB = 1000000 };

static int bad(struct err *err, const char *why)
{
	err_set(err, ERR_CONFIG, "the url of Redis %s", why);
	return err_hint(err, "Write redis://:PASSWORD@HOST:PORT/DB, rediss://… for TLS, or "
			     "unix://:PASSWORD@/path/to/socket?db=N.");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A copy with %XX replaced; a wrong one, or a zero byte, is refused. */
static int decode(const char *text, size_t len, char **ret, struct err *err)
{
	char *out = mem_zalloc(len + 1, "a url", err);
	if (out == NULL)
		return -1;
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int high = 0, low = 0;
		if (text[i] == '%') {
			high = i + 2 < len ? hex(text[i + 1]) : -1;
			low = i + 2 < len ? hex(text[i + 2]) : -1;
			if (high < 0 || low < 0 || high + low == 0) {
				secret_wipe(out);
				return bad(err, "has a '%' that is not followed by two hex digits");
			}
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = text[i];
		}
	}
	*ret = out;
	return 0;
}

/* Digits only, at most `max`. */
static int number(const char *text, size_t len, unsigned long max, unsigned long *ret)
{
	unsigned long v = 0;
	if (len == 0 || len > 9)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		v = v * 10 + (unsigned long)(text[i] - '0');
	}
	if (v > max)
		return -1;
	*ret = v;
	return 0;
}

static int parse_db(struct redis_url *u, const char *text, size_t len, struct err *err)
{
	unsigned long db;
	if (number(text, len, MAX_DB, &db) < 0)
		return bad(err, "has a database that is not a number");
	u->db = (unsigned)db;
	return 0;
}

static int parse_user(struct redis_url *u, const char *text, size_t len, struct err *err)
{
	const char *colon = memchr(text, ':', len);
	if (colon == NULL)
		return bad(err, "has a name before '@', but no ':' and password");
	size_t user_len = (size_t)(colon - text);
	if (user_len > 0 && decode(text, user_len, &u->user, err) < 0)
		return -1;
	char *password;
	if (decode(colon + 1, len - user_len - 1, &password, err) < 0)
		return -1;
	int rc = password[0] != '\0' ? secret_set(&u->password, password, err) : 0;
	secret_wipe(password);
	if (rc == 0 && u->user != NULL && !secret_is_set(&u->password))
		return bad(err, "has a user without a password");
	return rc;
}

static int parse_host(struct redis_url *u, const char *text, size_t len, struct err *err)
{
	const char *end = text + len, *host = text, *host_end, *port;
	if (len > 0 && *text == '[') {
		host = text + 1;
		host_end = memchr(text, ']', len);
		if (host_end == NULL)
			return bad(err, "has a '[' without ']'");
		port = host_end + 1;
	} else {
		host_end = memchr(text, ':', len);
		if (host_end == NULL)
			host_end = end;
		port = host_end;
	}
	if (host_end == host)
		return bad(err, "has no host");
	u->port = DEFAULT_PORT;
	if (port < end) {
		unsigned long v;
		if (*port != ':' || number(port + 1, (size_t)(end - port - 1), 65535, &v) < 0 ||
		    v == 0)
			return bad(err, "has a port that is not a number from 1 to 65535");
		u->port = (uint16_t)v;
	}
	return decode(host, (size_t)(host_end - host), &u->host, err);
}

static int parse_option(struct redis_url *u, const char *text, size_t len, struct err *err)
{
	const char *equals = memchr(text, '=', len);
	if (equals == NULL)
		return bad(err, "has an option without '='");
	size_t name_len = (size_t)(equals - text), value_len = len - name_len - 1;
	const char *value = equals + 1;
	const struct {
		const char *name;
		char **at;
	} files[] = {{"cacert", &u->cacert}, {"cert", &u->cert}, {"key", &u->key}};
	for (size_t i = 0; i < 3; i++) {
		if (strlen(files[i].name) != name_len || memcmp(files[i].name, text, name_len) != 0)
			continue;
		if (!u->tls)
			return bad(err, "has options of TLS, but is not rediss://");
		free(*files[i].at);
		*files[i].at = NULL;
		return decode(value, value_len, files[i].at, err);
	}
	if (name_len == 6 && memcmp(text, "verify", 6) == 0) {
		bool no = value_len == 2 && memcmp(value, "no", 2) == 0;
		if (!no && !(value_len == 3 && memcmp(value, "yes", 3) == 0))
			return bad(err, "has a 'verify' that is neither yes nor no");
		u->no_verify = no;
		return 0;
	}
	if (name_len == 2 && memcmp(text, "db", 2) == 0)
		return parse_db(u, value, value_len, err);
	err_set(err, ERR_CONFIG, "the url of Redis has an unknown option '%.*s'",
		(int)(name_len < 40 ? name_len : 40), text);
	return err_hint(err, "Known are cacert, cert, key, verify and db.");
}

static int parse_options(struct redis_url *u, const char *text, struct err *err)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "&");
		if (len > 0 && parse_option(u, text, len, err) < 0)
			return -1;
		text += len + (text[len] == '&' ? 1 : 0);
	}
	if ((u->cert == NULL) != (u->key == NULL))
		return bad(err, "has only one of 'cert' and 'key'");
	return 0;
}

/* The '?' that begins the options, or the end. Passwords come as they are out of an environment, so
 * a '?' counts only with the name of an option behind it, or behind the last '@'. */
static const char *find_options(const char *text)
{
	static const char *const names[] = {"cacert=", "cert=", "key=", "verify=", "db="};
	for (const char *q = strchr(text, '?'); q != NULL; q = strchr(q + 1, '?')) {
		if (strchr(q, '@') == NULL)
			return q;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strncmp(q + 1, names[i], strlen(names[i])) == 0)
				return q;
	}
	return text + strlen(text);
}

/* The '@' that ends user and password, or NULL. Of a host it is the last one, so that a raw '@' in
 * a password does no harm; the path of a socket may have its own, and begins with '/'. */
static const char *find_sign(const char *text, const char *end, bool is_socket)
{
	if (is_socket) {
		const char *sign = *text == '/' ? NULL : strstr(text, "@/");
		return sign != NULL && sign < end ? sign : NULL;
	}
	return memrchr(text, '@', (size_t)(end - text));
}

static int parse(const char *text, struct redis_url *u, struct err *err)
{
	bool is_socket = false;
	const char *at;
	if (strncmp(text, "redis://", 8) == 0) {
		at = text + 8;
	} else if (strncmp(text, "rediss://", 9) == 0) {
		u->tls = true;
		at = text + 9;
	} else if (strncmp(text, "unix://", 7) == 0) {
		is_socket = true;
		at = text + 7;
	} else {
		return bad(err, "begins with none of redis://, rediss:// and unix://");
	}
	const char *options_at = find_options(at);
	const char *sign = find_sign(at, options_at, is_socket);
	if (sign != NULL) {
		if (parse_user(u, at, (size_t)(sign - at), err) < 0)
			return -1;
		at = sign + 1;
	}
	size_t options = (size_t)(options_at - at);
	if (is_socket) {
		if (at[0] != '/' || options < 2)
			return bad(err, "has no absolute path of a socket");
		if (decode(at, options, &u->socket, err) < 0)
			return -1;
	} else {
		size_t host = strcspn(at, "/?");
		if (parse_host(u, at, host, err) < 0)
			return -1;
		if (at[host] == '/' && options > host + 1 &&
		    parse_db(u, at + host + 1, options - host - 1, err) < 0)
			return -1;
	}
	return at[options] == '?' ? parse_options(u, at + options + 1, err) : 0;
}

int redis_url_parse(const char *text, struct redis_url *ret, struct err *err)
{
	struct redis_url u = {0};
	if (parse(text, &u, err) < 0) {
		redis_url_done(&u);
		return -1;
	}
	*ret = u;
	return 0;
}

void redis_url_done(struct redis_url *u)
{
	free(u->host);
	free(u->address);
	free(u->socket);
	free(u->user);
	secret_done(&u->password);
	free(u->cacert);
	free(u->cert);
	free(u->key);
	*u = (struct redis_url){0};
}

int redis_url_name(const struct redis_url *u, char **ret, struct err *err)
{
	if (u->socket != NULL)
		return str_dup(u->socket, ret, err);
	const char *bracket = strchr(u->host, ':') != NULL ? "[" : "";
	return str_printf(ret, err, "%s%s%s:%u", bracket, u->host, *bracket ? "]" : "",
			  (unsigned)u->port);
}
