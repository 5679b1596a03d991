/* Shell completion, from the table of commands and options. */
#ifndef LIFEBOAT_AGENT_COMPLETION_H
#define LIFEBOAT_AGENT_COMPLETION_H

#include "base/buf.h"

/* "bash", "zsh" or "fish"; ERR_USAGE for another. free() the script. */
int completion_script(const char *shell, char **ret, struct err *err) MUST_USE;

#endif
