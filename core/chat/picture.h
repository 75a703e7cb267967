/*
 * picture - the pictures of a question, as a model gets them. Steps of the turn.
 */
#pragma once
#include "core/loop/flow.h"

struct turn;

/*
 * Get them as data: from PostgreSQL, from the channel, or from a public https address. What cannot
 * be had is named in the question. FLOW_NEXT: there are none, or no model sees.
 */
enum flow_rc pictures_start(struct flow *f);
/* What was loaded becomes the question's pictures; the others are left out. */
enum flow_rc pictures_loaded(struct flow *f);
