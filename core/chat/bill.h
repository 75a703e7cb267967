/*
 * bill - what a turn's questions to models cost: a line each, also for those whose answer nobody
 * got. Kept in the commit of the reply.
 */
#pragma once
#include "core/base/str.h"
#include <stdint.h>

struct turn;

struct route_log;

/* A question has ended, in whatever way: add who was asked to the turn's bill, also who failed and
 * took nothing. */
void bill_add(struct turn *t, const struct route_log *log);
/* JSON: [{"id", "provider", "model", "prompt", ..., "cost"}, ...], in the turn's arena. */
struct str bill_json(struct turn *t);
/* What is not on the bill yet, of a question that is still being asked: in nano. */
int64_t bill_log(const struct turn *t, const struct route_log *log);
/* All of it in nano; what has no price counts as nothing. */
int64_t bill_sum(const struct turn *t);
