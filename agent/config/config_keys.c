#include "agent/config/config_keys.h"

#include <string.h>

#define AT(section, field) offsetof(struct config_##section, field)
#define SCHEDULE(kind, name, sample, text)                                                         \
	{                                                                                          \
		.section = "schedule", .key = (name), .type = CONFIG_CRON,                         \
		.offset = offsetof(struct config, schedule.cron[kind]), .example = (sample),       \
		.help = (text)                                                                     \
	}
#define HOOK(side, kind, name, sample, text)                                                       \
	{                                                                                          \
		.section = "hook", .key = (name), .type = CONFIG_TEXT,                             \
		.offset = offsetof(struct config_hook, side[kind]), .example = (sample),           \
		.help = (text)                                                                     \
	}

static const struct config_key keys[] = {
    {.section = "stack",
     .key = "name",
     .type = CONFIG_NAME,
     .required = true,
     .offset = AT(stack, name),
     .example = "hdms",
     .help = "The name of the stack: letters, digits, '_' and '-'. Archives begin with it, so keep "
	     "it."},
    {.section = "stack",
     .key = "env_file",
     .type = CONFIG_TEXT,
     .offset = AT(stack, env_file),
     .example = ".env",
     .help = "Files from which ${NAME} takes values that the environment does not have, read as "
	     "docker compose reads them, later ones winning. Several are separated by commas; "
	     "names are relative to the folder of agent.conf."},
    {.section = "stack",
     .key = "engine",
     .type = CONFIG_CHOICE,
     .fallback = "local",
     .choices = "local docker",
     .offset = AT(stack, engine),
     .help = "What has the volumes and runs the restored servers. docker: named volumes and "
	     "containers of a Compose project. local: folders and programs of this machine."},
    {.section = "stack",
     .key = "project",
     .type = CONFIG_NAME,
     .offset = AT(stack, project),
     .example = "hdms",
     .help = "docker: the Compose project (docker compose ls). Without it the stack's name is "
	     "taken."},
    {.section = "stack",
     .key = "docker_host",
     .type = CONFIG_TEXT,
     .offset = AT(stack, docker_host),
     .example = "unix:///run/docker.sock",
     .help = "docker: where the Docker Engine is: unix:///path or tcp://host:port. Without it "
	     "$DOCKER_HOST, else /var/run/docker.sock."},
    {.section = "stack",
     .key = "volumes_dir",
     .type = CONFIG_PATH,
     .offset = AT(stack, volumes_dir),
     .example = "/srv/hdms/volumes",
     .help = "local: the folder in which each named volume is a folder. A restore makes its fresh "
	     "volumes "
	     "here."},
    {.section = "stack",
     .key = "run_as",
     .type = CONFIG_TEXT,
     .fallback = "postgres",
     .offset = AT(stack, run_as),
     .help = "local: the user that restored servers run as when lifeboat is started by root."},

    {.section = "postgres",
     .key = "url",
     .type = CONFIG_SECRET_URL,
     .required = true,
     .choices = "postgresql postgres",
     .offset = AT(postgres, url),
     .example = "postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:5432/postgres",
     .help = "How to reach the server itself, never PgBouncer: a libpq connection URI. A superuser "
	     "can take everything; a role with pg_read_all_data takes what it may read, and "
	     "lifeboat check names what it can't."},
    {.section = "postgres",
     .key = "volume",
     .type = CONFIG_VOLUME,
     .fallback = "postgres_data",
     .offset = AT(postgres, volume),
     .help = "The volume that holds the server's data. A restore makes <volume>_<id>. docker: the "
	     "name in compose.yaml is enough; what the server really uses is found."},
    {.section = "postgres",
     .key = "service",
     .type = CONFIG_NAME,
     .fallback = "postgres",
     .offset = AT(postgres, service),
     .help = "docker: the service in compose.yaml."},
    {.section = "postgres",
     .key = "client",
     .type = CONFIG_CHOICE,
     .fallback = "auto",
     .choices = "auto exec host",
     .offset = AT(postgres, client),
     .help = "docker: where pg_dump runs. exec: in the server's own container. host: the program "
	     "of this machine, over the network. auto: exec where it is allowed, else host."},
    {.section = "postgres",
     .key = "connect_timeout",
     .type = CONFIG_DURATION,
     .fallback = "20s",
     .min = 100,
     .max = 3600000,
     .offset = AT(postgres, connect_timeout_ms),
     .help = "How long connecting may take. Statements have no time limit."},
    {.section = "postgres",
     .key = "lock_timeout",
     .type = CONFIG_DURATION,
     .fallback = "5m",
     .min = 1000,
     .max = 86400000,
     .offset = AT(postgres, lock_timeout_ms),
     .help = "How long a dump waits for a table that a migration holds locked. While it waits, "
	     "others queue up behind it."},

    {.section = "redis",
     .key = "url",
     .type = CONFIG_SECRET_URL,
     .required = true,
     .choices = "redis rediss unix",
     .offset = AT(redis, url),
     .example = "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0",
     .help = "How to reach the server: redis://[[user]:password@]host[:port][/db], rediss:// for "
	     "TLS, or unix://[[user]:password@]/path/to/socket."},
    {.section = "redis",
     .key = "volume",
     .type = CONFIG_VOLUME,
     .fallback = "redis_data",
     .offset = AT(redis, volume),
     .help = "The volume that holds the server's data."},
    {.section = "redis",
     .key = "service",
     .type = CONFIG_NAME,
     .fallback = "redis",
     .offset = AT(redis, service),
     .help = "docker: the service in compose.yaml."},
    {.section = "redis",
     .key = "method",
     .type = CONFIG_CHOICE,
     .fallback = "auto",
     .choices = "auto bgsave stream",
     .offset = AT(redis, method),
     .help =
	 "How the snapshot is taken. bgsave: the server saves and the file is read from its "
	 "volume. stream: over the network, as a replica would. auto: bgsave where the file can "
	 "be reached and a failing save could not stop the server's writes, else stream."},
    {.section = "redis",
     .key = "save_timeout",
     .type = CONFIG_DURATION,
     .fallback = "1h",
     .min = 1000,
     .max = 604800000,
     .offset = AT(redis, save_timeout_ms),
     .help = "How long a save may take."},
    {.section = "redis",
     .key = "connect_timeout",
     .type = CONFIG_DURATION,
     .fallback = "20s",
     .min = 100,
     .max = 3600000,
     .offset = AT(redis, connect_timeout_ms),
     .help = "How long connecting may take."},

    {.section = "pgbouncer",
     .key = "url",
     .type = CONFIG_SECRET_URL,
     .required = true,
     .choices = "postgresql postgres",
     .offset = AT(pgbouncer, url),
     .example = "postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:6432/hdms_db",
     .help = "How the application reaches its database through PgBouncer. A restore is proved by a "
	     "query with these very credentials."},
    {.section = "pgbouncer",
     .key = "volume",
     .type = CONFIG_VOLUME,
     .fallback = "pgbouncer_data",
     .offset = AT(pgbouncer, volume),
     .help = "The volume that holds its configuration."},
    {.section = "pgbouncer",
     .key = "service",
     .type = CONFIG_NAME,
     .fallback = "pgbouncer",
     .offset = AT(pgbouncer, service),
     .help = "docker: the service in compose.yaml."},
    {.section = "pgbouncer",
     .key = "config",
     .type = CONFIG_PATH,
     .offset = AT(pgbouncer, config),
     .example = "/etc/pgbouncer/pgbouncer.ini",
     .help = "Where pgbouncer.ini is. Without it the admin console is asked."},
    {.section = "pgbouncer",
     .key = "admin_url",
     .type = CONFIG_SECRET_URL,
     .choices = "postgresql postgres",
     .offset = AT(pgbouncer, admin_url),
     .example = "postgresql://stats:${STATS_PASSWORD}@127.0.0.1:6432/pgbouncer",
     .help = "How to reach the admin console, as one of its admin_users or stats_users. Without it "
	     "url is tried, with the database pgbouncer."},
    {.section = "pgbouncer",
     .key = "connect_timeout",
     .type = CONFIG_DURATION,
     .fallback = "20s",
     .min = 100,
     .max = 3600000,
     .offset = AT(pgbouncer, connect_timeout_ms),
     .help = "How long connecting may take."},

    {.section = "volume",
     .key = "name",
     .type = CONFIG_VOLUME,
     .offset = AT(volume, name),
     .example = "media",
     .help = "The volume's name. Without it the section's label is the name."},
    {.section = "volume",
     .key = "pause",
     .type = CONFIG_NAME,
     .offset = AT(volume, pause),
     .example = "worker",
     .help =
	 "docker: a service that is paused while the volume is read, so that its files are of "
	 "one moment. It goes on afterwards, whatever happens: what a killed backup left paused "
	 "goes on when the next command that sweeps starts."},
    {.section = "volume",
     .key = "stop",
     .type = CONFIG_NAME,
     .offset = AT(volume, stop),
     .example = "worker",
     .help = "docker: the same, but the service is stopped and started again: for programs whose "
	     "files are whole only then."},

    {.section = "check",
     .key = "database",
     .type = CONFIG_TEXT,
     .required = true,
     .offset = AT(check, database),
     .example = "hdms_db",
     .help = "The database that is asked."},
    {.section = "check",
     .key = "sql",
     .type = CONFIG_TEXT,
     .required = true,
     .offset = AT(check, sql),
     .example = "SELECT count(*) > 0 FROM tickets",
     .help =
	 "A query that gives one value. It may go on in indented lines. ' ;' begins a comment."},
    {.section = "check",
     .key = "expect",
     .type = CONFIG_TEXT,
     .fallback = "t",
     .offset = AT(check, expect),
     .help = "The value as psql prints it: t is true."},

    {.section = "archive",
     .key = "level",
     .type = CONFIG_LEVEL,
     .fallback = "3",
     .min = 1,
     .max = 19,
     .offset = AT(archive, level),
     .help = "Compression by zstd: 1 is the fastest, 19 the smallest."},
    {.section = "archive",
     .key = "threads",
     .type = CONFIG_COUNT,
     .fallback = "0",
     .max = 64,
     .offset = AT(archive, threads),
     .help = "How many threads compress. 0: one for each processor, at most 4."},
    {.section = "archive",
     .key = "part_size",
     .type = CONFIG_SIZE,
     .fallback = "8MiB",
     .min = 64 << 10,
     .max = 64 << 20,
     .offset = AT(archive, part_bytes),
     .help = "Streams are cut into parts of this size: the unit of compression, of verification "
	     "and of reading one table out of an archive."},
    {.section = "archive",
     .key = "recipients",
     .type = CONFIG_KEYS,
     .offset = AT(archive, recipients),
     .example = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z",
     .help = "Archives are encrypted to these public keys of age: age1..., or files of them, "
	     "separated by commas. Each one's identity opens them; without any of the identities "
	     "nobody can. lifeboat keygen makes a pair. Two are better than one: keep the second "
	     "identity where no fire, theft or intruder reaches both."},
    {.section = "archive",
     .key = "identity",
     .type = CONFIG_IDENTITY,
     .offset = AT(archive, identity),
     .example = "/etc/lifeboat/identity.txt",
     .help = "The file of the identity (private key) that opens encrypted archives, as lifeboat "
	     "keygen or age-keygen writes it. Backups don't need it; restore, drill, show, verify "
	     "and unlock do. The text itself can come from LIFEBOAT_ARCHIVE_IDENTITY_FILE."},

    {.section = "suspicious",
     .key = "bytes",
     .type = CONFIG_COUNT,
     .choices = "%",
     .fallback = "50%",
     .max = 100,
     .offset = AT(suspicious, bytes),
     .help = "Of the size of the archive. 0 does not look at it."},
    {.section = "suspicious",
     .key = "rows",
     .type = CONFIG_COUNT,
     .choices = "%",
     .fallback = "50%",
     .max = 100,
     .offset = AT(suspicious, rows),
     .help = "Of the rows of all tables in all databases. 0 does not look at them."},
    {.section = "suspicious",
     .key = "keys",
     .type = CONFIG_COUNT,
     .choices = "%",
     .fallback = "50%",
     .max = 100,
     .offset = AT(suspicious, keys),
     .help = "Of the keys in Redis. 0 does not look at them."},
    {.section = "suspicious",
     .key = "history",
     .type = CONFIG_COUNT,
     .fallback = "5",
     .max = 100,
     .offset = AT(suspicious, history),
     .help = "How many backups are looked back at. 0: no backup is ever suspicious."},

    {.section = "health",
     .key = "interval",
     .type = CONFIG_DURATION,
     .fallback = "30s",
     .min = 100,
     .max = 3600000,
     .offset = AT(health, interval_ms),
     .help = "The time between two attempts."},
    {.section = "health",
     .key = "timeout",
     .type = CONFIG_DURATION,
     .fallback = "10s",
     .min = 100,
     .max = 3600000,
     .offset = AT(health, timeout_ms),
     .help = "How long one attempt may take."},
    {.section = "health",
     .key = "retries",
     .type = CONFIG_COUNT,
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .offset = AT(health, retries),
     .help = "How many attempts there are."},

    {.section = "agent",
     .key = "listen",
     .type = CONFIG_TEXT,
     .fallback = "127.0.0.1:8094",
     .offset = AT(agent, listen),
     .help = "Where lifeboat run serves the status page, metrics and JSON: ADDRESS:PORT, with "
	     "brackets around an IPv6 address. Read-only. An address that others can reach needs "
	     "token, or tls_cert and tls_key. off: no page."},
    {.section = "agent",
     .key = "token",
     .type = CONFIG_SECRET,
     .offset = AT(agent, token),
     .example = "${PAGE_TOKEN}",
     .help = "Who wants to see the page must know this text, of 16 characters or more: as "
	     "Authorization: Bearer TOKEN, or once as /?token=TOKEN in a browser, which then keeps "
	     "a cookie. /healthz is answered without."},
    {.section = "agent",
     .key = "tls_cert",
     .type = CONFIG_PATH,
     .offset = AT(agent, tls_cert),
     .example = "/etc/lifeboat/page.crt",
     .help = "The certificate chain, in PEM: the page is served by https."},
    {.section = "agent",
     .key = "tls_key",
     .type = CONFIG_PATH,
     .offset = AT(agent, tls_key),
     .example = "/etc/lifeboat/page.key",
     .help = "The certificate's private key, in PEM."},
    {.section = "agent",
     .key = "state_dir",
     .type = CONFIG_PATH,
     .offset = AT(agent, state_dir),
     .example = "/var/lib/lifeboat",
     .help =
	 "The folder for what lifeboat run must remember: last and next runs. Without it: what "
	 "systemd gives ($STATE_DIRECTORY), for root and the folder's owner /var/lib/lifeboat, for "
	 "others $XDG_STATE_HOME/lifeboat or ~/.local/state/lifeboat."},
    {.section = "agent",
     .key = "stop_timeout",
     .type = CONFIG_DURATION,
     .fallback = "60s",
     .min = 1000,
     .max = 3600000,
     .offset = AT(agent, stop_timeout_ms),
     .help = "How long a job that is told to end (by SIGTERM to lifeboat run, or at its deadline) "
	     "may take to clean up before it is killed."},
    {.section = "agent",
     .key = "backup_age",
     .type = CONFIG_DURATION,
     .fallback = "2d",
     .min = 60000,
     .max = 31536000000,
     .offset = AT(agent, backup_age_ms),
     .help = "How old the newest backup may be before lifeboat status asks for attention. Twice "
	     "as old is danger."},
    {.section = "agent",
     .key = "proof_age",
     .type = CONFIG_DURATION,
     .fallback = "8d",
     .min = 60000,
     .max = 31536000000,
     .offset = AT(agent, proof_age_ms),
     .help = "How old the newest proven backup may be before lifeboat status "
	     "asks for "
	     "attention."},

    SCHEDULE(JOB_BACKUP, "backup", "0 2 * * *", "When a backup is taken."),
    SCHEDULE(JOB_COPY, "copy", "0 3 * * *",
	     "When backups are copied to the other stores (lifeboat copy)."),
    SCHEDULE(JOB_DRILL, "drill", "0 4 * * sun", "When the newest backup is restored and proved."),
    SCHEDULE(JOB_VERIFY, "verify", "0 5 1 * *",
	     "When every byte of every backup is read back (lifeboat verify "
	     "--all)."),
    SCHEDULE(JOB_PRUNE, "prune", "30 3 * * *", "When the keep rules of the stores are applied."),
    {.section = "schedule",
     .key = "timezone",
     .type = CONFIG_ZONE,
     .offset = offsetof(struct config, timezone),
     .example = "Europe/Berlin",
     .help = "The time zone of the schedules, and in which days, weeks and "
	     "months are counted for "
	     "keep. Without it: UTC. When clocks change, a time that is "
	     "skipped runs right after "
	     "the gap, and one that comes twice runs once; schedules with * as "
	     "the hour follow "
	     "elapsed time."},
    {.section = "schedule",
     .key = "jitter",
     .type = CONFIG_DURATION,
     .fallback = "0s",
     .max = 86400000,
     .offset = offsetof(struct config, schedule.jitter_ms),
     .help = "Jobs begin up to this much later than written, each host by its "
	     "own, constant part "
	     "of it: so that many hosts don't meet at one store."},
    {.section = "schedule",
     .key = "catch_up",
     .type = CONFIG_DURATION,
     .fallback = "6h",
     .max = 2592000000,
     .offset = offsetof(struct config, schedule.catch_up_ms),
     .help = "A run that was missed because the machine was off is caught up "
	     "once, unless it is "
	     "older than this."},
    {.section = "schedule",
     .key = "deadline",
     .type = CONFIG_DURATION,
     .fallback = "6h",
     .min = 1000,
     .max = 2592000000,
     .offset = offsetof(struct config, schedule.deadline_ms),
     .help = "A job that takes longer is ended and counts as failed."},
    {.section = "schedule",
     .key = "retries",
     .type = CONFIG_COUNT,
     .fallback = "3",
     .max = 100,
     .offset = offsetof(struct config, schedule.retries),
     .help = "How often a failed backup or copy, and any job that found a lock "
	     "or an unreachable "
	     "server, is tried again before its next time."},
    {.section = "schedule",
     .key = "retry_wait",
     .type = CONFIG_DURATION,
     .fallback = "5m",
     .min = 100,
     .max = 86400000,
     .offset = offsetof(struct config, schedule.retry_wait_ms),
     .help = "The longest wait before the first retry; each further one is "
	     "twice as long, up to an "
	     "hour. A part of it is left to chance."},
    {.section = "schedule",
     .key = "overdue",
     .type = CONFIG_DURATION,
     .fallback = "2h",
     .max = 2592000000,
     .offset = offsetof(struct config, schedule.overdue_ms),
     .help = "A job that has not succeeded this long after its time is "
	     "overdue. 0s: never."},

    HOOK(before, JOB_BACKUP, "before_backup", "curl -fsS https://...", "Before a backup."),
    HOOK(after, JOB_BACKUP, "after_backup", "logger -t backup \"$$LIFEBOAT_OUTCOME\"",
	 "After a backup."),
    HOOK(before, JOB_COPY, "before_copy", "mount /mnt/offsite", "Before backups are copied."),
    HOOK(after, JOB_COPY, "after_copy", "umount /mnt/offsite", "After backups were copied."),
    HOOK(before, JOB_DRILL, "before_drill", "true", "Before a drill."),
    HOOK(after, JOB_DRILL, "after_drill", "logger -t drill \"$$LIFEBOAT_OUTCOME\"",
	 "After a drill."),
    HOOK(before, JOB_VERIFY, "before_verify", "true", "Before backups are verified."),
    HOOK(after, JOB_VERIFY, "after_verify", "true", "After backups were verified."),
    HOOK(before, JOB_PRUNE, "before_prune", "true", "Before old backups are removed."),
    HOOK(after, JOB_PRUNE, "after_prune", "true", "After old backups were removed."),
    {.section = "hook",
     .key = "timeout",
     .type = CONFIG_DURATION,
     .fallback = "5m",
     .min = 100,
     .max = 86400000,
     .offset = AT(hook, timeout_ms),
     .help = "How long one hook may take. Then it is killed and has failed."},
};

/* Those of labelled sections with many keys have files of their own. */
const struct config_key *config_key_at(size_t i)
{
	const size_t count = sizeof keys / sizeof keys[0];
	if (i < count)
		return &keys[i];
	i -= count;
	if (i < config_store_key_count)
		return &config_store_keys[i];
	i -= config_store_key_count;
	return i < config_notify_key_count ? &config_notify_keys[i] : NULL;
}

const struct config_key *config_key_find(const char *section, const char *key)
{
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL; i++)
		if (strcmp(k->section, section) == 0 && strcmp(k->key, key) == 0)
			return k;
	return NULL;
}
