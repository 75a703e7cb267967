/* link: codes are random, short-lived, used once; the database keeps their hash only. */
#include "core/chat/link.h"

#include "core/chat/code.h"
#include "core/chat/turn.h"
#include "core/store/people.h"

#define LINK_LIFE_MS   (10 * 60 * 1000)
#define LINK_TRIES_MAX 5
static void link_offer(struct turn *t)
{
    char code[CODE_CHARS + 1];
    code_make(code);
    store_link_offer(t->chat->store, &t->flow.op, t->request.user,
                     code_hash(&t->arena, str_of(code)), LINK_LIFE_MS);
    turn_say(t,
             "Write `/link " CODE_FMT
             "` to me in the other app within 10 minutes, and I know that it is "
             "you. The code works once.",
             CODE_ARG(code));
}

enum flow_rc link_run(struct turn *t, struct str args)
{
    if (!t->request.direct) {
        turn_say(t, "Here everybody would see the code. Write `/link` to me in a private chat.");
        return FLOW_NEXT;
    }
    if (args.n == 0)
        link_offer(t);
    else
        store_link_take(t->chat->store, &t->flow.op, t->request.user, code_hash(&t->arena, args),
                        LINK_TRIES_MAX, LINK_LIFE_MS, &t->rows);
    return FLOW_WAIT;
}

enum flow_rc link_done(struct turn *t)
{
    static const struct {
        const char *word, *text;
    } said[] = {
        { "linked", "Done: from now on you are the same person to me in both apps." },
        { "same", "This code is from here. Type it in the other app." },
        { "tries", "Too many wrong codes. Please wait 10 minutes, and ask for a new one." },
        { "unknown", "I do not know this code: codes live for 10 minutes and work once. "
                     "`/link` without a code gives a new one." },
    };
    if (t->reply.n) return FLOW_NEXT; /* an offer */
    struct str word = t->rows.n > 0 ? pg_rows_str(&t->rows, 0, 0) : STR("unknown");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (str_eq(word, str_of(said[i].word))) turn_say(t, "%s", said[i].text);
    return FLOW_NEXT;
}
