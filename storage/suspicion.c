#include "storage/suspicion.h"

#include <stdlib.h>
#include <string.h>
#include "storage/store/catalog_name.h"
#include "storage/sidecar.h"

/* Sidecars that are read in search of unsuspicious ones. */
enum { LOOK_BACK_MAX = 400 };

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Of two in the middle the smaller: rather no alarm than a false one. */
static uint64_t median(uint64_t *values, size_t count)
{
	qsort(values, count, sizeof *values, by_size);
	return values[(count - 1) / 2];
}

/* Is `now` less than `percent` of `normal`? Without a product that could overflow. */
static bool fell(uint64_t normal, uint64_t now, unsigned percent)
{
	uint64_t least = normal / 100 * percent + normal % 100 * percent / 100;
	return now < least;
}

static uint64_t figure_of(const struct suspicion_figures *f, unsigned which)
{
	return which == 0 ? f->bytes : which == 1 ? f->rows : f->keys;
}

int suspicion_judge(const struct suspicion_rules *rules, const struct suspicion_figures *before,
		    size_t count, const struct suspicion_figures *now, struct strlist *ret,
		    struct err *err)
{
	static const struct {
		const char *name;
		uint64_t few;
	} figures[] = {{"bytes stored", SUSPICION_FEW_BYTES},
		       {"rows", SUSPICION_FEW},
		       {"Redis keys", SUSPICION_FEW}};
	const unsigned percent[] = {rules->bytes, rules->rows, rules->keys};
	uint64_t values[SUSPICION_HISTORY_MAX];
	if (count > rules->history)
		count = rules->history;
	if (count > SUSPICION_HISTORY_MAX)
		count = SUSPICION_HISTORY_MAX;
	for (unsigned k = 0; count > 0 && k < sizeof figures / sizeof *figures; k++) {
		for (size_t i = 0; i < count; i++)
			values[i] = figure_of(&before[i], k);
		uint64_t normal = median(values, count), is = figure_of(now, k);
		if (normal < figures[k].few || !fell(normal, is, percent[k]))
			continue;
		if (strlist_pushf(ret, err,
				  "%s: %llu, where %llu are normal (median of %zu %s "
				  "before)",
				  figures[k].name, (unsigned long long)is,
				  (unsigned long long)normal, count,
				  count == 1 ? "backup" : "backups") < 0)
			return -1;
	}
	return 0;
}

/* *ret_is: it belongs to the history. *ret_last: nothing before it does. */
static int look_at(struct store *store, const char *name, struct suspicion_figures *ret,
		   bool *ret_is, bool *ret_last, struct err *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	struct sidecar s;
	struct err why = ERR_INIT;
	*ret_is = false;
	if (sidecar_load(store, name, &json, &s, &why) < 0) {
		/* It is about that one object: the new backup must not fail because of it. */
		if (why.code == ERR_CORRUPT || why.code == ERR_LIMIT || why.code == ERR_ABSENT ||
		    why.code == ERR_IO || why.code == ERR_DENIED)
			return 0;
		*err = why;
		return -1;
	}
	if (s.partial || s.suspicious)
		return 0;
	*ret = (struct suspicion_figures){.bytes = s.bytes, .rows = s.rows, .keys = s.redis_keys};
	*ret_is = true;
	*ret_last = s.trusted != NULL;
	return 0;
}

int suspicion_history(struct store *store, const char *stack, const char *before, unsigned wanted,
		      struct suspicion_figures *ret, size_t *ret_count, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects all = {0};
	CLEANUP(freep) char *prefix = NULL;
	size_t count = 0, read = 0;
	bool last = false;
	if (str_printf(&prefix, err, "%s-", stack) < 0 || store_list(store, prefix, &all, err) < 0)
		return -1;
	/* By name is by time: ids begin with it. */
	/* However many suspicious ones came since: without a history nothing would be suspicious.
	 */
	for (size_t i = all.count;
	     i-- > 0 && count < wanted && !last && (count == 0 || read < LOOK_BACK_MAX);) {
		struct catalog_name n;
		bool is;
		if (!catalog_name_parse(stack, all.items[i].name, &n) ||
		    n.kind != CATALOG_NAME_SIDECAR || (before != NULL && strcmp(n.id, before) >= 0))
			continue;
		read++;
		if (look_at(store, all.items[i].name, &ret[count], &is, &last, err) < 0)
			return -1;
		count += is;
	}
	*ret_count = count;
	return 0;
}

int suspicion_find(struct store *store, const char *stack, const char *before,
		   const struct suspicion_rules *rules, const struct suspicion_figures *now,
		   json_t **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist why = {0};
	CLEANUP(json_freep) json_t *list = json_array();
	size_t count;
	*ret = NULL;
	if (rules->history == 0)
		return 0;
	CLEANUP(freep)
	struct suspicion_figures *history =
	    mem_zalloc(rules->history * sizeof *history, "a history", err);
	if (history == NULL ||
	    suspicion_history(store, stack, before, rules->history, history, &count, err) < 0 ||
	    suspicion_judge(rules, history, count, now, &why, err) < 0)
		return -1;
	for (size_t i = 0; i < why.count; i++)
		if (json_push(list, json_string(why.items[i]), err) < 0)
			return -1;
	if (why.count > 0) {
		*ret = list;
		list = NULL;
	}
	return 0;
}
