#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/process.h"

static void self__is_known_and_alive(void **state)
{
	(void)state;
	struct process_name self = process_self();
	assert_int_equal(self.pid, getpid());
	assert_int_equal(strlen(self.boot), 36);
	assert_true(self.space > 0);
	assert_true(self.started > 0);
	assert_false(process_is_dead(&self));
}

static void child__that_was_waited_for__is_dead(void **state)
{
	(void)state;
	struct process_name p = process_self();
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	p.pid = (uint64_t)pid;
	assert_true(process_is_dead(&p));
}

static void number__given_to_a_later_process__is_dead(void **state)
{
	(void)state;
	struct process_name p = process_self();
	p.started--;
	assert_true(process_is_dead(&p));
}

static void elsewhere__is_never_called_dead(void **state)
{
	(void)state;
	struct process_name self = process_self(), p;
	p = self;
	p.pid = 0;
	assert_false(process_is_dead(&p));
	p = self;
	p.started--;
	p.boot[0] = p.boot[0] == '0' ? '1' : '0';
	assert_false(process_is_dead(&p));
	p = self;
	p.started--;
	p.space++;
	assert_false(process_is_dead(&p));
	p = self;
	p.started = 0;
	assert_false(process_is_dead(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(self__is_known_and_alive),
	    cmocka_unit_test(child__that_was_waited_for__is_dead),
	    cmocka_unit_test(number__given_to_a_later_process__is_dead),
	    cmocka_unit_test(elsewhere__is_never_called_dead),
	};
	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
