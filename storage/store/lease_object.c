#include "storage/store/lease_object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "base/digest.h"
#include "base/json.h"

enum { OBJECT_MAX_BYTES = 4096, GOOD_FOR_MAX_MS = 24 * 3600 * 1000 };

/* ---- names ---- */

static const struct {
	const char *dot_word;
	size_t digits;
	const char *of;
} forms[] = {[LEASE_LEASE] = {".lease-", 9, "0123456789"},
	     [LEASE_MARK] = {".mark-", 16, "0123456789abcdef"},
	     [LEASE_PROBE] = {".probe-", 16, "0123456789abcdef"}};

bool lease_name_parse(const char *object, struct lease_name *ret)
{
	size_t len = strlen(object);
	for (unsigned k = 0; k < sizeof forms / sizeof *forms; k++) {
		size_t word = strlen(forms[k].dot_word), tail = word + forms[k].digits;
		if (len <= tail || len > STORE_NAME_MAX)
			continue;
		const char *at = object + len - tail;
		if (strncmp(at, forms[k].dot_word, word) != 0 ||
		    strspn(at + word, forms[k].of) != forms[k].digits)
			continue;
		struct lease_name n = {.kind = (enum lease_kind)k};
		memcpy(n.name, object, len - tail);
		for (const char *d = at + word; k == LEASE_LEASE && *d != '\0'; d++)
			n.number = n.number * 10 + (unsigned)(*d - '0');
		*ret = n;
		return true;
	}
	return false;
}

bool lease_name_is(const char *object)
{
	struct lease_name ignored;
	return lease_name_parse(object, &ignored);
}

/* ---- holders ---- */

int lease_token(char out[LEASE_TOKEN_BYTES], struct err *err)
{
	uint8_t bytes[LEASE_TOKEN_BYTES / 2];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return err_sys(err, ERR_IO, errno, "random bytes");
	hex_encode(bytes, sizeof bytes, out);
	return 0;
}

int lease_holder_text(const struct lease_holder *h, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *j = json_object();
	if (json_put(j, "format", json_string("lifeboat-lease"), err) < 0 ||
	    json_put(j, "format_version", json_integer(1), err) < 0 ||
	    json_put(j, "host", json_text_value(h->process.host), err) < 0 ||
	    json_put(j, "pid", json_integer((json_int_t)h->process.pid), err) < 0 ||
	    json_put(j, "boot", json_string(h->process.boot), err) < 0 ||
	    json_put(j, "space", json_integer((json_int_t)h->process.space), err) < 0 ||
	    json_put(j, "process_started", json_integer((json_int_t)h->process.started), err) < 0 ||
	    json_put(j, "command", json_text_value(h->command), err) < 0 ||
	    json_put(j, "since", json_string(h->since), err) < 0 ||
	    json_put(j, "token", json_string(h->token), err) < 0 ||
	    json_put(j, "good_for_ms", json_integer(h->good_for_ms), err) < 0 ||
	    json_put(j, "ended", json_boolean(h->ended), err) < 0)
		return -1;
	return json_text(j, false, ret, err);
}

static void copy(char *out, size_t out_bytes, const char *text)
{
	size_t len = strnlen(text, out_bytes - 1);
	memcpy(out, text, len);
	out[len] = '\0';
}

static void fill(const json_t *j, struct lease_holder *h)
{
	struct process_name *p = &h->process;
	if (strcmp(json_str_or(j, "format", ""), "lifeboat-lease") != 0)
		return;
	copy(p->host, sizeof p->host, json_str_or(j, "host", ""));
	copy(p->boot, sizeof p->boot, json_str_or(j, "boot", ""));
	copy(h->command, sizeof h->command, json_str_or(j, "command", ""));
	copy(h->since, sizeof h->since, json_str_or(j, "since", ""));
	copy(h->token, sizeof h->token, json_str_or(j, "token", ""));
	p->pid = json_u64_or(j, "pid", 0);
	p->space = json_u64_or(j, "space", 0);
	p->started = json_u64_or(j, "process_started", 0);
	uint64_t good = json_u64_or(j, "good_for_ms", LEASE_MS);
	h->good_for_ms = good < GOOD_FOR_MAX_MS ? (int64_t)good : GOOD_FOR_MAX_MS;
	h->ended = json_is_true(json_object_get(j, "ended"));
}

int lease_holder_read(struct store *store, const char *object, struct lease_holder *ret,
		      struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	CLEANUP(json_freep) json_t *j = NULL;
	struct err bad = ERR_INIT;
	struct lease_holder h = {.good_for_ms = LEASE_MS};
	buf_init(&text, OBJECT_MAX_BYTES);
	if (store_get_bytes(store, object, &text, &bad) < 0 && bad.code != ERR_LIMIT) {
		*err = bad;
		return -1;
	}
	if (json_parse(buf_text(&text), text.len, &j, &bad) == 0) {
		fill(j, &h);
	} else if (bad.code == ERR_NOMEM) {
		*err = bad;
		return -1;
	}
	*ret = h;
	return 0;
}

void lease_holder_say(const struct lease_holder *h, char *out, size_t out_bytes)
{
	if (h->process.pid == 0)
		snprintf(out, out_bytes, "a holder of whom nothing is known");
	else
		snprintf(out, out_bytes, "host %s, pid %llu%s%s%s", h->process.host,
			 (unsigned long long)h->process.pid, h->command[0] ? " (" : "", h->command,
			 h->command[0] ? ")" : "");
}

bool lease_holder_is_dead(const struct lease_holder *h, int64_t modified_ms, int64_t now_ms)
{
	return h->ended || process_is_dead(&h->process) ||
	       (now_ms != INT64_MIN && now_ms - modified_ms >= h->good_for_ms);
}
