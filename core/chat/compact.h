/*
 * compact - a conversation that has outgrown what a model is shown: its older half is summarised,
 * by the model itself, and the summary stands for it from then on. The person is told, and can take
 * it back (/undo compaction); the messages stay as they are. Only with chat.compact.
 */
#pragma once
#include "core/loop/flow.h"
#include "core/model/model.h"

struct turn;

/* Steps of the turn. FLOW_NEXT: it has not outgrown anything. */
enum flow_rc compact_start(struct turn *t); /* ask for the summary */
void compact_written(struct turn *t);       /* it is there */
void compact_failed(struct turn *t);        /* it is not: the older part is left out, as without */
enum flow_rc compact_keep(struct turn *t);  /* for the turns to come */

/* For commands. */
enum flow_rc undo_run(struct turn *t, struct str args);
enum flow_rc undo_done(struct turn *t);
enum flow_rc compact_run(struct turn *t, struct str args);
enum flow_rc compact_done(struct turn *t);
