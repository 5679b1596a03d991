/*
 * The commands: one function, one file cmd_NAME.c, one entry in the table of commands.c each.
 */
#ifndef LIFEBOAT_AGENT_COMMANDS_H
#define LIFEBOAT_AGENT_COMMANDS_H

#include "agent/app.h"

int cmd_adopt(struct app *app, struct err *err) MUST_USE;
int cmd_backup(struct app *app, struct err *err) MUST_USE;
int cmd_check(struct app *app, struct err *err) MUST_USE;
int cmd_copy(struct app *app, struct err *err) MUST_USE;
int cmd_drill(struct app *app, struct err *err) MUST_USE;
int cmd_init(struct app *app, struct err *err) MUST_USE;
int cmd_keygen(struct app *app, struct err *err) MUST_USE;
int cmd_list(struct app *app, struct err *err) MUST_USE;
int cmd_notify(struct app *app, struct err *err) MUST_USE;
int cmd_pin(struct app *app, struct err *err) MUST_USE;
int cmd_promote(struct app *app, struct err *err) MUST_USE;
int cmd_prune(struct app *app, struct err *err) MUST_USE;
int cmd_restore(struct app *app, struct err *err) MUST_USE;
int cmd_run(struct app *app, struct err *err) MUST_USE;
int cmd_rollback(struct app *app, struct err *err) MUST_USE;
int cmd_show(struct app *app, struct err *err) MUST_USE;
int cmd_status(struct app *app, struct err *err) MUST_USE;
int cmd_trust(struct app *app, struct err *err) MUST_USE;
int cmd_unlock(struct app *app, struct err *err) MUST_USE;
int cmd_verify(struct app *app, struct err *err) MUST_USE;
int cmd_help(struct app *app, struct err *err) MUST_USE;
int cmd_version(struct app *app, struct err *err) MUST_USE;

#endif
