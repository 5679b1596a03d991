/* The web server as a part of the daemon. */
#include <stdlib.h>
#include <string.h>
#include "agent/daemon/daemon_impl.h"
#include "agent/daemon/web.h"
#include "base/log.h"

struct page {
	struct daemon *daemon;
	struct web *web;
};

static int start_web(struct page *p, const struct config *c, struct web **ret, struct err *err)
{
	struct web_opts opts = {
	    .listen = c->agent.listen,
	    .token = secret_is_set(&c->agent.token) ? secret_text(&c->agent.token) : NULL,
	    .tls_cert = c->agent.tls_cert,
	    .tls_key = c->agent.tls_key,
	    .config_path = c->path,
	    .config_fd = &p->daemon->config_fd};
	if (web_start(&opts, ret, err) < 0)
		return -1;
	log_line(LOG_INFO, "page: %s://%s/", c->agent.tls_cert != NULL ? "https" : "http",
		 c->agent.listen);
	return 0;
}

static bool is_off(const struct config *c)
{
	return c->agent.listen == NULL || strcmp(c->agent.listen, "off") == 0;
}

static int page_start(struct daemon *d, const struct config *c, void **ret, struct err *err)
{
	if (is_off(c))
		return 0;
	struct page *p = mem_zalloc(sizeof *p, "the page", err);
	if (p == NULL)
		return -1;
	p->daemon = d;
	if (start_web(p, c, &p->web, err) < 0) {
		free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* The old one must go first: the new one may want its port. */
static int page_reload(void *part, const struct config *c, struct err *err)
{
	struct page *p = part;
	web_free(p->web);
	p->web = NULL;
	return is_off(c) ? 0 : start_web(p, c, &p->web, err);
}

static void page_wish(void *part, struct daemon_wish *w)
{
	const struct page *p = part;
	if (p->web == NULL)
		return;
	w->fd = web_fd(p->web);
	w->due = web_due(p->web);
}

static void page_wake(void *part)
{
	struct page *p = part;
	if (p->web != NULL)
		web_run(p->web);
}

static void page_stop(void *part)
{
	struct page *p = part;
	web_free(p->web);
	free(p);
}

const struct daemon_part web_part = {.name = "page",
				     .start = page_start,
				     .reload = page_reload,
				     .wish = page_wish,
				     .wake = page_wake,
				     .stop = page_stop};
