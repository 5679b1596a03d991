/*
 * Processes as they are told from later ones with the same number: for marks that outlive the
 * process that made them.
 */
#ifndef LIFEBOAT_STACK_ENGINE_PROCESS_H
#define LIFEBOAT_STACK_ENGINE_PROCESS_H

#include <stdint.h>

/* Start time of a process in ticks since the machine's start (proc(5), stat, field 22); 0 when
 * there is no such process or it is a zombie. */
uint64_t process_start(long pid);
/* Process numbers mean something within one start of one machine ... */
void process_boot(char out[64]);
/* ... and within one name space of it. */
void process_space(char out[64]);

#endif
