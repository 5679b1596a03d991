#include "storage/decisions.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/digest.h"

static const char field[] = "decisions", pin[] = "pin", unpin[] = "unpin", trust[] = "trust";
/* What was decided when the backup was taken, or by a version that kept no set. */
static const char first[] = "first";

int decisions_token(char out[DECISIONS_TOKEN_BYTES], struct err *err)
{
	uint8_t bytes[DECISIONS_TOKEN_BYTES / 2];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return err_sys(err, ERR_IO, errno, "random bytes");
	hex_encode(bytes, sizeof bytes, out);
	return 0;
}

/* ---- the set ---- */

static bool is(const json_t *d, const char *what, const char *id)
{
	return strcmp(json_str_or(d, "what", ""), what) == 0 &&
	       (id == NULL || strcmp(json_str_or(d, "id", ""), id) == 0);
}

static bool is_here(const json_t *d)
{
	return json_is_true(json_object_get(d, "here"));
}

static json_t *find(const json_t *set, const char *what, const char *id)
{
	size_t i;
	json_t *d;
	json_array_foreach(set, i, d)
	{
		if (is(d, what, id))
			return d;
	}
	return NULL;
}

static int add(json_t *set, const char *what, const char *id, bool here, const char *at,
	       struct err *err)
{
	char now[CLOCK_TEXT_BYTES];
	json_t *d = find(set, what, id);
	if (d != NULL) {
		/* For all of them now, where it was for this store alone. */
		if (!here)
			json_object_del(d, "here");
		return 0;
	}
	if (json_array_size(set) >= DECISIONS_MAX)
		return err_set(err, ERR_LIMIT, "its sidecar holds %d decisions already",
			       (int)DECISIONS_MAX);
	if (at == NULL)
		at = clock_rfc3339(clock_wall_ms(), now);
	d = json_pack("{s:s, s:s, s:s}", "what", what, "id", id, "at", at);
	if (here && json_put(d, "here", json_true(), err) < 0) {
		json_decref(d);
		return -1;
	}
	return json_push(set, d, err);
}

/* A pin that nobody has lifted; NULL: there is none. */
static const json_t *standing_pin(const json_t *set)
{
	size_t i;
	json_t *d;
	json_array_foreach(set, i, d)
	{
		if (is(d, pin, NULL) && find(set, unpin, json_str_or(d, "id", "")) == NULL)
			return d;
	}
	return NULL;
}

/* A new set of what the sidecar says, also by `pinned` and `trusted` alone. */
static int set_of(const json_t *sidecar, json_t **ret, struct err *err)
{
	const json_t *said = json_object_get(sidecar, field);
	CLEANUP(json_freep)
	json_t *set = json_is_array(said) ? json_deep_copy(said) : json_array();
	const char *at = json_str_or(sidecar, "finished", ""),
		   *trusted = json_str_or(sidecar, "trusted", NULL);
	if (set == NULL)
		return err_nomem(err, "JSON");
	if (json_is_true(json_object_get(sidecar, "pinned")) && standing_pin(set) == NULL &&
	    add(set, pin, first, false, at, err) < 0)
		return -1;
	if (trusted != NULL && find(set, trust, NULL) == NULL &&
	    add(set, trust, first, false, trusted, err) < 0)
		return -1;
	*ret = set;
	set = NULL;
	return 0;
}

static bool is_pinned(const json_t *sidecar)
{
	return json_is_true(json_object_get(sidecar, "pinned"));
}

static int put_set(json_t *sidecar, json_t *set, struct err *err)
{
	return json_put(sidecar, field, json_incref(set), err);
}

/* ---- deciding ---- */

int decisions_pin(json_t *sidecar, const char *id, bool here, struct err *err)
{
	CLEANUP(json_freep) json_t *set = NULL;
	if (set_of(sidecar, &set, err) < 0 || add(set, pin, id, here, NULL, err) < 0 ||
	    put_set(sidecar, set, err) < 0)
		return -1;
	return json_put(sidecar, "pinned", json_true(), err);
}

int decisions_unpin(json_t *sidecar, bool here, bool *ret_changed, struct err *err)
{
	CLEANUP(json_freep) json_t *set = NULL;
	const json_t *d;
	if (set_of(sidecar, &set, err) < 0)
		return -1;
	*ret_changed = is_pinned(sidecar);
	if (!*ret_changed)
		return 0;
	while ((d = standing_pin(set)) != NULL)
		if (add(set, unpin, json_str_or(d, "id", ""), here, NULL, err) < 0)
			return -1;
	return put_set(sidecar, set, err) < 0 ? -1 : json_put(sidecar, "pinned", json_false(), err);
}

static int lift(json_t *sidecar, const char *at, struct err *err)
{
	return json_put(sidecar, "suspicious", json_false(), err) < 0
		   ? -1
		   : json_put(sidecar, "trusted", json_string(at), err);
}

int decisions_trust(json_t *sidecar, const char *id, bool here, bool *ret_changed, struct err *err)
{
	CLEANUP(json_freep) json_t *set = NULL;
	char now[CLOCK_TEXT_BYTES];
	*ret_changed = json_is_true(json_object_get(sidecar, "suspicious"));
	if (!*ret_changed)
		return 0;
	clock_rfc3339(clock_wall_ms(), now);
	if (set_of(sidecar, &set, err) < 0 || add(set, trust, id, here, now, err) < 0 ||
	    put_set(sidecar, set, err) < 0)
		return -1;
	return lift(sidecar, now, err);
}

/* ---- leaving the store ---- */

/* How many entries were for one store alone. */
static size_t forget_here(json_t *set)
{
	size_t gone = 0;
	for (size_t i = json_array_size(set); i > 0; i--) {
		if (!is_here(json_array_get(set, i - 1)))
			continue;
		json_array_remove(set, i - 1);
		gone++;
	}
	return gone;
}

int decisions_leave(json_t *sidecar, bool *ret_changed, struct err *err)
{
	CLEANUP(json_freep) json_t *set = NULL;
	if (set_of(sidecar, &set, err) < 0)
		return -1;
	bool stays = is_pinned(sidecar) && standing_pin(set) == NULL;
	bool trusted = find(set, trust, NULL) != NULL;
	*ret_changed = forget_here(set) > 0;
	if (!*ret_changed)
		return 0;
	if (put_set(sidecar, set, err) < 0 ||
	    json_put(sidecar, "pinned", json_boolean(stays || standing_pin(set) != NULL), err) < 0)
		return -1;
	if (!trusted || find(set, trust, NULL) != NULL)
		return 0;
	json_object_del(sidecar, "trusted");
	return json_put(sidecar, "suspicious", json_true(), err);
}

/* ---- bringing together ---- */

/* Adds to `set` what `theirs` has and says whether that was anything. */
static int unite(json_t *set, const json_t *theirs, bool *ret_more, struct err *err)
{
	size_t i;
	json_t *d;
	*ret_more = false;
	json_array_foreach(theirs, i, d)
	{
		const char *what = json_str_or(d, "what", ""), *id = json_str_or(d, "id", "");
		const json_t *ours = find(set, what, id);
		if (is_here(d) || (ours != NULL && !is_here(ours)))
			continue;
		if (add(set, what, id, false, json_str_or(d, "at", NULL), err) < 0)
			return -1;
		*ret_more = true;
	}
	return 0;
}

int decisions_merge(json_t *sidecar, const json_t *theirs, bool *ret_changed, struct err *err)
{
	CLEANUP(json_freep) json_t *set = NULL;
	CLEANUP(json_freep) json_t *other = NULL;
	if (set_of(sidecar, &set, err) < 0 || set_of(theirs, &other, err) < 0)
		return -1;
	/* A pin that no decision accounts for is not lifted by any. */
	bool stays = is_pinned(sidecar) && standing_pin(set) == NULL;
	if (unite(set, other, ret_changed, err) < 0)
		return -1;
	if (!*ret_changed)
		return 0;
	const json_t *trusted = find(set, trust, NULL);
	if (put_set(sidecar, set, err) < 0 ||
	    json_put(sidecar, "pinned", json_boolean(stays || standing_pin(set) != NULL), err) < 0)
		return -1;
	if (trusted == NULL || !json_is_true(json_object_get(sidecar, "suspicious")))
		return 0;
	return lift(sidecar, json_str_or(trusted, "at", ""), err);
}

int decisions_is_pinned(const json_t *sidecar, const json_t *theirs, bool *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *copy = json_deep_copy(sidecar);
	bool ignored;
	if (copy == NULL)
		return err_nomem(err, "JSON");
	if (decisions_merge(copy, theirs, &ignored, err) < 0)
		return -1;
	*ret = is_pinned(copy);
	return 0;
}

int decisions_check(const json_t *sidecar, struct err *err)
{
	const json_t *set = json_object_get(sidecar, field);
	size_t i;
	json_t *d;
	if (set != NULL && !json_is_array(set))
		return err_set(err, ERR_CORRUPT, "field '%s' is not an array", field);
	if (json_array_size(set) > DECISIONS_MAX)
		return err_set(err, ERR_CORRUPT, "field '%s' has more than %d entries", field,
			       (int)DECISIONS_MAX);
	json_array_foreach(set, i, d)
	{
		const char *what, *id, *at;
		int64_t ignored;
		if (json_get_str(d, "what", &what, err) < 0 ||
		    json_get_str(d, "id", &id, err) < 0 || json_get_str(d, "at", &at, err) < 0 ||
		    clock_parse_rfc3339(at, &ignored, err) < 0)
			return err_wrap(err, "field '%s'", field);
		/* What another store says goes into our sidecars, which must stay readable. */
		if (strlen(what) >= DECISIONS_TOKEN_BYTES || strlen(id) >= DECISIONS_TOKEN_BYTES)
			return err_set(err, ERR_CORRUPT,
				       "field '%s' holds a text longer than %d bytes", field,
				       DECISIONS_TOKEN_BYTES - 1);
	}
	return 0;
}
