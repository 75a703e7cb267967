/*
 * eraser - what /forget asked for is done by whichever process comes first, once nothing of the
 * person is under way: rows in one transaction, then what Redis knows, which is listed in the
 * database until it is gone. A process that dies in between leaves the rest to the next one.
 */
#pragma once
#include "core/chat/chat.h"

extern const struct flow_kind eraser_flow; /* for tools that list the steps of all flows */

void eraser_open(struct chat *chat);
void eraser_start(struct chat *chat); /* from now on, and at once */
void eraser_close(struct chat *chat); /* silently; what is under way is left to the next one */
