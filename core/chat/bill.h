/*
 * bill - what a turn's questions to models cost: a line each, also for those whose answer nobody
 * got. Kept in the commit of the reply.
 */
#pragma once
#include "core/base/str.h"
#include <stdint.h>

struct turn;

/* The question has ended, in whatever way: add what was asked to the turn's bill, also who failed
 * and took nothing. */
void bill_add(struct turn *t);
struct model;
struct model_answer;
/* The same for a question beside that one; nothing if it cost nothing. */
void bill_add_answer(struct turn *t, const struct model *m, const struct model_answer *a);
/* JSON: [{"id", "provider", "model", "prompt", ..., "cost"}, ...], in the turn's arena. */
struct str bill_json(struct turn *t);
struct route_log;
/* What is not on the bill yet, of a question that is still being asked: in nano. */
int64_t bill_log(const struct turn *t, const struct route_log *log);
/* All of it in nano; what has no price counts as nothing. */
int64_t bill_sum(const struct turn *t);
