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
enum flow_rc compact_afford(struct flow *f);   /* set aside what the summary may cost */
enum flow_rc compact_afforded(struct flow *f); /* or there is no room: the older part is left out */
enum flow_rc compact_not_afforded(struct flow *f);
enum flow_rc compact_start(struct flow *f);    /* ask for the summary */
enum flow_rc compact_written(struct flow *f);  /* it is there */
enum flow_rc compact_failed(struct flow *f);   /* it is not: the older part is left out */
enum flow_rc compact_keep(struct flow *f);     /* for the turns to come */
enum flow_rc compact_not_kept(struct flow *f); /* it stands for this answer all the same */

/* For commands. */
enum flow_rc undo_run(struct turn *t, struct str args);
enum flow_rc undo_done(struct turn *t);
enum flow_rc compact_run(struct turn *t, struct str args);
enum flow_rc compact_done(struct turn *t);
