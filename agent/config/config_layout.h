/*
 * The sections of an ini file against the table of config_keys.h: which there are, with which
 * labels, and where in struct config each one's values go. Unknown sections and keys end here.
 */
#ifndef LIFEBOAT_AGENT_CONFIG_CONFIG_LAYOUT_H
#define LIFEBOAT_AGENT_CONFIG_CONFIG_LAYOUT_H

#include "agent/config/config_keys.h"
#include "base/inifile.h"

/* One section as it will be read: every one that agent.conf has, and the plain ones that it leaves
 * out, for their defaults. */
struct config_instance {
	const struct config_section *kind;
	const char *label;                     /* NULL: the section takes none */
	const struct inifile_section *in_file; /* NULL: left out */
	void *at;
};

struct config_layout {
	struct config_instance *items;
	size_t count;
};

/* Makes the arrays of `c` as long as they need to be, with their labels, and sets `enabled`. The
 * layout borrows from `file` and `c`. ERR_CONFIG with line and suggestion. *ret is to be done also
 * on failure. */
int config_layout_make(struct config *c, const struct inifile *file, struct config_layout *ret,
		       struct err *err) MUST_USE;
void config_layout_done(struct config_layout *l);

#endif
