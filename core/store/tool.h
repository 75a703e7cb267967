/*
 * tool - calls of tools that wait for a person's yes, at most one question a conversation.
 */
#pragma once
#include "core/store/request.h"

/* How a state begins; the request that asks follows, as text. It is all that SQL knows of it. */
#define TOOL_STATE_HEAD "{\"asked\":\""
/* In SQL about tool_questions: that request. */
#define TOOL_ASKED                                        \
    "CASE WHEN starts_with(state, '" TOOL_STATE_HEAD "')" \
    " THEN substr(state, length('" TOOL_STATE_HEAD "') + 1, 36)::uuid END"

/*
 * Keep what has to go on after the yes. It takes the place of an older question.
 * answers  "{uuid,...}": the messages that are being answered
 * state    JSON, beginning with TOOL_STATE_HEAD
 */
void store_tool_ask(struct store *s, struct op *op, const struct claimed *c, struct str answers,
                    struct str state, int64_t life_ms);

/*
 * The person of the request `c` says yes or no. The same request may ask again, another finds
 * nothing then.
 * asked  the request whose question they mean; nil = the one that is open
 * Rows: one: state ("" = there is no question, it is not theirs, or it was answered), "{uuid,...}"
 * of the messages answered, their text, pictures ("" = none), whether it came too late; without a
 * state, whether the question is there and was answered; then of the last message that asked: its
 * request, the platform's id ("" = none is known), its text.
 */
void store_tool_answer(struct store *s, struct op *op, const struct claimed *c, struct uuid asked,
                       struct pg_rows *rows);
