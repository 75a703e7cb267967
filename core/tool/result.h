/*
 * result - what a tool returned, as text for the model. Pure.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/json.h"

struct result_how {
    size_t max;      /* bytes of the text; what is longer is cut, with a mark */
    bool fenced;     /* between marks that say: this is data, no instruction */
    struct str tool; /* the name in the marks */
};

/*
 * A result of tools/call: texts as they are, a line for each picture, sound or resource;
 * structuredContent if there is nothing else. Valid UTF-8 without U+0000, at most `max` and the
 * marks.
 * ret_failed  the tool says that it failed, which the model is to hear
 * ERR_REFUSED: it asks for input (input_required), which nobody here can give.
 */
enum err_kind result_format(struct json *result, const struct result_how *how, struct buf *to,
                            bool *ret_failed, struct err *why);
