/*
 * What is in a database: counts of objects, and what this role can't dump of it.
 *
 * Counted is what a dump carries over, so that a source and its restored copy agree: no system
 * schemas, no members of extensions (their versions may differ), no invalid indexes (pg_dump leaves
 * them out), no parts that PostgreSQL makes by itself for partitions.
 */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

#define USER_SCHEMAS                                                                               \
	"ns AS (SELECT oid, nspname FROM pg_namespace "                                            \
	"  WHERE nspname <> 'information_schema' AND left(nspname, 3) <> 'pg_'), "                 \
	"member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' "                     \
	"  AND refclassid = 'pg_extension'::regclass)"

static const char counts_sql[] =
    "WITH " USER_SCHEMAS ", "
    "rel AS (SELECT c.oid, c.relkind FROM pg_class c JOIN ns ON ns.oid = c.relnamespace "
    "  WHERE NOT EXISTS (SELECT FROM member m "
    "    WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)), "
    "typ AS (SELECT t.oid, t.typtype, t.typrelid FROM pg_type t "
    "  JOIN ns ON ns.oid = t.typnamespace WHERE t.typisdefined AND t.typtype <> 'm' "
    "  AND NOT EXISTS (SELECT FROM member m "
    "    WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid) "
    "  AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)) "
    "SELECT "
    "(SELECT count(*) FROM rel WHERE relkind IN ('r', 'p', 'f')) AS \"table\", "
    "(SELECT count(*) FROM pg_index i JOIN rel ON rel.oid = i.indrelid "
    "  WHERE i.indisready AND (i.indisvalid OR rel.relkind = 'p')) AS \"index\", "
    /* NOT NULL became a constraint with 18: left out, so that all versions count alike. */
    "(SELECT count(*) FROM pg_constraint c WHERE c.conparentid = 0 AND c.contype <> 'n' "
    "  AND (c.conrelid IN (SELECT oid FROM rel) OR c.contypid IN (SELECT oid FROM typ))) "
    "  AS \"constraint\", "
    "(SELECT count(*) FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid "
    "  WHERE NOT t.tgisinternal AND t.tgparentid = 0) AS \"trigger\", "
    "(SELECT count(*) FROM rel WHERE relkind = 'S') AS \"sequence\", "
    "(SELECT count(*) FROM pg_proc f JOIN ns ON ns.oid = f.pronamespace "
    "  WHERE NOT EXISTS (SELECT FROM member m "
    "    WHERE m.classid = 'pg_proc'::regclass AND m.objid = f.oid)) AS \"function\", "
    "(SELECT count(*) FROM rel WHERE relkind = 'v') AS \"view\", "
    "(SELECT count(*) FROM rel WHERE relkind = 'm') AS \"materialized_view\", "
    "(SELECT count(*) FROM typ WHERE typrelid = 0 "
    "  OR (SELECT relkind FROM pg_class WHERE pg_class.oid = typ.typrelid) = 'c') AS \"type\", "
    "(SELECT count(*) FROM pg_policy o JOIN rel ON rel.oid = o.polrelid) AS \"policy\", "
    "(SELECT count(*) FROM pg_rewrite w JOIN rel ON rel.oid = w.ev_class "
    "  WHERE w.rulename <> '_RETURN') AS \"rule\"";

/* Relations whose rows or values pg_dump reads, with the name that messages use. */
#define DUMPED                                                                                     \
	"dumped AS (SELECT c.oid, c.relkind, c.relrowsecurity, c.relnamespace, "                   \
	"  ns.nspname || '.' || c.relname AS name "                                                \
	"  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace "                                    \
	"  WHERE c.relkind IN ('r', 'p', 'S') AND (NOT EXISTS (SELECT FROM member m "              \
	"    WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid) "                         \
	"  OR c.oid IN (SELECT unnest(extconfig) FROM pg_extension)))"

static const char row_security_sql[] =
    "WITH " USER_SCHEMAS ", " DUMPED " SELECT name FROM dumped "
    "WHERE relkind = 'r' AND relrowsecurity AND row_security_active(oid) "
    "ORDER BY name COLLATE \"C\"";

static const char unreadable_sql[] =
    "WITH " USER_SCHEMAS ", " DUMPED " SELECT name FROM dumped "
    "WHERE NOT has_schema_privilege(relnamespace, 'USAGE') "
    "OR NOT CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'SELECT') "
    "ELSE has_table_privilege(oid, 'SELECT') END ORDER BY name COLLATE \"C\"";

/* Owners, their members, and who was granted; nobody asks when lo_compat_privileges is on. */
static const char large_objects_sql[] =
    "SELECT count(*) AS large_objects, count(*) FILTER (WHERE NOT ("
    "  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
    "  OR current_setting('lo_compat_privileges') = 'on' "
    "  OR pg_has_role(lomowner, 'USAGE') "
    "  OR EXISTS (SELECT FROM aclexplode(lomacl) a WHERE a.privilege_type = 'SELECT' "
    "    AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE'))))) AS large_objects_unreadable "
    "FROM pg_largeobject_metadata";

int pg_count_objects(struct pg *p, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *counts = NULL;
	if (pg_json_one(p, counts_sql, &counts, err) < 0)
		return err_wrap(err, "counts of objects");
	json_t *outer = json_pack("{s:O}", "counts", counts);
	if (outer == NULL)
		return err_nomem(err, "JSON");
	*ret = outer;
	return 0;
}

static int put_list(struct pg *p, json_t *database, const char *key, const char *sql, bool bare,
		    struct err *err)
{
	json_t *list = NULL;
	if (pg_json_all(p, sql, bare, &list, err) < 0)
		return err_wrap(err, "%s", key);
	return json_put(database, key, list, err);
}

int pg_describe_database(struct pg *p, json_t *database, struct err *err)
{
	CLEANUP(json_freep) json_t *counts = NULL, *objects = NULL;
	if (put_list(p, database, "extensions",
		     "SELECT extname::text AS name, extversion AS version FROM pg_extension "
		     "ORDER BY extname COLLATE \"C\"",
		     false, err) < 0 ||
	    put_list(p, database, "row_security_tables", row_security_sql, true, err) < 0 ||
	    put_list(p, database, "unreadable_tables", unreadable_sql, true, err) < 0 ||
	    pg_json_one(p, large_objects_sql, &objects, err) < 0 ||
	    pg_count_objects(p, &counts, err) < 0)
		return -1;
	if (json_object_update(database, objects) < 0 || json_object_update(database, counts) < 0)
		return err_nomem(err, "JSON");
	return 0;
}
