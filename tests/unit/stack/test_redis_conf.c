#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "stack/redis/redis_conf.h"

static void redis_conf_include__lines__what_they_include(void **state)
{
	(void)state;
	static const struct {
		const char *line, *path;
	} cases[] = {
	    {"include /etc/a.conf", "/etc/a.conf"},
	    {" \tINCLUDE\t/etc/a.conf \r\nport 1\n", "/etc/a.conf"},
	    {"include \"/etc/a b.conf\"\n", "/etc/a b.conf"},
	    {"include '/etc/a.conf'\n", "/etc/a.conf"},
	    {"include \"\n", "\""},
	    {"include /etc/*.conf", "/etc/*.conf"},
	    {"include", NULL},
	    {"include \n/etc/a.conf", NULL},
	    {"includes /etc/a.conf", NULL},
	    {"# include /etc/a.conf", NULL},
	    {"port 6379", NULL},
	    {"", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		char *path = NULL;
		assert_int_equal(redis_conf_include(cases[i].line, &path, &err), 0);
		if (cases[i].path == NULL)
			assert_null(path);
		else
			assert_string_equal(path != NULL ? path : "(null)", cases[i].path);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redis_conf_include__lines__what_they_include),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
