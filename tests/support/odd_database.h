/*
 * SQL that makes a database of odd things: names with dots, quotes, newlines and letters of other
 * alphabets; inherited, partitioned and column-less tables; types whose text depends on a session's
 * settings; large objects; and a role whose defaults would change every printed value.
 *
 * Roles are made by the first script, which is for any database of a fresh cluster; the others are
 * for the database itself. All by a superuser.
 */
#ifndef LIFEBOAT_TESTS_ODD_DATABASE_H
#define LIFEBOAT_TESTS_ODD_DATABASE_H

extern const char odd_roles_sql[];
extern const char *const odd_database_sql[]; /* NULL-terminated, in this order */

#endif
