#include "agent/commands.h"
#include "agent/promote_cli.h"

int cmd_rollback(struct app *app, struct err *err)
{
	return promote_cli(app, true, err);
}
