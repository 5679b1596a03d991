/*
 * Would a backup work tonight? Everything is asked, nothing is taken; every finding is told, not
 * only the first.
 */
#include <stdlib.h>
#include <string.h>
#include "agent/check_stores.h"
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "agent/config/keys.h"
#include "agent/report/uncovered.h"
#include "base/log.h"
#include "stack/engine/engine_promote.h"

/* One component alone, so that one failure hides no other. *ret NULL: it failed. */
static int plan_component(struct findings *f, struct backup_job b, const char *name, json_t **ret,
			  struct err *err)
{
	struct err why = ERR_INIT;
	const char *only[] = {name, NULL};
	b.only = only;
	*ret = NULL;
	if (backup_plan(&b, ret, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED) {
		*err = why;
		return -1;
	}
	return findings_fail(f, name, &why, err);
}

static int check_missing(struct findings *f, const char *what, const json_t *server,
			 struct err *err)
{
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(server, "missing"), i, item)
	{
		CLEANUP(freep) char *text = NULL;
		if (str_printf(&text, err, "not taken: %s: %s", json_str_or(item, "what", "?"),
			       json_str_or(item, "why", "?")) < 0 ||
		    findings_add(f, "warning", what, text, err) < 0)
			return -1;
	}
	return 0;
}

static int check_postgres(struct findings *f, const struct backup_job *b, uint64_t *bytes,
			  struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	CLEANUP(freep) char *text = NULL;
	char size[FORMAT_BYTES];
	size_t i;
	json_t *db;
	if (plan_component(f, *b, "postgres", &plan, err) < 0)
		return -1;
	if (plan == NULL)
		return 0;
	const json_t *section = json_object_get(plan, "postgres");
	const json_t *server = json_object_get(section, "server");
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		uint64_t hidden = json_u64_or(db, "large_objects_unreadable", 0);
		*bytes += json_u64_or(db, "bytes", 0);
		if (hidden == 0)
			continue;
		CLEANUP(freep) char *gap = NULL;
		if (str_printf(&gap, err,
			       "not taken: %llu large objects of database '%s': no right to read",
			       (unsigned long long)hidden, json_str_or(db, "name", "?")) < 0 ||
		    findings_add(f, "warning", "postgres", gap, err) < 0)
			return -1;
	}
	if (str_printf(&text, err, "server %s, %zu databases, %s, clients of the same version",
		       json_str_or(server, "server_version", "?"),
		       json_array_size(json_object_get(section, "databases")),
		       format_size(*bytes, size)) < 0 ||
	    findings_add(f, "ok", "postgres", text, err) < 0)
		return -1;
	db = NULL;
	json_array_foreach(json_object_get(section, "skipped_databases"), i, db)
	{
		CLEANUP(freep) char *gap = NULL;
		if (str_printf(&gap, err, "not taken: database '%s' allows no connections",
			       json_string_value(db)) < 0 ||
		    findings_add(f, "warning", "postgres", gap, err) < 0)
			return -1;
	}
	return check_missing(f, "postgres", server, err);
}

static int check_redis(struct findings *f, const struct backup_job *b, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	CLEANUP(freep) char *text = NULL;
	if (plan_component(f, *b, "redis", &plan, err) < 0)
		return -1;
	if (plan == NULL)
		return 0;
	const json_t *section = json_object_get(plan, "redis");
	const json_t *server = json_object_get(section, "server");
	const char *reason = json_str_or(section, "method_reason", NULL);
	if (str_printf(&text, err, "server %s, by %s%s%s", json_str_or(server, "version", "?"),
		       json_str_or(section, "method", "?"), reason != NULL ? ": " : "",
		       reason != NULL ? reason : "") < 0 ||
	    findings_add(f, reason != NULL && strcmp(reason, "asked for") != 0 ? "warning" : "ok",
			 "redis", text, err) < 0)
		return -1;
	return check_missing(f, "redis", server, err);
}

static int check_pgbouncer(struct findings *f, const struct backup_job *b, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	CLEANUP(freep) char *text = NULL;
	if (plan_component(f, *b, "pgbouncer", &plan, err) < 0)
		return -1;
	if (plan == NULL)
		return 0;
	const json_t *section = json_object_get(plan, "pgbouncer");
	if (str_printf(&text, err, "%s, %zu files", json_str_or(section, "ini", "?"),
		       json_array_size(json_object_get(section, "files"))) < 0)
		return -1;
	return findings_add(f, "ok", "pgbouncer", text, err);
}

static int check_volumes(struct findings *f, const struct backup_job *b, struct err *err)
{
	for (size_t i = 0; i < b->volume_count; i++) {
		CLEANUP(json_freep) json_t *plan = NULL;
		if (plan_component(f, *b, b->volumes[i].label, &plan, err) < 0)
			return -1;
		if (plan != NULL &&
		    findings_add(f, "ok", b->volumes[i].label, "the volume is there", err) < 0)
			return -1;
	}
	return 0;
}

/* Before the servers are asked: they may stand still because of one. */
static int check_engine(struct findings *f, struct job *j, struct err *err)
{
	CLEANUP(strlist_done) struct strlist cut = {0}, found = {0};
	if (engine_promotion_sweep(j->engine, true, &cut, err) < 0 ||
	    engine_sweep(j->engine, true, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < cut.count; i++) {
		struct err why = ERR_INIT;
		err_set(&why, ERR_FAILED, "%s", cut.items[i]);
		err_hint(&why, "At once: lifeboat prune");
		if (findings_fail(f, "production", &why, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < found.count; i++)
		if (!strlist_has(&cut, found.items[i]) &&
		    findings_add(f, "warning", "leftover of a killed job", found.items[i], err) < 0)
			return -1;
	return 0;
}

static int add_uncovered(void *findings, const char *what, const char *why, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	return str_printf(&text, err, "%s: %s", what, why) < 0
		   ? -1
		   : findings_add(findings, "warning", "not backed up", text, err);
}

/* What no section names. Where the engine can't tell, the components have said so already. */
static int check_uncovered(struct findings *f, struct job *j, struct err *err)
{
	struct err why = ERR_INIT;
	const struct uncovered_sink to = {.found = add_uncovered, .ctx = f};
	if (uncovered_find(f->app->config, j->engine, &to, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	log_debug("%s", why.msg);
	return 0;
}

static int check_components(struct findings *f, struct job *j, uint64_t *ret_bytes, struct err *err)
{
	struct backup_job b;
	struct err why = ERR_INIT;
	if (job_backup(j, &b, &why) < 0) {
		/* A server that does not run is a finding; what can't be asked for is not. */
		if (why.code == ERR_ABSENT)
			return findings_fail(f, "stack", &why, err);
		*err = why;
		return -1;
	}
	if ((b.postgres != NULL && check_postgres(f, &b, ret_bytes, err) < 0) ||
	    (b.redis != NULL && check_redis(f, &b, err) < 0) ||
	    (b.pgbouncer != NULL && check_pgbouncer(f, &b, err) < 0))
		return -1;
	return check_volumes(f, &b, err);
}

/* Are the keys good, and does what opens archives here open those of tonight? */
static int check_encryption(struct findings *f, struct err *err)
{
	const struct config *c = f->app->config;
	CLEANUP(age_recipients_done) struct age_recipients r = {.keys = NULL};
	CLEANUP(age_identities_done) struct age_identities i = {.keys = NULL};
	CLEANUP(freep) char *text = NULL;
	struct err why = ERR_INIT;
	if (c->archive.recipients == NULL && !secret_is_set(&c->archive.identity))
		return 0;
	if (keys_recipients(c, &r, &why) < 0 || keys_identities(c, &i, &why) < 0)
		return findings_fail(f, "encryption", &why, err);
	if (r.count == 0)
		return findings_add(
		    f, "warning", "encryption",
		    "there is an identity, but archives are not encrypted: [archive] has no "
		    "recipients",
		    err);
	if (i.count > 0 && keys_try(&r, &i, &why) < 0) {
		err_set(&why, ERR_CONFIG,
			"the identity of [archive] opens none of the archives that will be "
			"written");
		err_hint(&why, "Its public key is not among the recipients: add it, or name the "
			       "identity of one of them");
		return findings_fail(f, "encryption", &why, err);
	}
	if (str_printf(&text, err, "to %zu %s; %s", r.count,
		       r.count == 1 ? "recipient (a second one, whose identity is kept elsewhere, "
				      "protects from losing the first)"
				    : "recipients",
		       i.count > 0 ? "the identity here opens it"
				   : "no identity here: restore, drill and verify need one") < 0)
		return -1;
	return findings_add(f, "ok", "encryption", text, err);
}

int cmd_check(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	struct findings f = {.app = app, .list = list, .first = ERR_INIT};
	uint64_t bytes = 0;
	const struct config *c = app->config;
	if (job_open_storeless(app, NULL, &j, err) < 0)
		return -1;
	for (size_t i = 0; i < c->warnings.count; i++)
		if (findings_add(&f, "warning", "configuration", c->warnings.items[i], err) < 0)
			return -1;
	if (check_engine(&f, j, err) < 0 || check_components(&f, j, &bytes, err) < 0 ||
	    check_uncovered(&f, j, err) < 0)
		return -1;
	if (check_encryption(&f, err) < 0 || check_stores(&f, bytes, err) < 0)
		return -1;
	if (output_json(app->out,
			json_pack("{s:s, s:i, s:i, s:O}", "stack", c->stack.name, "failed",
				  (int)f.bad, "warnings", (int)f.warnings, "findings", list),
			err) < 0)
		return -1;
	if (f.bad == 0)
		return 0;
	*err = f.first;
	return err_wrap(err, "%zu of the checks failed; the first", f.bad);
}
