/* switches: see switches.h. */
#include "core/chat/switches.h"
#include "core/chat/turn.h"
#include <inttypes.h>

void switches_init(struct turn *t)
{
    const struct claimed *rq = &t->request;
    t->who.channel_type = str_of(t->channel->type->name);
    t->who.channel = str_of(t->channel->name);
    t->who.workspace = rq->workspace;
    t->who.place = rq->place;
    t->who.thread = rq->thread;
    t->who.person = rq->user;
    flag_who_ready(&t->who);
    t->switched.model = switch_text(t, FLAG_MODEL);
    t->switched.system_prompt = switch_text(t, FLAG_SYSTEM_PROMPT);
}

bool switch_on(const struct turn *t, enum flag_id id)
{
    return flag_bool(t->chat->flags, id, &t->who);
}

bool switch_on_or(const struct turn *t, enum flag_id id, bool configured)
{
    return flag_bool_or(t->chat->flags, id, &t->who, configured);
}

int64_t switch_number_or(const struct turn *t, enum flag_id id, int64_t configured)
{
    return flag_int_or(t->chat->flags, id, &t->who, configured);
}

struct str switch_text(struct turn *t, enum flag_id id)
{
    const char *text = flag_text(t->chat->flags, id, &t->who);
    return text ? arena_dup(&t->arena, str_of(text)) : STR_NONE;
}

bool switch_on_in(const struct chat *chat, const struct channel *ch, const struct place *where,
                  enum flag_id id)
{
    struct flag_who who = { .channel_type = str_of(ch->type->name),
                            .channel = str_of(ch->name),
                            .workspace = where->workspace,
                            .place = where->channel,
                            .thread = where->thread };
    flag_who_ready(&who);
    return flag_bool(chat->flags, id, &who);
}

/* ---- the receipt ---- */

static bool is_default(enum flag_id id, const struct flag_value *v)
{
    const struct flag_value *def = &flag_specs[id].def;
    if (v->set != def->set) return false;
    return !v->set || (v->text ? strcmp(v->text, def->text) == 0 : v->number == def->number);
}

/* A text that is not one of a few words can be long, and is not for whoever asks why. */
static void put_flag(struct json_out *o, enum flag_id id, const struct flag_value *v,
                     const struct flag_why *why)
{
    const struct flag_spec *s = &flag_specs[id];
    json_key(o, s->name);
    json_open(o, '{');
    json_key(o, "value");
    if (s->type == FLAG_BOOLEAN)
        json_put_bool(o, v->number);
    else if (s->type == FLAG_NUMBER)
        json_put_i64(o, v->number);
    else
        json_put_str(o, s->words ? str_of(v->text) : STR("set"));
    json_field_str(o, "by", str_of(flag_by_words[why->by]));
    if (why->layer) json_field_str(o, "of", str_of(why->layer));
    json_close(o, '}');
}

void switches_put(struct json_out *o, const struct turn *t)
{
    bool any = false;
    for (enum flag_id id = 0; id < FLAG_N; id++) {
        struct flag_why why;
        const struct flag_value *v = flag_find(t->chat->flags, id, &t->who, &why);
        if (is_default(id, v) || !v->set) continue;
        if (!any) json_key(o, "flags");
        if (!any) json_open(o, '{');
        any = true;
        put_flag(o, id, v, &why);
    }
    if (any) json_close(o, '}');
}

static void tell_value(struct buf *to, struct json *v)
{
    bool on;
    int64_t n;
    struct str s = STR_NONE;
    if (json_flag(v, &on)) {
        buf_add_cstr(to, on ? "on" : "off");
    } else if (json_i64(v, &n)) {
        buf_addf(to, "%" PRId64, n);
    } else {
        json_str(v, &s);
        buf_add(to, s);
    }
}

void switches_tell(struct buf *to, struct json *flags)
{
    struct json_member m = { .begun = false };
    const char *before = "\n- flags: ";
    while (json_next(flags, &m)) {
        struct str by = STR_NONE, of = STR_NONE;
        json_get_str(m.value, "by", &by);
        json_get_str(m.value, "of", &of);
        buf_addf(to, "%s`%.*s` is ", before, STR_ARG(m.key));
        tell_value(to, json_get(m.value, "value"));
        buf_addf(to, " (%.*s%s%.*s)", STR_ARG(by), of.n ? " " : "", STR_ARG(of));
        before = ", ";
    }
}
