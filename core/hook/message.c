/* message: see message.h. */
#include "core/hook/message.h"
#include "core/base/utf8.h"
#include "core/hook/github.h"
#include "core/hook/template.h"

#define CUT_MARK   "\n\n_(cut)_"
#define SAMPLE_MAX (1u << 20)

static bool is_github(const struct hook_row *hook)
{
    return str_eq(hook->kind, STR("github"));
}

/* ---- is it wanted ---- */

/* "issues" names all of that event, "issues.opened" one of its actions. */
static bool is_named(struct json *names, struct str event, struct str action)
{
    for (size_t i = 0; i < json_length(names); i++) {
        struct str name;
        if (!json_str(json_at(names, i), &name)) continue;
        if (str_eq(name, event)) return true;
        bool longer = name.n == event.n + 1 + action.n && str_starts(name, event);
        if (action.n && longer && name.p[event.n] == '.' && str_ends(name, action)) return true;
    }
    return false;
}

static bool is_wanted(const struct hook_row *hook, struct str event, struct json *payload)
{
    struct json *names = NULL;
    struct str action = STR_NONE;
    if (json_parse(hook->events, &names, NULL) != ERR_NONE) return true;
    json_get_str(payload, "action", &action);
    bool all = json_length(names) == 0;
    /* GitHub sends one when the hook is made there; a template for something else would fail. */
    bool ping = is_github(hook) && hook->template.n && str_eq(event, STR("ping"));
    bool wanted = all ? !ping : is_named(names, event, action);
    json_free(names);
    return wanted;
}

/* ---- the text ---- */

static enum err_kind render(struct str text, enum template_for whom, struct json *payload,
                            struct buf *to, struct err *why)
{
    struct arena arena;
    struct template *t;
    arena_init(&arena);
    if (template_parse(&arena, text, &t, why) == ERR_NONE)
        template_render(t, whom, payload, to, why);
    arena_done(&arena);
    return why->kind;
}

static void mark_cut(struct buf *to)
{
    size_t room = sizeof CUT_MARK - 1, n = to->max > room ? to->max - room : 0;
    if (!to->full) return;
    if (to->n > n) buf_cut(to, utf8_prefix(buf_str(to), n, TEXT_BYTES));
    buf_add_cstr(to, CUT_MARK);
}

static enum hook_outcome drop(struct err *why, const char *reason)
{
    err_set(why, ERR_NONE, "%s", reason);
    return HOOK_DROPPED;
}

enum hook_outcome hook_message(const struct hook_row *hook, struct str event, struct json *payload,
                               struct buf *to, struct err *why)
{
    const char *reason;
    struct str text = hook->template;
    bool says = str_eq(hook->mode, STR("say"));
    *why = (struct err)ERR_INIT;
    if (!event.n) json_get_str(payload, "type", &event);
    if (!is_wanted(hook, event, payload)) return drop(why, "this hook does not take this event");
    if (!text.n) text = str_of(github_template(event, payload, &reason));
    if (!text.n) return drop(why, reason);
    if (render(text, says ? TEMPLATE_MARKDOWN : TEMPLATE_PLAIN, payload, to, why))
        return HOOK_BROKEN;
    mark_cut(to);
    struct str said = str_trim(buf_str(to));
    buf_cut(to, said.n ? (size_t)(said.p + said.n - to->p) : 0);
    if (said.n == 0) return drop(why, "the template makes no text of it");
    return HOOK_MESSAGE;
}

enum err_kind hook_template_check(struct str text, struct json *sample, struct err *why)
{
    struct arena arena;
    struct template *t;
    _cleanup_(buf_done) struct buf to = BUF_INIT(SAMPLE_MAX);
    arena_init(&arena);
    *why = (struct err)ERR_INIT;
    if (template_parse(&arena, text, &t, why) == ERR_NONE && sample)
        template_render(t, TEMPLATE_MARKDOWN, sample, &to, why);
    arena_done(&arena);
    return why->kind;
}
