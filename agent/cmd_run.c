#include "agent/commands.h"
#include "agent/daemon/daemon.h"

int cmd_run(struct app *app, struct err *err)
{
	return daemon_run(app->config, err);
}
