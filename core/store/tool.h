/*
 * tool - calls of tools that wait for a person's yes, at most one question a conversation.
 */
#pragma once
#include "core/store/request.h"

/*
 * Keep what has to go on after the yes. It takes the place of an older question.
 * answers  "{uuid,...}": the messages that are being answered
 * state    JSON
 */
void store_tool_ask(struct store *s, struct op *op, const struct claimed *c, struct str answers,
                    struct str state, int64_t life_ms);

/*
 * The person of the request `c` says yes or no. The same request may ask again, another finds
 * nothing then.
 * Rows: state, "{uuid,...}" of the messages answered, their text, pictures ("" = none), whether it
 * came too late. None: there is no question, or it is not theirs.
 */
void store_tool_answer(struct store *s, struct op *op, const struct claimed *c,
                       struct pg_rows *rows);
