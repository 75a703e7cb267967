/*
 * person: each command is one statement, and what it says. Codes and addresses are shown in private
 * chats only.
 */
#include "core/chat/person.h"

#include "core/base/clock.h"
#include "core/base/rand.h"
#include "core/chat/code.h"
#include "core/chat/turn.h"
#include "core/net/sign.h"
#include "core/store/person.h"

#define CODE_LIFE_MS    (10 * 60 * 1000)
#define APPROVE_LIFE_MS (24 * 3600 * 1000)
#define EXPORT_LIFE_MS  (3600 * 1000)
#define TRIES_MAX       5
#define LIST_MAX        9

static bool is_private(struct turn *t, const char *command)
{
    if (t->request.direct) return true;
    turn_say(t, "Here others would see it. Write `/%s` to me in a private chat.", command);
    return false;
}

/* --- /unlink --- */

enum flow_rc unlink_run(struct turn *t, struct str args)
{
    (void)args;
    if (!is_private(t, "unlink")) return FLOW_NEXT;
    if (!t->request.from.n) { /* unlinked while this waited */
        turn_say(t, "You are not linked with another app.");
        return FLOW_NEXT;
    }
    store_unlink(t->chat->store, &t->flow.op, &t->request, uuid_v7(), &t->rows);
    return FLOW_WAIT;
}

enum flow_rc unlink_done(struct turn *t)
{
    if (t->rows.n > 0 && pg_rows_bool(&t->rows, 0, 0))
        turn_say(t, "Done: in this app you are a person of your own again. What you wrote here "
                    "stays here.");
    else
        turn_say(t, "You are not linked with another app.");
    return FLOW_NEXT;
}

/* --- /continue --- */

enum flow_rc continue_run(struct turn *t, struct str args)
{
    int64_t nth;
    if (!is_private(t, "continue")) return FLOW_NEXT;
    if (!args.n) {
        store_conversations(t->chat->store, &t->flow.op, &t->request, LIST_MAX, &t->rows);
        return FLOW_WAIT;
    }
    if (!str_i64(args, &nth) || nth < 1 || nth > LIST_MAX) {
        turn_say(t, "Write `/continue` and the number of a conversation; `/continue` alone lists "
                    "them.");
        return FLOW_NEXT;
    }
    t->next = uuid_v7();
    store_continue(t->chat->store, &t->flow.op, &t->request, t->next, nth, &t->rows);
    return FLOW_WAIT;
}

static void list_conversations(struct turn *t)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(8192);
    for (int i = 0; i < t->rows.n; i++) {
        char age[CLOCK_SPAN_MAX];
        struct str words = pg_rows_str(&t->rows, i, 3);
        clock_span((uint64_t)pg_rows_i64(&t->rows, i, 2), age);
        buf_addf(&b, "%d. %.*s, %s ago: %.*s\n", i + 1, STR_ARG(pg_rows_str(&t->rows, i, 1)), age,
                 STR_ARG(str_head(words, str_find_char(words, '\n'))));
    }
    if (t->rows.n > 0)
        turn_say(t, "Your latest conversations elsewhere:\n\n%.*s\nWrite `/continue NUMBER`.",
                 STR_ARG(buf_str(&b)));
    else
        turn_say(t, "You have no other conversation with me that could go on here.");
}

enum flow_rc continue_done(struct turn *t)
{
    if (uuid_is_nil(&t->next)) {
        list_conversations(t);
    } else if (t->rows.n > 0) {
        turn_say(t, "We go on here with the conversation from %.*s that began with: %.*s",
                 STR_ARG(pg_rows_str(&t->rows, 0, 1)), STR_ARG(pg_rows_str(&t->rows, 0, 0)));
    } else {
        t->next = (struct uuid){ { 0 } };
        turn_say(t, "There is no such conversation. `/continue` alone lists them.");
    }
    return FLOW_NEXT;
}

/* --- /export --- */

enum flow_rc export_run(struct turn *t, struct str args)
{
    char token[EXPORT_TOKEN_HEX + 1], hash_hex[65];
    uint8_t hash[32];
    (void)args;
    if (!is_private(t, "export")) return FLOW_NEXT;
    rand_hex(token, EXPORT_TOKEN_HEX / 2);
    sign_sha256(str_of(token), hash);
    sign_hex(hash, sizeof hash, hash_hex);
    store_export_offer(t->chat->store, &t->flow.op, t->request.user,
                       arena_dup(&t->arena, str_of(hash_hex)), EXPORT_LIFE_MS);
    turn_say(t,
             "All that I keep about you, as one JSON file, is here for an hour:\n\n"
             "%.*s" EXPORT_PATH "%s\n\nWhoever has this address can read it: do not pass it on.",
             STR_ARG(t->chat->public_url), token);
    return FLOW_WAIT;
}

enum flow_rc export_done(struct turn *t)
{
    (void)t;
    return FLOW_NEXT;
}

/* --- /forget --- */

enum flow_rc forget_run(struct turn *t, struct str args)
{
    char code[CODE_CHARS + 1];
    if (!is_private(t, "forget")) return FLOW_NEXT;
    if (args.n) {
        store_forget_begin(t->chat->store, &t->flow.op, t->request.user, code_hash(&t->arena, args),
                           TRIES_MAX, &t->rows);
        return FLOW_WAIT;
    }
    code_make(code);
    store_code_offer(t->chat->store, &t->flow.op, t->request.user, "forget",
                     code_hash(&t->arena, str_of(code)), CODE_LIFE_MS);
    turn_say(
        t,
        "This erases all that I keep about you: who you are in every app that you linked, what "
        "you wrote and what I answered. It cannot be undone; `/export` gives you a copy "
        "before.\n\nIf that is what you want, write `/forget " CODE_FMT "` within 10 minutes.",
        CODE_ARG(code));
    return FLOW_WAIT;
}

enum flow_rc forget_done(struct turn *t)
{
    if (t->reply.n) return FLOW_NEXT; /* an offer */
    struct str word = t->rows.n > 0 ? pg_rows_str(&t->rows, 0, 0) : STR_NONE;
    if (str_eq(word, STR("begun")))
        turn_say(t, "All that I keep about you is being erased now. When you write again, we meet "
                    "for the first time.");
    else if (str_eq(word, STR("tries")))
        turn_say(t, "Too many wrong codes. Ask for a new one with `/forget`.");
    else
        turn_say(t, "I do not know this code: codes live for 10 minutes. `/forget` gives a new "
                    "one. Nothing was erased.");
    return FLOW_NEXT;
}

/* --- /approve, and who is not --- */

enum flow_rc approve_run(struct turn *t, struct str args)
{
    if (!args.n) {
        turn_say(t, "Write `/approve` and the code that the person was given.");
        return FLOW_NEXT;
    }
    store_approve_by(t->chat->store, &t->flow.op, t->request.user, code_hash(&t->arena, args),
                     &t->rows);
    return FLOW_WAIT;
}

enum flow_rc approve_done(struct turn *t)
{
    if (t->rows.n > 0)
        turn_say(t, "%.*s may write to me now.", STR_ARG(pg_rows_str(&t->rows, 0, 0)));
    else
        turn_say(t, "Either this code is not one that I gave, or you are no admin.");
    return FLOW_NEXT;
}

enum flow_rc access_start(struct turn *t)
{
    char code[CODE_CHARS + 1];
    if (t->request.blocked) {
        turn_say(t,
                 "An admin does not want me to answer you. What I keep about you is still yours: "
                 "`/export`, `/forget`.");
        return FLOW_STOP;
    }
    if (t->channel->access == ACCESS_OPEN || t->request.approved) return FLOW_NEXT;
    code_make(code);
    t->code = arena_printf(&t->arena, CODE_FMT, CODE_ARG(code));
    store_code_offer(t->chat->store, &t->flow.op, t->request.user, "approve",
                     code_hash(&t->arena, t->code), APPROVE_LIFE_MS);
    return FLOW_WAIT;
}

void access_refused(struct turn *t)
{
    if (t->request.direct)
        turn_say(t,
                 "We have not met, and here I answer only those whom an admin has let in. Give "
                 "them this code: `%.*s`",
                 STR_ARG(t->code));
    else
        turn_say(t, "Here I answer only those whom an admin has let in. Write to me in a private "
                    "chat to get a code.");
}
