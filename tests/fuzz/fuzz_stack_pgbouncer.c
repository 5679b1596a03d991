/* Whatever the bytes of a configuration are: no crash, bounded work, and what is made of it for a
 * sandbox can be read again and leads nowhere but to the sandbox. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "stack/pgbouncer/pgbouncer_ini.h"

struct input {
	const uint8_t *data;
	size_t len;
	const char *made; /* instead of data, when set */
};

/* The same bytes under every name, so that includes are followed too. */
static int read_input(void *ctx, const char *path, struct buf *out, struct err *err)
{
	const struct input *in = ctx;
	if (strlen(path) > 64)
		return err_set(err, ERR_ABSENT, "can't open '%s'", path);
	return in->made != NULL ? buf_puts(out, in->made, err)
				: buf_append(out, in->data, in->len, err);
}

static const struct pgbouncer_sandbox sandbox = {.pg_host = "127.0.0.1",
						 .pg_port = 5555,
						 .pg_socket_dir = "/tmp/s",
						 .listen_addr = "127.0.0.1",
						 .listen_port = 6666,
						 .work_dir = "/tmp/w"};

/* Everything in [databases] begins with the sandbox's host and port, and names no other. */
static void check_database(const char *text)
{
	struct err err = ERR_INIT;
	for (unsigned i = 0;; i++) {
		CLEANUP(freep) char *key = NULL;
		CLEANUP(freep) char *value = NULL;
		if (pgbouncer_ini_pair(&text, &key, &value, &err) < 0)
			abort();
		if (key == NULL) {
			if (i < 2)
				abort();
			return;
		}
		bool host = strcmp(key, "host") == 0, port = strcmp(key, "port") == 0;
		if (host != (i == 0) || port != (i == 1))
			abort();
		if (host && strcmp(value, "127.0.0.1") != 0 && strcmp(value, "/tmp/s") != 0)
			abort();
		if (port && strcmp(value, "5555") != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct input in = {.data = data, .len = len};
	CLEANUP(json_freep) json_t *files = NULL;
	if (pgbouncer_collect("/etc/p.ini", NULL, read_input, &in, &files, &err) < 0)
		err_clear(&err);
	CLEANUP(freep) char *rules = NULL;
	if (pgbouncer_rewrite_hba("/etc/p.ini", NULL, read_input, &in, &sandbox, &rules, &err) < 0)
		err_clear(&err);
	CLEANUP(freep) char *text = NULL;
	if (pgbouncer_rewrite("/etc/p.ini", NULL, read_input, &in, &sandbox, &text, &err) < 0)
		return 0;
	CLEANUP(pgbouncer_ini_freep) struct pgbouncer_ini *ini = NULL;
	in.made = text;
	if (pgbouncer_ini_load("/etc/p.ini", NULL, read_input, &in, &ini, &err) < 0)
		abort();
	if (ini->files.count != 1)
		abort();
	for (size_t i = 0; i < ini->count; i++) {
		const struct pgbouncer_item *it = &ini->items[i];
		if (it->kind == PGBOUNCER_PAIR && strcmp(it->section, "databases") == 0)
			check_database(it->value);
		if (it->kind == PGBOUNCER_PAIR && strcmp(it->section, "peers") == 0)
			abort();
	}
	return 0;
}
