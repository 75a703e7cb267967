/*
 * work - a function run on libuv's thread pool, as an op: file reads, big JSON, password hashes.
 */
#pragma once
#include "core/loop/op.h"

/*
 * run      on another thread, with `arg` alone; must not touch the loop
 * release  frees arg when nobody waits for it any more; may be NULL. After a success or failure of
 *          the op other than ERR_TIMEOUT, arg is the caller's again
 *
 * Cancel and timeout: a thread that has begun finishes, and its result is released; work that has
 * not begun never runs.
 */
void work_run(struct op *op, void (*run)(void *arg), void *arg, void (*release)(void *arg),
              uint64_t timeout_ms);
