/*
 * picture - the pictures of a question, as a model gets them. Steps of the turn.
 */
#pragma once
#include "core/loop/flow.h"

struct turn;

/* Load what is kept here. FLOW_NEXT: nothing is to be loaded, or no model sees. */
enum flow_rc pictures_start(struct turn *t);
/* What was loaded becomes the question's pictures; what is gone is left out. */
void pictures_loaded(struct turn *t);
