#include "agent/damage.h"

#include <stdlib.h>
#include <string.h>

/* One thing that a backup holds: everything whose name begins with `prefix` is a piece of it. */
struct thing {
	char *label;
	char *prefix;
	char *database; /* NULL: it is none */
	bool damaged;
};

struct damage {
	struct thing *things; /* the first that fits counts */
	size_t count;
	json_t *damaged;
	size_t not_listed;
};

void damage_free(struct damage *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++) {
		free(f->things[i].label);
		free(f->things[i].prefix);
		free(f->things[i].database);
	}
	free(f->things);
	json_decref(f->damaged);
	free(f);
}

/* All are copied; `database` may be NULL. */
static int add_thing(struct damage *f, const char *label, const char *prefix, const char *database,
		     struct err *err)
{
	struct thing *grown =
	    mem_grow(f->things, f->count, sizeof *f->things, "what the backup holds", err);
	if (grown == NULL)
		return -1;
	f->things = grown;
	struct thing *t = &f->things[f->count++];
	*t = (struct thing){.damaged = false};
	if (str_dup(label, &t->label, err) < 0 || str_dup(prefix, &t->prefix, err) < 0)
		return -1;
	return database != NULL ? str_dup(database, &t->database, err) : 0;
}

static int add_databases(struct damage *f, const json_t *postgres, struct err *err)
{
	size_t i;
	json_t *db;
	json_array_foreach(json_object_get(postgres, "databases"), i, db)
	{
		const char *name = json_str_or(db, "name", "?");
		CLEANUP(freep) char *label = NULL;
		if (str_printf(&label, err, "database '%s'", name) < 0 ||
		    add_thing(f, label, json_str_or(db, "dump", "?"), name, err) < 0)
			return -1;
	}
	return 0;
}

static int add_volumes(struct damage *f, const json_t *volumes, struct err *err)
{
	const char *name;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)volumes, name, item)
	{
		CLEANUP(freep) char *label = NULL, *prefix = NULL;
		if (str_printf(&label, err, "volume '%s'", name) < 0 ||
		    str_printf(&prefix, err, "volumes/%s/", name) < 0 ||
		    add_thing(f, label, prefix, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int damage_new(const json_t *manifest, struct damage **ret, struct err *err)
{
	CLEANUP(damage_freep) struct damage *f = mem_zalloc(sizeof *f, "findings", err);
	const json_t *components = json_object_get(manifest, "components");
	const json_t *postgres = json_object_get(components, "postgres");
	if (f == NULL || (f->damaged = json_array()) == NULL)
		return err_nomem(err, "findings");
	if (add_databases(f, postgres, err) < 0 ||
	    (postgres != NULL &&
	     add_thing(f, "roles and configuration of PostgreSQL", "postgres/", NULL, err) < 0) ||
	    (json_object_get(components, "redis") != NULL &&
	     add_thing(f, "Redis", "redis/", NULL, err) < 0) ||
	    (json_object_get(components, "pgbouncer") != NULL &&
	     add_thing(f, "PgBouncer", "pgbouncer/", NULL, err) < 0) ||
	    add_volumes(f, json_object_get(components, "volumes"), err) < 0)
		return -1;
	*ret = f;
	f = NULL;
	return 0;
}

static bool is_of(const struct thing *t, const struct reader_damage *d)
{
	/* A database is one stream. */
	if (t->database != NULL)
		return d->is_stream && strcmp(d->name, t->prefix) == 0;
	return strncmp(d->name, t->prefix, strlen(t->prefix)) == 0;
}

void damage_add(void *damage, const struct reader_damage *d)
{
	struct damage *f = damage;
	size_t i = 0;
	while (i < f->count && !is_of(&f->things[i], d))
		i++;
	if (i < f->count)
		f->things[i].damaged = true;
	if (json_array_size(f->damaged) == DAMAGE_MAX) {
		f->not_listed++;
		return;
	}
	json_t *j =
	    json_pack("{s:s, s:o, s:o}", "what", i < f->count ? f->things[i].label : "other files",
		      "name", json_text_value(d->name), "why", json_text_value(d->why));
	struct err ignored = ERR_INIT;
	if (d->is_stream &&
	    (json_put(j, "bad_parts", json_integer((json_int_t)d->bad_parts), &ignored) < 0 ||
	     json_put(j, "parts", json_integer((json_int_t)d->parts), &ignored) < 0))
		err_clear(&ignored);
	if (json_push(f->damaged, j, &ignored) < 0)
		f->not_listed++;
}

const json_t *damage_damaged(const struct damage *f)
{
	return f->damaged;
}

size_t damage_not_listed(const struct damage *f)
{
	return f->not_listed;
}

int damage_intact(const struct damage *f, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *list = json_array();
	for (size_t i = 0; i < f->count; i++)
		if (!f->things[i].damaged &&
		    json_push(list, json_text_value(f->things[i].label), err) < 0)
			return -1;
	*ret = list;
	list = NULL;
	return 0;
}

const char *damage_intact_database(const struct damage *f)
{
	const char *found = NULL;
	for (size_t i = 0; i < f->count; i++) {
		/* Without its roles no database is restored. */
		if (strcmp(f->things[i].prefix, "postgres/") == 0 && f->things[i].damaged)
			return NULL;
		if (f->things[i].database != NULL && !f->things[i].damaged && found == NULL)
			found = f->things[i].database;
	}
	return found;
}

void damage_say(const struct damage *f, struct output *out, bool whole)
{
	size_t i;
	json_t *d;
	json_array_foreach(f->damaged, i, d)
	{
		uint64_t parts = json_u64_or(d, "parts", 0), bad = json_u64_or(d, "bad_parts", 0);
		output_line(out, "  " STYLE_BAD "damaged" STYLE_END "  %s: '%s'%s",
			    json_str_or(d, "what", "?"), json_str_or(d, "name", "?"),
			    parts == 0 ? ""
			    : bad == 0 ? ", as a whole"
				       : "");
		if (bad > 0 && whole)
			output_line(out, "           %llu of its %llu parts, the first: %s",
				    (unsigned long long)bad, (unsigned long long)parts,
				    json_str_or(d, "why", "?"));
		else
			output_line(out, "           %s", json_str_or(d, "why", "?"));
	}
	if (f->not_listed > 0)
		output_line(out, "  and %zu more", f->not_listed);
	if (!whole || json_array_size(f->damaged) == 0)
		return;
	for (i = 0; i < f->count; i++)
		if (!f->things[i].damaged)
			output_line(out, "  " STYLE_GOOD "intact" STYLE_END "   %s",
				    f->things[i].label);
}
