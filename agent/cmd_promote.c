#include "agent/commands.h"
#include "agent/promote_cli.h"

int cmd_promote(struct app *app, struct err *err)
{
	return promote_cli(app, false, err);
}
