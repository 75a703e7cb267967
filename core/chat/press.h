/*
 * press - the two buttons under a question whether a tool may be called: what they carry, and what
 * a press of them says. Pure.
 *
 * What they carry names the question and whom it was put to: a button of an older question can
 * answer no newer one, and who else presses can be told so at once. It comes back from clients, so
 * it proves nothing: the store decides (store_tool_answer).
 */
#pragma once
#include "core/base/arena.h"
#include "core/chat/channel.h"

#define PRESS_MAX        65 /* with its NUL; Telegram's callback_data takes 64 bytes */
#define PRESS_NOT_YOURS  "This is not yours to decide."
#define PRESS_ALLOW_TEXT "Allow"
#define PRESS_DENY_TEXT  "Refuse"

/* Has this message these buttons? They stand under its last part. */
bool press_asks(const struct outbound *out);

/* What the button of `out` carries. False: it does not fit, then there are no buttons. */
bool press_write(const struct outbound *out, bool yes, char ret[PRESS_MAX]);

enum press {
    PRESS_NONE,   /* none of these buttons */
    PRESS_OTHERS, /* somebody else was asked */
    PRESS_TAKEN,  /* `ret` is the command that it stands for, in `a` */
};
/*
 * data  what a button carried
 * from  the platform's id of who pressed it
 */
enum press press_read(struct str data, struct str from, struct arena *a, struct str *ret);
