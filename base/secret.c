#include "base/secret.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

int secret_set(struct secret *s, const char *text, struct err *err)
{
	char *copy = NULL;
	if (str_dup(text, &copy, err) < 0)
		return -1;
	secret_done(s);
	s->text = copy;
	return 0;
}

const char *secret_text(const struct secret *s)
{
	return s->text != NULL ? s->text : "";
}

bool secret_is_set(const struct secret *s)
{
	return s->text != NULL;
}

void secret_wipe(char *text)
{
	if (text == NULL)
		return;
	explicit_bzero(text, strlen(text));
	free(text);
}

void secret_wipe_list(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		explicit_bzero(l->items[i], strlen(l->items[i]));
	strlist_done(l);
}

void secret_done(struct secret *s)
{
	secret_wipe(s->text);
	s->text = NULL;
}
