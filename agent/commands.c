#include "agent/commands.h"

#define NONE                                                                                       \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* In the order of --help. */
const struct cli_option cli_global_options[] = {
    {.name = "config",
     .letter = 'c',
     .value = "FILE",
     .complete = CLI_COMPLETE_FILE,
     .help = "the configuration; without it ./agent.conf, then /etc/lifeboat/agent.conf"},
    {.name = "json", .help = "one JSON document on stdout instead of text"},
    {.name = "quiet", .letter = 'q', .help = "no progress, nothing but results and errors"},
    {.name = "verbose", .letter = 'v', .help = "say more, for finding out what goes wrong"},
    {.name = "help", .letter = 'h', .help = "this help, or that of the command"},
    {.name = "version", .help = "the version of lifeboat and of its libraries"},
    NONE,
};

#define STORE_OPTION                                                                               \
	{                                                                                          \
		.name = "store", .value = "NAME",                                                  \
		.help = "the store, by the label of its section; without it the first one"         \
	}

#define ONLY_OPTION                                                                                \
	{                                                                                          \
		.name = "only", .value = "COMPONENTS", .list = true,                               \
		.complete = CLI_COMPLETE_COMPONENT,                                                \
		.help = "only these: postgres, redis, pgbouncer, volumes, or labels of volumes"    \
	}

static const struct cli_option backup_options[] = {
    {.name = "label", .value = "TEXT", .help = "a note that list and show print"},
    ONLY_OPTION,
    {.name = "pin", .help = "prune never deletes this backup"},
    NONE,
};

static const struct cli_option copy_options[] = {
    {.name = "to", .value = "NAME", .help = "this store alone; without it all others"},
    {.name = "from",
     .value = "NAME",
     .help = "the store that is copied from; without it the first one"},
    {.name = "dry-run", .help = "say what would be copied; copy nothing"},
    NONE,
};

static const struct cli_option pin_options[] = {
    {.name = "off", .help = "prune may delete it again"},
    {.name = "store", .value = "NAME", .help = "in this store alone; without it in every store"},
    NONE,
};

static const struct cli_option notify_options[] = {
    {.name = "test", .help = "send a test to them and say how each went"},
    {.name = "send", .help = "what lifeboat run uses: send the notice that stdin has, once"},
    NONE,
};

static const struct cli_option store_options[] = {STORE_OPTION, NONE};

#define HTML_OPTION                                                                                \
	{                                                                                          \
		.name = "html", .value = "FILE", .complete = CLI_COMPLETE_FILE,                    \
		.help = "also write it to a file, as the page that lifeboat run serves"            \
	}

static const struct cli_option status_options[] = {
    {.name = "store",
     .value = "NAME",
     .help = "this store alone, by the label of its section; without it all of them"},
    {.name = "metrics",
     .value = "FILE",
     .complete = CLI_COMPLETE_FILE,
     .help = "also write metrics for Prometheus to a file, for node_exporter's textfile collector"},
    HTML_OPTION,
    NONE,
};

static const struct cli_option show_options[] = {STORE_OPTION, HTML_OPTION, NONE};

static const struct cli_option verify_options[] = {
    {.name = "all", .help = "every backup in the store"},
    {.name = "sample",
     .value = "SHARE",
     .help = "read only about this share of the archive (5%), frames chosen by chance: a light "
	     "check that says nothing of the rest"},
    {.name = "seed",
     .value = "N",
     .help = "with --sample: choose the frames that the verify with this seed chose"},
    STORE_OPTION,
    NONE,
};

#define IMAGE_OPTION                                                                               \
	{                                                                                          \
		.name = "image", .value = "COMPONENT=IMAGE,...",                                   \
		.help = "docker: restore with this image instead of the one that production ran "  \
			"on; several are separated by commas"                                      \
	}

static const struct cli_option drill_options[] = {
    IMAGE_OPTION,
    STORE_OPTION,
    NONE,
};

static const struct cli_option restore_options[] = {
    {.name = "dry-run", .help = "say what would be made and what stands in the way; make nothing"},
    {.name = "as",
     .value = "NAME",
     .help = "name the fresh volumes <volume>_NAME instead of <volume>_<id>"},
    ONLY_OPTION,
    {.name = "database", .value = "NAME", .help = "only this database, with all roles"},
    {.name = "table",
     .value = "SCHEMA.TABLE",
     .help = "only the rows of this table, with its indexes and without foreign keys; the other "
	     "tables of the database stay empty"},
    IMAGE_OPTION,
    {.name = "up", .help = "leave the servers running on the fresh volumes"},
    {.name = "keep-failed", .help = "leave the volumes although the proof failed"},
    STORE_OPTION,
    NONE,
};

#define YES_OPTION                                                                                 \
	{                                                                                          \
		.name = "yes", .help = "do not ask"                                                \
	}

#define FAST_OPTION                                                                                \
	{                                                                                          \
		.name = "fast",                                                                    \
		.help = "copy nothing: write an override file that names the other volumes, and "  \
			"let Compose make the services anew"                                       \
	}

#define OVERRIDE_OPTION                                                                            \
	{                                                                                          \
		.name = "override", .value = "PATH", .complete = CLI_COMPLETE_FILE,                \
		.help = "with --fast: that file; without it compose.lifeboat.yaml in the "         \
			"project's folder"                                                         \
	}

static const struct cli_option promote_options[] = {
    {.name = "dry-run", .help = "say what would happen; change nothing"},
    YES_OPTION,
    ONLY_OPTION,
    FAST_OPTION,
    OVERRIDE_OPTION,
    {.name = "force",
     .help = "also volumes that hold one database alone, or whose proof may have failed"},
    NONE,
};

static const struct cli_option rollback_options[] = {
    {.name = "dry-run", .help = "say what would happen; change nothing"},
    YES_OPTION,
    ONLY_OPTION,
    FAST_OPTION,
    OVERRIDE_OPTION,
    NONE,
};

static const struct cli_option adopt_options[] = {
    {.name = "pin", .help = "keep rules never delete it"},
    STORE_OPTION,
    NONE,
};

static const struct cli_option prune_options[] = {
    {.name = "orphans",
     .help = "also remove archives without a sidecar that would stay: younger than a day, newer "
	     "than every backup, or more than there are backups"},
    {.name = "dry-run", .help = "say what would be removed and why; remove nothing"},
    {.name = "volumes",
     .value = "N",
     .help = "also remove the volumes that promotions kept of before, but for those of the newest "
	     "N promotions"},
    {.name = "store", .value = "NAME", .help = "this store alone; without it all of them"},
    NONE,
};

#define OUTPUT_OPTION(text)                                                                        \
	{                                                                                          \
		.name = "output", .letter = 'o', .value = "FILE", .complete = CLI_COMPLETE_FILE,   \
		.help = text                                                                       \
	}

static const struct cli_option init_options[] = {
    OUTPUT_OPTION("the file to write; without it ./agent.conf. One that is there stays as it is"),
    {.name = "project",
     .value = "NAME",
     .help = "this Compose project; without it the one of the working directory"},
    NONE,
};

static const struct cli_option keygen_options[] = {
    OUTPUT_OPTION("write the identity to this new file, which only its owner may read; without "
		  "it to stdout"),
    NONE,
};

static const struct cli_option unlock_options[] = {
    OUTPUT_OPTION("the file to write; it must not exist"),
    STORE_OPTION,
    NONE,
};

static const struct cli_option help_options[] = {
    {.name = "man",
     .value = "PAGE",
     .complete = CLI_COMPLETE_PAGE,
     .help = "print a manual page in man(7) format: lifeboat or agent.conf"},
    {.name = "completion",
     .value = "SHELL",
     .complete = CLI_COMPLETE_SHELL,
     .help = "print a completion script: for bash, zsh or fish"},
    NONE,
};

/* In the order in which they are met: first what every night needs, then what a bad day needs. */
const struct cli_command cli_commands[] = {
    {.name = "init",
     .run = cmd_init,
     .no_config = true,
     .summary = "writes agent.conf for the stack that it finds",
     .description =
	 "Looks for the containers, running or not, that Docker has of the Compose project of the "
	 "working directory, or of the only project with servers in it. Where there is none: "
	 "PostgreSQL, Redis and PgBouncer of this machine, on their usual ports and sockets. "
	 "Passwords that the containers have are looked up in the .env files of the project's "
	 "folder and the folders in it; agent.conf gets ${NAME}, never a value.\n\n"
	 "Says what it found and what is left to fill in. A file that is there is never "
	 "overwritten. Nothing is changed but that one new file.",
     .options = init_options,
     .examples = "lifeboat init\tin the folder of compose.yaml\n"
		 "lifeboat init --project shop\tof a Compose project anywhere on this machine\n"
		 "lifeboat init --output new.conf\tto compare with agent.conf"},
    {.name = "check",
     .run = cmd_check,
     .summary = "tells whether a backup would work; takes nothing",
     .description =
	 "Asks every server and store what a backup would ask: reachability, passwords, versions, "
	 "rights, tools, space. Names what the configured role can't take, stores that lag behind "
	 "or all stand in one site, and leftovers of killed jobs. Every finding is told, not only "
	 "the first."},
    {.name = "backup",
     .run = cmd_backup,
     .summary = "takes one backup of the whole stack",
     .description =
	 "Dumps every PostgreSQL database with its roles and configuration, saves Redis, collects "
	 "PgBouncer's configuration and plain volumes, and writes one archive to the first "
	 "store. Then the other stores get their copies, all at the same time.\n\n"
	 "Nothing is visible in the store until everything has succeeded: the sidecar, written "
	 "last, is the commit. A backup that failed leaves earlier ones untouched.\n\n"
	 "Exit status 0: the backup and all its copies are there. 1: there is no backup, or the "
	 "backup is safe in the first store but a copy failed; the message says which. `lifeboat "
	 "copy` catches up.",
     .options = backup_options,
     .examples = "lifeboat backup\tthe nightly backup\n"
		 "lifeboat backup --pin --label 'before 2.0'\tone that stays"},
    {.name = "copy",
     .run = cmd_copy,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "brings stores up to date that missed a backup",
     .description =
	 "Copies to every other store what it lacks of the first: the backups that its own keep "
	 "rules would keep, newest first. Of backups that both have it brings together what one of "
	 "them did not hear of: drills, pins that were set or lifted, trust. With BACKUP: that "
	 "one, whatever the rules say. A backup's own run does this for the new backup; this "
	 "command is for a store that was away then, or is new.\n\n"
	 "Archives are copied as they are, encrypted ones too. Each is compared with its recorded "
	 "SHA-256 while it passes; a copy that differs never becomes visible. All stores are "
	 "filled at the same time, and one that fails stops no other. It may be run again at any "
	 "time: what is there stays.",
     .options = copy_options,
     .examples = "lifeboat copy\tafter the remote store was away\n"
		 "lifeboat copy --dry-run\twhat is missing where\n"
		 "lifeboat copy --from offsite --to local\tback to a new disk"},
    {.name = "list",
     .run = cmd_list,
     .summary = "lists the backups there are",
     .description = "Lists the backups of the stack in a store, newest first, told from their "
		    "sidecars alone.",
     .options = store_options},
    {.name = "show",
     .run = cmd_show,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "shows what one backup holds: tables, rows, keys",
     .description =
	 "Reads the manifest at the end of the archive: databases with their tables, "
	 "exact row counts and digests, Redis keys, configuration files, drills.\n\n"
	 "BACKUP is an id, a unique beginning of one, 'latest' (the default) or 'proven' "
	 "for the newest one that passed a drill.",
     .options = show_options},
    {.name = "verify",
     .run = cmd_verify,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "reads back every byte and checks every hash",
     .description =
	 "Reads the whole archive and checks every frame, member, stream and the "
	 "archive itself against their recorded hashes. This proves the bytes; whether "
	 "they restore, only a drill tells.\n\n"
	 "Damage does not end it: what is damaged and what is intact is listed by database "
	 "and component, and what is intact can still be restored. The verdict is kept "
	 "beside the archive; list, show and status tell it.",
     .options = verify_options,
     .examples = "lifeboat verify --all\tevery backup in the store\n"
		 "lifeboat verify --sample 5%\ta light check of the newest one"},
    {.name = "restore",
     .run = cmd_restore,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "restores into fresh volumes, boots and proves them",
     .description =
	 "Restores into fresh volumes, never over existing ones. Servers are booted on them, and "
	 "after a restart their contents are compared with what the dump itself held: rows and "
	 "digests of every table, sequences, large objects, keys of every Redis database, a query "
	 "through the restored PgBouncer with the application's own password. Then the servers are "
	 "stopped and the volumes stay.\n\n"
	 "If the restore or its proof fails, everything that it made is removed.",
     .options = restore_options,
     .examples = "lifeboat restore --dry-run\twhat would happen\n"
		 "lifeboat restore proven --as before_migration\tthe newest proven backup\n"
		 "lifeboat restore --database hdms_db --up\tone database, to look into"},
    {.name = "drill",
     .run = cmd_drill,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "restores, proves, throws away, and keeps the evidence",
     .description =
	 "Restores a backup into volumes that are thrown away and proves it as restore does. Then "
	 "comes the negative control: a row and a key are removed, and the same proof must now "
	 "fail; if it does not notice, the outcome is 'could not verify'. How long the restore "
	 "took "
	 "and how old the data was is written as evidence beside the archive.\n\n"
	 "Exit status 0: proven. 1: failed. 2: could not verify.",
     .options = drill_options},
    {.name = "promote",
     .run = cmd_promote,
     .args = "[RESTORE]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "moves production to what restore left (docker)",
     .description =
	 "Stops the services that use production's volumes, copies these aside, fills them from "
	 "the restored ones, starts the services and waits until they are healthy and take the "
	 "application's passwords. If anything fails on the way, or Lifeboat is killed, the old "
	 "state comes back. Restored volumes stay, and so does what production had: see "
	 "rollback.\n\n"
	 "RESTORE is the tail of the restored volumes' names (--as of restore) or the beginning of "
	 "the backup's id; without it the newest restore.",
     .options = promote_options,
     .examples = "lifeboat promote --dry-run\twhat would stop, and what would be lost\n"
		 "lifeboat promote before_migration\tafter lifeboat restore --as before_migration"},
    {.name = "rollback",
     .run = cmd_rollback,
     .args = "[PROMOTION]",
     .max_args = 1,
     .summary = "takes the last promotion back (docker)",
     .description =
	 "Moves production to what the newest promotion kept of before, in the same way. A "
	 "rollback is a promotion too: another rollback takes it back.",
     .options = rollback_options},
    {.name = "pin",
     .run = cmd_pin,
     .args = "BACKUP",
     .min_args = 1,
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "keeps a backup from being deleted",
     .description = "Marks a backup in every store that has it, so that prune never deletes it; or "
		    "takes the mark away. A store that does not answer is told and makes the exit "
		    "status; lifeboat copy brings it there later.",
     .options = pin_options,
     .examples = "lifeboat pin latest\tbefore a migration\n"
		 "lifeboat pin 20261123T02 --off\tafterwards"},
    {.name = "prune",
     .run = cmd_prune,
     .summary = "deletes what the keep rules no longer want",
     .description =
	 "Applies the keep rules of every store, or of the one that --store names. An unproven "
	 "backup never pushes out a proven one; the newest, the newest proven and pinned backups "
	 "are never deleted. Also removes leftovers of killed jobs.\n\n"
	 "A store that can't be reached is told and makes the exit status; the others are pruned "
	 "nevertheless.",
     .options = prune_options},
    {.name = "adopt",
     .run = cmd_adopt,
     .args = "ARCHIVE",
     .min_args = 1,
     .max_args = 1,
     .summary = "makes an archive whose sidecar was lost a backup again",
     .description =
	 "Without its sidecar an archive is no backup: nothing lists or restores it, and one day "
	 "prune removes it. This reads the whole archive back, checks every hash, and writes the "
	 "sidecar again from what the manifest says.\n\n"
	 "ARCHIVE is the object's name or its id, as check and prune tell them.",
     .options = adopt_options},
    {.name = "trust",
     .run = cmd_trust,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "says that a suspicious backup is right",
     .description =
	 "A backup that is much smaller than those before it is suspicious: it is kept, told, and "
	 "takes no other's place in keep rules. Where it is right, because data was deleted on "
	 "purpose, say so: it then counts as any other, and what is normal begins with it. That "
	 "is noted in every store that has it, or in that of --store alone.",
     .options = store_options},
    {.name = "keygen",
     .run = cmd_keygen,
     .no_config = true,
     .summary = "makes a pair of keys for encrypted backups",
     .description =
	 "Makes an identity (private key) and its recipient (public key), as age-keygen does. The "
	 "recipient goes into recipients of [archive]: that is all a backup needs. The identity "
	 "opens what was encrypted to it. Lose it, and every backup that only it opens is lost.",
     .options = keygen_options,
     .examples = "lifeboat keygen -o identity.txt\tthe identity to a file, the recipient to the "
		 "terminal"},
    {.name = "unlock",
     .run = cmd_unlock,
     .args = "[BACKUP]",
     .max_args = 1,
     .complete = CLI_COMPLETE_BACKUP,
     .summary = "decrypts an archive to a plain .tar.zst file",
     .description =
	 "Reads an encrypted archive with the identity of [archive], checks every byte of it, and "
	 "writes the plain archive to a new file that only its owner may read. Anything wrong "
	 "leaves no file. 'age -d' does the same without lifeboat.",
     .options = unlock_options,
     .examples = "lifeboat unlock latest -o backup.tar.zst\tto be restored by hand"},
    {.name = "run",
     .run = cmd_run,
     .summary = "the agent: runs jobs by schedule, until it is ended",
     .description =
	 "Runs what [schedule] in agent.conf says, each job as a process of its own, one at a "
	 "time. Last and next runs survive a restart; a run missed meanwhile is caught up. It "
	 "stays in the foreground and writes what happens to stderr.\n\n"
	 "Signals: TERM and INT end it; a job that runs is told to clean up and end, and is "
	 "killed by a second signal or after stop_timeout. HUP reads agent.conf again; when that "
	 "is broken the old one stays. USR1 takes a backup now."},
    {.name = "status",
     .run = cmd_status,
     .summary = "tells whether all is safe now, for people and monitors",
     .description =
	 "One sentence first: the newest proven backup, its age, and how long its restore took. "
	 "Then what the sentence rests on: the newest backup, every store, the jobs of lifeboat "
	 "run. A store that does not answer is told, and the others are looked at.\n\n"
	 "Exit status 0: safe. 1: danger: there is no backup, the newest failed its drill, is "
	 "damaged, or is more than twice as old as backup_age in [agent] allows. 2: attention: no "
	 "backup has been proved yet, the newest is suspicious, could not be verified or is too "
	 "old, the newest proven one is too old, a store does not answer, lacks copies or holds "
	 "broken or damaged backups, a job failed or is overdue, or lifeboat run refused a new "
	 "agent.conf, can't tell a notifier or can't keep its state. 69: no store answers.",
     .options = status_options,
     .examples = "lifeboat status --metrics /var/lib/prometheus/node-exporter/lifeboat.prom\tfrom "
		 "cron, for node_exporter\n"
		 "lifeboat status --html /var/www/lifeboat.html\tthe page, as a file"},
    {.name = "notify",
     .run = cmd_notify,
     .args = "[NAME]",
     .max_args = 1,
     .summary = "tests who is told when something is wrong",
     .description =
	 "Lists the notifiers of agent.conf, the sections [notify NAME]; with --test it sends a "
	 "test through each of them, or through NAME alone, and says how each went. A ping is "
	 "tested by its start: success would be a lie. Exit status 1 when one failed.\n\n"
	 "Alarms themselves are sent by lifeboat run.",
     .options = notify_options,
     .examples = "lifeboat notify --test\tafter changing agent.conf"},
    {.name = "version",
     .run = cmd_version,
     .no_config = true,
     .summary = "prints the version of lifeboat and of its libraries",
     .description = "Prints the version of lifeboat and of the libraries that it runs with."},
    {.name = "help",
     .run = cmd_help,
     .args = "[COMMAND|agent.conf]",
     .max_args = 1,
     .complete = CLI_COMPLETE_COMMAND,
     .no_config = true,
     .summary = "explains a command, or agent.conf",
     .description = "Says what a command does and what its options are; without one, what "
		    "commands there are. 'lifeboat help agent.conf' describes all settings.",
     .options = help_options,
     .examples = "lifeboat help backup\thow a backup is taken\n"
		 "lifeboat help agent.conf\tall settings"},
    {.name = NULL},
};
