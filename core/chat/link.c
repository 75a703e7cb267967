/* link: codes are random, short-lived, used once; the database keeps their hash only. */
#include "core/chat/link.h"

#include "core/base/rand.h"
#include "core/chat/turn.h"
#include "core/net/sign.h"
#include "core/store/people.h"

#define LINK_LIFE_MS    (10 * 60 * 1000)
#define LINK_TRIES_MAX  5
#define LINK_CODE_CHARS 8 /* 40 bits: with 5 tries in 10 minutes nobody guesses one */

static const char link_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's base 32 */

static struct str link_hash(struct turn *t, struct str code)
{
    uint8_t hash[32];
    char *hex = arena_alloc(&t->arena, 2 * sizeof hash + 1);
    sign_sha256(code, hash);
    sign_hex(hash, sizeof hash, hex);
    return str_of(hex);
}

/* As it was shown, in any case, with or without the dash. */
static struct str link_typed(struct turn *t, struct str typed)
{
    char *code = arena_alloc(&t->arena, LINK_CODE_CHARS + 1);
    size_t n = 0;
    for (size_t i = 0; i < typed.n && n < LINK_CODE_CHARS; i++) {
        char c = typed.p[i];
        if (c != '-' && c != ' ') code[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return str_from(code, n);
}

static void link_offer(struct turn *t)
{
    char code[LINK_CODE_CHARS + 1];
    for (size_t i = 0; i < LINK_CODE_CHARS; i++) code[i] = link_digits[rand_below(32)];
    code[LINK_CODE_CHARS] = '\0';
    store_link_offer(t->chat->store, &t->flow.op, t->request.user, link_hash(t, str_of(code)),
                     LINK_LIFE_MS);
    turn_say(
        t,
        "Write `/link %.4s-%s` to me in the other app within 10 minutes, and I know that it is "
        "you. The code works once.",
        code, code + 4);
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
        store_link_take(t->chat->store, &t->flow.op, t->request.user,
                        link_hash(t, link_typed(t, args)), LINK_TRIES_MAX, LINK_LIFE_MS, &t->rows);
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
