#include "agent/config/config_layout.h"

#include <stdlib.h>
#include <string.h>
#include "agent/config/config_env.h"
#include "base/names.h"

struct making {
	struct config *config;
	struct config_layout *to;
	struct err *err;
};

static int unknown_section(struct making *m, const struct inifile_section *s, const char *word)
{
	const char *names[16];
	size_t count = 0;
	for (; count < config_section_count && count < 16; count++)
		names[count] = config_sections[count].name;
	err_set(m->err, ERR_CONFIG, "%s:%u: unknown section [%s]", m->config->path, s->line,
		s->name);
	const char *nearest = names_nearest(word, names, count);
	if (nearest != NULL)
		return err_hint(m->err, "did you mean [%s%s]?", nearest,
				config_section_find(nearest)->labelled ? " LABEL" : "");
	return err_hint(m->err, "agent.conf(5) has all sections: lifeboat help agent.conf");
}

static int unknown_key(struct making *m, const struct config_section *kind,
		       const struct inifile_section *s, const struct inifile_entry *e)
{
	const char *names[64];
	const struct config_key *elsewhere = NULL;
	size_t count = 0;
	struct buf all;
	int done = 0;
	buf_init(&all, ERR_HINT_BYTES);
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL && count < 64; i++) {
		if (strcmp(k->section, kind->name) == 0) {
			names[count] = k->key;
			if (done == 0)
				done = buf_printf(&all, m->err, "%s%s", count > 0 ? ", " : "",
						  names[count]);
			count++;
		} else if (strcmp(k->key, e->key) == 0) {
			elsewhere = k;
		}
	}
	err_set(m->err, ERR_CONFIG, "%s:%u: unknown key '%s' in [%s]", m->config->path, e->line,
		e->key, s->name);
	const char *nearest = names_nearest(e->key, names, count);
	if (nearest != NULL)
		err_hint(m->err, "did you mean '%s'?", nearest);
	else if (elsewhere != NULL)
		err_hint(m->err, "'%s' belongs in [%s%s]", e->key, elsewhere->section,
			 config_section_find(elsewhere->section)->labelled ? " LABEL" : "");
	else
		err_hint(m->err, "the keys of [%s] are: %s", kind->name, buf_text(&all));
	buf_done(&all);
	return -1;
}

static bool is_label(const char *text)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	return text[0] != '\0' && text[0] != '-' && text[strspn(text, allowed)] == '\0';
}

static int add_instance(struct making *m, const struct config_instance *new)
{
	struct config_layout *to = m->to;
	struct config_instance *grown =
	    mem_grow(to->items, to->count, sizeof *to->items, "the configuration", m->err);
	if (grown == NULL)
		return -1;
	to->items = grown;
	to->items[to->count++] = *new;
	return 0;
}

/* `label` is what follows the section's first word, "" if nothing does. */
static int check_label(struct making *m, const struct config_section *kind,
		       const struct inifile_section *s, const char *label)
{
	const char *path = m->config->path;
	if (!kind->labelled) {
		if (label[0] == '\0')
			return 0;
		err_set(m->err, ERR_CONFIG, "%s:%u: [%s] takes no label", path, s->line,
			kind->name);
		return err_hint(m->err, "write [%s]", kind->name);
	}
	if (label[0] == '\0') {
		err_set(m->err, ERR_CONFIG, "%s:%u: [%s] needs a label", path, s->line, kind->name);
		return err_hint(m->err, "write [%s NAME]", kind->name);
	}
	if (!is_label(label)) {
		err_set(m->err, ERR_CONFIG, "%s:%u: '%s' is not a label", path, s->line, label);
		return err_hint(m->err, "use letters, digits, '_' and '-'");
	}
	for (size_t i = 0; i < m->to->count; i++) {
		const struct config_instance *other = &m->to->items[i];
		if (other->kind != kind)
			continue;
		CLEANUP(freep) char *mine = NULL;
		CLEANUP(freep) char *theirs = NULL;
		if (config_env_name(kind->name, label, "", &mine, m->err) < 0 ||
		    config_env_name(kind->name, other->label, "", &theirs, m->err) < 0)
			return -1;
		if (strcmp(mine, theirs) == 0)
			return err_set(m->err, ERR_CONFIG,
				       "%s:%u: the labels of [%s] and of [%s] in line %u are the "
				       "same in the environment",
				       path, s->line, s->name, other->in_file->name,
				       other->in_file->line);
	}
	return 0;
}

static int add_file_section(struct making *m, const struct inifile_section *s)
{
	CLEANUP(freep) char *word = NULL;
	size_t len = strcspn(s->name, " \t");
	if (str_dupn(s->name, len, &word, m->err) < 0)
		return -1;
	const char *label = s->name + len + strspn(s->name + len, " \t");
	const struct config_section *kind = config_section_find(word);
	if (kind == NULL)
		return unknown_section(m, s, word);
	if (check_label(m, kind, s, label) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (config_key_find(kind->name, s->entries[i].key) == NULL)
			return unknown_key(m, kind, s, &s->entries[i]);
	return add_instance(m, &(struct config_instance){.kind = kind,
							 .label = kind->labelled ? label : NULL,
							 .in_file = s});
}

static void *in_config(struct config *c, size_t offset)
{
	return (char *)c + offset;
}

/* [redis]: its struct is a member of the config. One that the file leaves out is there too, for its
 * defaults. */
static int place_plain(struct making *m, const struct config_section *kind)
{
	void *at = in_config(m->config, kind->offset);
	for (size_t i = 0; i < m->to->count; i++) {
		if (m->to->items[i].kind != kind)
			continue;
		m->to->items[i].at = at;
		if (kind->component)
			*(bool *)((char *)at + kind->enabled_offset) = true;
		return 0;
	}
	return add_instance(m, &(struct config_instance){.kind = kind, .at = at});
}

/* [store LABEL]: elements of an array, with their labels. */
static int place_labelled(struct making *m, const struct config_section *kind)
{
	size_t count = 0, next = 0;
	for (size_t i = 0; i < m->to->count; i++)
		count += m->to->items[i].kind == kind;
	if (count == 0)
		return 0;
	char **array = in_config(m->config, kind->offset);
	size_t *length = in_config(m->config, kind->count_offset);
	*array = mem_zalloc(count * kind->item_bytes, "the configuration", m->err);
	if (*array == NULL)
		return -1;
	*length = count;
	for (size_t i = 0; i < m->to->count; i++) {
		struct config_instance *in = &m->to->items[i];
		if (in->kind != kind)
			continue;
		in->at = *array + kind->item_bytes * next++;
		if (str_dup(in->label, in->at, m->err) < 0)
			return -1;
	}
	return 0;
}

int config_layout_make(struct config *c, const struct inifile *file, struct config_layout *ret,
		       struct err *err)
{
	struct making m = {.config = c, .to = ret, .err = err};
	*ret = (struct config_layout){0};
	for (size_t i = 0; i < file->count; i++)
		if (add_file_section(&m, &file->sections[i]) < 0)
			return -1;
	for (size_t i = 0; i < config_section_count; i++) {
		const struct config_section *kind = &config_sections[i];
		if ((kind->labelled ? place_labelled(&m, kind) : place_plain(&m, kind)) < 0)
			return -1;
	}
	return 0;
}

void config_layout_done(struct config_layout *l)
{
	free(l->items);
	*l = (struct config_layout){0};
}
