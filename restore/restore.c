#include "restore/restore.h"

#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "restore/restore_impl.h"
#include "restore/sandbox.h"

static const json_t *section_of(const struct sandbox *sb, const struct part *p)
{
	return json_object_get(json_object_get(sb->manifest, "components"), p->name);
}

/* Is this part in the archive, and wanted? */
static bool is_wanted(const struct sandbox *sb, const struct part *p)
{
	if (section_of(sb, p) == NULL)
		return false;
	if (sb->job->database != NULL)
		return p == &part_postgres;
	return p == &part_volumes || sandbox_wants(sb, p->name);
}

/* A typing error in --only must not restore less than was meant. */
static int plan_only(struct sandbox *sb, json_t *plan, struct err *err)
{
	const json_t *components = json_object_get(sb->manifest, "components");
	const char *const *only = sb->job->only;
	for (size_t i = 0; only != NULL && only[i] != NULL; i++)
		if (json_object_get(components, only[i]) == NULL &&
		    json_object_get(json_object_get(components, "volumes"), only[i]) == NULL &&
		    plan_obstacle(plan, err, "the backup has no '%s'", only[i]) < 0)
			return -1;
	return 0;
}

/* Every part's view of what would be made and what stands in the way. */
static int plan_all(struct sandbox *sb, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = json_pack("{s:[], s:[]}", "volumes", "obstacles");
	uint64_t room;
	if (plan == NULL)
		return err_nomem(err, "a plan");
	if (plan_only(sb, plan, err) < 0)
		return -1;
	for (size_t i = 0; i < PARTS; i++)
		if (is_wanted(sb, parts[i]) &&
		    parts[i]->plan(sb, section_of(sb, parts[i]), plan, err) < 0)
			return err_wrap(err, "%s", parts[i]->name);
	if (json_array_size(json_object_get(plan, "volumes")) == 0 &&
	    json_array_size(json_object_get(plan, "obstacles")) == 0 &&
	    plan_obstacle(plan, err, "the backup holds nothing of what was asked for") < 0)
		return -1;
	/* Databases shrink a little when they are loaded anew, and need some room for WAL. */
	if (engine_volume_free_bytes(sb->job->engine, &room, err) < 0 ||
	    json_put(plan, "needs_bytes", json_integer((json_int_t)sb->expected_bytes), err) < 0 ||
	    json_put(plan, "free_bytes", json_integer((json_int_t)room), err) < 0)
		return -1;
	if (room < sb->expected_bytes &&
	    plan_obstacle(plan, err, "%llu bytes are needed for the volumes, %llu are free",
			  (unsigned long long)sb->expected_bytes, (unsigned long long)room) < 0)
		return -1;
	*ret = plan;
	plan = NULL;
	return 0;
}

int restore_plan(const struct restore_job *job, json_t **ret, struct err *err)
{
	CLEANUP(sandbox_freep) struct sandbox *sb = NULL;
	const char *suffix = job->as != NULL ? job->as : job->backup->id;
	if (sandbox_open(job, suffix, &sb, err) < 0)
		return -1;
	return plan_all(sb, ret, err);
}

/* Obstacles found before the start are all told at once, as one error. */
int restore_preflight(struct sandbox *sb, struct err *err)
{
	CLEANUP(json_freep) json_t *plan = NULL;
	if (plan_all(sb, &plan, err) < 0)
		return -1;
	json_t *obstacles = json_object_get(plan, "obstacles");
	size_t count = json_array_size(obstacles);
	if (count == 0)
		return 0;
	err_set(err, ERR_FAILED, "%s", json_string_value(json_array_get(obstacles, 0)));
	if (strstr(err->msg, " exists: ") != NULL)
		err->code = ERR_EXISTS;
	if (count > 1)
		err_hint(err, "And %zu more; `lifeboat restore --dry-run` lists them all.",
			 count - 1);
	return -1;
}

/* The stack's own checks, where the engine has them; whether the data is right, the proof says. */
static int wait_healthy(struct sandbox *sb, struct err *err)
{
	struct server *const all[] = {sb->postgres, sb->redis, sb->pgbouncer};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] != NULL &&
		    server_wait_healthy(all[i], sandbox_ready_deadline(sb), err) < 0)
			return -1;
	return 0;
}

static int load_and_boot(struct sandbox *sb, struct err *err)
{
	for (size_t i = 0; i < PARTS; i++)
		if (is_wanted(sb, parts[i]) &&
		    (fault_point(parts[i]->name, err) < 0 ||
		     parts[i]->load(sb, section_of(sb, parts[i]), err) < 0))
			return err_wrap(err, "%s", parts[i]->name);
	for (size_t i = 0; i < PARTS; i++)
		if (is_wanted(sb, parts[i]) && parts[i]->boot != NULL &&
		    parts[i]->boot(sb, section_of(sb, parts[i]), err) < 0)
			return err_wrap(err, "%s", parts[i]->name);
	return wait_healthy(sb, err);
}

/* Servers tell of a full disk in words of their own, or die of it: that is not the backup's fault.
 */
int restore_load(struct sandbox *sb, struct err *err)
{
	if (load_and_boot(sb, err) == 0)
		return 0;
	if (err->code != ERR_FAILED || !sandbox_is_full(sb))
		return -1;
	err->code = ERR_NOSPACE;
	return err_wrap(err, "no room is left for the volumes");
}

int restore_prove(struct sandbox *sb, struct report *report, struct err *err)
{
	if (fault_point("before-proof", err) < 0)
		return -1;
	for (size_t i = 0; i < PARTS; i++)
		if (is_wanted(sb, parts[i]) &&
		    parts[i]->prove(sb, section_of(sb, parts[i]), report, err) < 0)
			return err_wrap(err, "proof of %s", parts[i]->name);
	/* What a signal has cut off is no difference. */
	return prove_checks(sb, report, err) < 0 ? -1 : cancel_check(err);
}

int restore_control(struct sandbox *sb, json_t **ret, enum outcome *ret_outcome,
		    size_t *ret_changes, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_object();
	*ret_outcome = OUTCOME_UNVERIFIED;
	enum outcome outcome = OUTCOME_PASSED;
	size_t done_count = 0;
	if (all == NULL)
		return err_nomem(err, "a report");
	for (size_t i = 0; i < PARTS; i++) {
		CLEANUP(report_done) struct report report = {0};
		json_t *told = NULL;
		bool done;
		if (!is_wanted(sb, parts[i]) || parts[i]->control == NULL)
			continue;
		if (report_init(&report, err) < 0 ||
		    parts[i]->control(sb, section_of(sb, parts[i]), &report, &done, err) < 0)
			return err_wrap(err, "negative control of %s", parts[i]->name);
		if (!done)
			continue; /* it is empty: there is nothing that could be missing */
		done_count++;
		/* The change must have been noticed. */
		if (report_outcome(&report) != OUTCOME_FAILED)
			outcome = OUTCOME_UNVERIFIED;
		if (report_json(&report, &told, err) < 0 ||
		    json_put(all, parts[i]->name, told, err) < 0)
			return -1;
	}
	*ret_outcome = done_count > 0 ? outcome : OUTCOME_UNVERIFIED;
	*ret_changes = done_count;
	*ret = all;
	all = NULL;
	return 0;
}

/* Servers that are to stay, for the result. */
static int leave_servers(struct sandbox *sb, json_t **ret, struct err *err)
{
	struct server **const all[] = {&sb->postgres, &sb->redis, &sb->pgbouncer};
	static const char *const names[] = {"postgres", "redis", "pgbouncer"};
	CLEANUP(json_freep) json_t *list = json_array();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct server *s = *all[i];
		if (s == NULL)
			continue;
		json_t *j = json_pack("{s:s, s:s, s:i, s:s?, s:i}", "component", names[i], "host",
				      server_host(s), "port", (int)server_port(s), "socket_dir",
				      server_socket_dir(s), "pid", (int)server_pid(s));
		if (json_push(list, j, err) < 0 || server_leave(s, err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

/* Servers of a plain restore end cleanly before the volumes are handed over. */
static int stop_servers(struct sandbox *sb, struct err *err)
{
	struct server *const all[] = {sb->pgbouncer, sb->redis, sb->postgres};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] != NULL && server_stop(all[i], 120000, err) < 0)
			return -1;
	return 0;
}

static int keep_volumes(struct sandbox *sb, struct restore_result *r, struct err *err)
{
	if (!sb->job->leave_servers && stop_servers(sb, err) < 0)
		return -1;
	for (size_t i = 0; i < sb->volumes.count; i++)
		if (engine_volume_finish(sb->job->engine, sb->volumes.items[i], err) < 0)
			return -1;
	/* From here on no error may take a volume away from under a server that stays. */
	sb->keep = r->kept = true;
	return sb->job->leave_servers ? leave_servers(sb, &r->servers, err) : 0;
}

int restore_run(const struct restore_job *job, struct restore_result *ret, struct err *err)
{
	CLEANUP(sandbox_freep) struct sandbox *sb = NULL;
	CLEANUP(report_done) struct report report = {0};
	CLEANUP(restore_result_done) struct restore_result r = {.outcome = OUTCOME_UNVERIFIED};
	int64_t began = clock_monotonic_ms();
	r.data_age_ms = clock_wall_ms() - job->backup->taken_ms;

	if (sandbox_open(job, job->as != NULL ? job->as : job->backup->id, &sb, err) < 0 ||
	    restore_preflight(sb, err) < 0 || restore_load(sb, err) < 0)
		return -1;
	r.restore_ms = clock_monotonic_ms() - began;
	if (report_init(&report, err) < 0 || restore_prove(sb, &report, err) < 0)
		return -1;
	r.prove_ms = clock_monotonic_ms() - began - r.restore_ms;
	r.fetched_bytes = reader_fetched_bytes(sb->reader);
	r.archive_bytes = reader_object_bytes(sb->reader);
	r.outcome = report_outcome(&report);
	r.volumes = json_incref(sb->volume_list);
	if (report_json(&report, &r.report, err) < 0)
		return -1;
	if ((r.outcome != OUTCOME_FAILED || job->keep_failed) && keep_volumes(sb, &r, err) < 0)
		return -1;
	*ret = r;
	r = (struct restore_result){0};
	return 0;
}

void restore_result_done(struct restore_result *r)
{
	json_decref(r->report);
	json_decref(r->volumes);
	json_decref(r->servers);
	json_decref(r->evidence);
	*r = (struct restore_result){0};
}
