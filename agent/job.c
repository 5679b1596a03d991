#include "agent/job.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "agent/config/config_store.h"
#include "agent/config/keys.h"
#include "stack/redis/redis_url.h"
#include "storage/store/decrypting.h"

/* --image COMPONENT=IMAGE, and what compose.yaml calls each component. */
static int fill_services(struct job *j, const char *purpose, struct err *err)
{
	const struct config *c = j->app->config;
	const struct engine_service all[] = {
	    {.component = "postgres", .service = c->postgres.service},
	    {.component = "redis", .service = c->redis.service},
	    {.component = "pgbouncer", .service = c->pgbouncer.service}};
	memcpy(j->services, all, sizeof all);
	bool restores =
	    purpose != NULL && (strcmp(purpose, "restore") == 0 || strcmp(purpose, "drill") == 0);
	if (restores && cli_list(j->app->cli, "image", &j->images, err) < 0)
		return -1;
	for (size_t i = 0; i < j->images.count; i++) {
		const char *text = j->images.items[i], *image = strchr(text, '=');
		bool known = false;
		for (size_t k = 0; image != NULL && k < sizeof all / sizeof *all; k++) {
			size_t len = strlen(all[k].component);
			if ((size_t)(image - text) != len ||
			    strncmp(text, all[k].component, len) != 0)
				continue;
			j->services[k].image = image + 1;
			known = image[1] != '\0';
		}
		if (!known) {
			err_set(err, ERR_USAGE, "--image '%s' is not COMPONENT=IMAGE", text);
			return err_hint(err, "Write for instance --image postgres=postgres:17.");
		}
	}
	return 0;
}

int job_open_storeless(struct app *app, const char *purpose, struct job **ret, struct err *err)
{
	const struct config *c = app->config;
	CLEANUP(job_freep) struct job *j = mem_zalloc(sizeof *j, "a job", err);
	if (j == NULL)
		return -1;
	j->app = app;
	if (catalog_new_id(clock_wall_ms(), j->run_id, err) < 0 ||
	    fill_services(j, purpose, err) < 0)
		return -1;
	struct engine_opts engine = {.kind = c->stack.engine,
				     .stack = c->stack.name,
				     .volumes_dir = c->stack.volumes_dir,
				     .run_as = c->stack.run_as,
				     .run_id = j->run_id,
				     .purpose = purpose,
				     .docker_host = c->stack.docker_host,
				     .project = c->stack.project,
				     .client = c->postgres.client,
				     .services = j->services,
				     .service_count = sizeof j->services / sizeof *j->services};
	if (engine_open(&engine, &j->engine, err) < 0)
		return -1;
	*ret = j;
	j = NULL;
	return 0;
}

int job_open(struct app *app, const char *store_label, const char *purpose, struct job **ret,
	     struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	const struct config_store *store;
	if (config_store_find(app->config, store_label, &store, err) < 0 ||
	    job_open_storeless(app, purpose, &j, err) < 0 ||
	    config_store_open(store, &j->store, err) < 0)
		return -1;
	j->store_config = store;
	*ret = j;
	j = NULL;
	return 0;
}

void job_free(struct job *j)
{
	if (j == NULL)
		return;
	progress_free(j->progress);
	lease_free(j->mark);
	catalog_done(&j->catalog);
	strlist_done(&j->only);
	strlist_done(&j->images);
	secret_wipe(j->postgres_url);
	secret_wipe(j->pgbouncer_url);
	secret_wipe(j->admin_url);
	free(j->redis_address);
	engine_free(j->engine);
	store_free(j->archives);
	store_free(j->store);
	age_recipients_done(&j->recipients);
	age_identities_done(&j->identities);
	free(j->volumes);
	free(j->checks);
	free(j);
}

void job_progress(void *job, uint64_t done, uint64_t of, const char *what)
{
	struct job *j = job;
	struct err ignored = ERR_INIT;
	/* What servers say before the first part begins belongs to none. */
	if (what == NULL || what[0] == '\0')
		what = cli_command(j->app->cli)->name;
	if (j->progress == NULL) {
		struct progress_opts opts = {
		    .label = what, .total_bytes = of, .quiet = output_is_quiet(j->app->out)};
		/* Without a bar the job still runs. */
		if (progress_new(&opts, &j->progress, &ignored) < 0)
			return;
		j->progress_done = 0;
	}
	progress_label(j->progress, what);
	if (done > j->progress_done)
		progress_add(j->progress, (size_t)(done - j->progress_done));
	j->progress_done = done;
}

/* A url that names a server as the stack's own network does is led to where that server is. */
static int lead(struct job *j, const char *component, const char *url, char **ret, struct err *err)
{
	CLEANUP(freep) char *host = NULL, *address = NULL;
	if (pg_url_host(url, &host, err) < 0)
		return -1;
	if (host != NULL && engine_address(j->engine, component, host, &address, err) < 0)
		return err_wrap(err, "%s", component);
	return address != NULL ? pg_url_at(url, address, ret, err) : 0;
}

static int lead_redis(struct job *j, struct err *err)
{
	struct redis_url url = {0};
	int rc = redis_url_parse(secret_text(&j->app->config->redis.url), &url, err);
	if (rc == 0 && url.host != NULL)
		rc = engine_address(j->engine, "redis", url.host, &j->redis_address, err);
	redis_url_done(&url);
	return rc < 0 ? err_wrap(err, "redis") : 0;
}

static int find_addresses(struct job *j, struct err *err)
{
	const struct config *c = j->app->config;
	if (c->postgres.enabled &&
	    lead(j, "postgres", secret_text(&c->postgres.url), &j->postgres_url, err) < 0)
		return -1;
	if (c->redis.enabled && lead_redis(j, err) < 0)
		return -1;
	if (c->pgbouncer.enabled &&
	    lead(j, "pgbouncer", secret_text(&c->pgbouncer.url), &j->pgbouncer_url, err) < 0)
		return -1;
	return c->pgbouncer.enabled && secret_is_set(&c->pgbouncer.admin_url)
		   ? lead(j, "pgbouncer", secret_text(&c->pgbouncer.admin_url), &j->admin_url, err)
		   : 0;
}

static const char *led(const char *to, const struct secret *url)
{
	return to != NULL ? to : secret_text(url);
}

/* Doors of the components that have a section. */
static void fill_components(struct job *j, struct backup_job *b)
{
	const struct config *c = j->app->config;
	if (c->postgres.enabled) {
		j->postgres =
		    (struct pg_opts){.url = led(j->postgres_url, &c->postgres.url),
				     .connect_timeout_ms = c->postgres.connect_timeout_ms};
		b->postgres = &j->postgres;
		b->postgres_volume = c->postgres.volume;
		b->lock_wait_ms = c->postgres.lock_timeout_ms;
	}
	if (c->redis.enabled) {
		j->redis = (struct redis_opts){.url = secret_text(&c->redis.url),
					       .address = j->redis_address,
					       .connect_timeout_ms = c->redis.connect_timeout_ms};
		b->redis = &j->redis;
		b->redis_volume = c->redis.volume;
		b->redis_method = c->redis.method;
		b->save_timeout_ms = c->redis.save_timeout_ms;
	}
	if (c->pgbouncer.enabled) {
		j->pgbouncer = (struct pgbouncer_opts){
		    .url = led(j->pgbouncer_url, &c->pgbouncer.url),
		    .admin_url = secret_is_set(&c->pgbouncer.admin_url)
				     ? led(j->admin_url, &c->pgbouncer.admin_url)
				     : NULL,
		    .config = c->pgbouncer.config,
		    .connect_timeout_ms = c->pgbouncer.connect_timeout_ms};
		b->pgbouncer = &j->pgbouncer;
		b->pgbouncer_volume = c->pgbouncer.volume;
	}
}

struct suspicion_rules job_suspicion(const struct job *j)
{
	const struct config *c = j->app->config;
	return (struct suspicion_rules){.history = c->suspicious.history,
					.bytes = c->suspicious.bytes,
					.rows = c->suspicious.rows,
					.keys = c->suspicious.keys};
}

int job_backup(struct job *j, struct backup_job *ret, struct err *err)
{
	const struct config *c = j->app->config;
	struct backup_job b = {.stack = c->stack.name,
			       .engine = j->engine,
			       .store = j->store,
			       .archive = {.level = c->archive.level,
					   .part_bytes = (size_t)c->archive.part_bytes,
					   .threads = c->archive.threads},
			       .suspicion = job_suspicion(j),
			       .progress = job_progress,
			       .progress_ctx = j};
	if (config_require_component(c, err) < 0 || keys_recipients(c, &j->recipients, err) < 0)
		return -1;
	if (j->recipients.count > 0)
		b.recipients = &j->recipients;
	j->volumes = mem_zalloc((c->volume_count + 1) * sizeof *j->volumes, "volumes", err);
	if (j->volumes == NULL)
		return -1;
	for (size_t i = 0; i < c->volume_count; i++)
		j->volumes[i] = (struct backup_volume){.label = c->volumes[i].label,
						       .name = c->volumes[i].name,
						       .pause = c->volumes[i].pause,
						       .stop = c->volumes[i].stop};
	b.volumes = j->volumes;
	b.volume_count = c->volume_count;
	if (find_addresses(j, err) < 0)
		return -1;
	fill_components(j, &b);
	*ret = b;
	return 0;
}

int job_find(struct job *j, const char *which, const struct backup **ret, struct err *err)
{
	if (j->catalog.items == NULL &&
	    catalog_load(j->store, j->app->config->stack.name, &j->catalog, err) < 0)
		return -1;
	const struct backup *b;
	if (catalog_find(&j->catalog, which != NULL ? which : "latest", &b, err) < 0)
		return -1;
	if (b->broken[0] != '\0') {
		err_set(err, ERR_CORRUPT, "backup '%s' in store '%s': %s", b->id,
			store_name(j->store), b->broken);
		return err_hint(err,
				"`lifeboat verify %s` tells more, `lifeboat list` shows other "
				"backups.",
				b->id);
	}
	*ret = b;
	return 0;
}

int job_archives(struct job *j, const struct backup *b, struct store **ret, struct err *err)
{
	struct store_object ignored;
	if (!storage_is_encrypted(b->archive)) {
		*ret = j->store;
		return 0;
	}
	if (j->archives == NULL &&
	    (keys_identities(j->app->config, &j->identities, err) < 0 ||
	     store_decrypting(j->store, &j->identities, &j->archives, err) < 0))
		return -1;
	/* Before anything is made: does the identity fit? */
	if (store_stat(j->archives, b->archive, &ignored, err) < 0) {
		if (err->code == ERR_UNVERIFIED)
			err->code = ERR_CONFIG;
		return -1;
	}
	*ret = j->archives;
	return 0;
}

int job_mark(struct job *j, const struct backup *b, const char *command, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	struct err why = ERR_INIT;
	struct store_object there;
	bool first = j->mark == NULL;
	lease_free(j->mark);
	j->mark = NULL;
	const char *stack = j->app->config->stack.name;
	if (str_printf(&name, err, "%s-%s", stack, b->id) < 0)
		return -1;
	/* What killed readers left would else stay until the next prune. */
	if (first && lease_sweep(j->store, stack, false, NULL, &why) < 0)
		err_clear(&why);
	if (lease_mark(j->store, name, command, &j->mark, &why) < 0) {
		if (why.code == ERR_CANCELLED) {
			*err = why;
			return -1;
		}
		log_line(LOG_WARN,
			 "a prune elsewhere can't know that backup '%s' is being read: %s", b->id,
			 why.msg);
	}
	/* Whoever removed it before it was marked could not see that. */
	if (store_stat(j->store, b->sidecar, &there, err) == 0)
		return 0;
	return err->code == ERR_ABSENT
		   ? err_set(err, ERR_ABSENT, "backup '%s' has just been removed", b->id)
		   : -1;
}

int job_restore(struct job *j, struct restore_job *ret, struct err *err)
{
	const struct config *c = j->app->config;
	struct restore_job r = {.stack = c->stack.name,
				.engine = j->engine,
				.store = j->store,
				.ready_ms = c->health.retries *
					    (c->health.interval_ms + c->health.timeout_ms),
				.progress = job_progress,
				.progress_ctx = j};
	if (job_find(j, cli_arg(j->app->cli, 0), &r.backup, err) < 0 ||
	    job_archives(j, r.backup, &r.archives, err) < 0)
		return -1;
	if (c->pgbouncer.enabled)
		r.pgbouncer_url = secret_text(&c->pgbouncer.url);
	if (c->redis.enabled)
		r.redis_url = secret_text(&c->redis.url);
	j->checks = mem_zalloc((c->check_count + 1) * sizeof *j->checks, "checks", err);
	if (j->checks == NULL)
		return -1;
	for (size_t i = 0; i < c->check_count; i++)
		j->checks[i] = (struct restore_check){.label = c->checks[i].label,
						      .database = c->checks[i].database,
						      .sql = c->checks[i].sql,
						      .expect = c->checks[i].expect};
	r.checks = j->checks;
	r.check_count = c->check_count;
	*ret = r;
	return 0;
}

int job_only(struct job *j, const char *const **ret, struct err *err)
{
	if (cli_list(j->app->cli, "only", &j->only, err) < 0)
		return -1;
	*ret = j->only.count > 0 ? (const char *const *)j->only.items : NULL;
	return 0;
}
