/*
 * What a verify found damaged, in the words of somebody who has to restore: which database, Redis,
 * which volume; and what of the backup is intact.
 *
 *  1. damage_new(manifest, &f, err)
 *  2. damage_add                      as reader_watch.damaged, with f as its ctx
 *  3. damage_say, damage_damaged, damage_intact
 *  4. damage_free
 */
#ifndef LIFEBOAT_AGENT_DAMAGE_H
#define LIFEBOAT_AGENT_DAMAGE_H

#include "agent/output/output.h"
#include "storage/archive/reader.h"

/* More are counted and not listed. */
enum { DAMAGE_MAX = 50 };

struct damage;
int damage_new(const json_t *manifest, struct damage **ret, struct err *err) MUST_USE;
void damage_free(struct damage *f);
DEFINE_CLEANUP(struct damage, damage_free)

void damage_add(void *damage, const struct reader_damage *d);

/* Lines about damage, if there is any, and with `whole` about what is intact beside it. */
void damage_say(const struct damage *f, struct output *out, bool whole);
/* [{"what","name","bad_parts","parts","why"}], and how many more there are. Borrowed; NULL when
 * memory was short. */
const json_t *damage_damaged(const struct damage *f);
size_t damage_not_listed(const struct damage *f);
/* ["database 'a'", "Redis"]: a new reference, for a verify of the whole. */
int damage_intact(const struct damage *f, json_t **ret, struct err *err) MUST_USE;
/* The name of a database that can be restored by itself, NULL if none. Borrowed. */
const char *damage_intact_database(const struct damage *f);

#endif
