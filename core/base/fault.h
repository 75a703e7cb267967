/*
 * fault - kill this process at a named point, to prove that nothing is lost.
 *
 * PARLEY_ABORT_AT="turn.keep.done" kills with SIGKILL when that point is passed; "turn.keep.done:3"
 * the third time. PARLEY_STOP_AT stops with SIGSTOP instead. Unset (always, outside tests) it costs
 * one comparison.
 */
#pragma once
#include <stdbool.h>

void fault_setup(void); /* reads the environment; call once at start */
extern bool fault_armed;
void fault_check(const char *flow, const char *step, const char *phase);

#define fault_point(flow, step, phase) (fault_armed ? fault_check(flow, step, phase) : (void)0)
