/* json: see json.h. */
#include "core/flag/json.h"
#include <inttypes.h>
#include <stdio.h>

void flag_json_value(struct json_out *o, enum flag_type type, const struct flag_value *v)
{
    if (!v->set)
        json_put_null(o);
    else if (type == FLAG_BOOLEAN)
        json_put_bool(o, v->number);
    else if (type == FLAG_NUMBER)
        json_put_i64(o, v->number);
    else
        json_put_str(o, str_of(v->text));
}

/* ---- the registry ---- */

static void put_spec(struct json_out *o, const struct flag_spec *s)
{
    json_open(o, '{');
    json_field_str(o, "name", str_of(s->name));
    json_field_str(o, "type", str_of(flag_type_words[s->type]));
    json_field_str(o, "reach", str_of(flag_reach_words[s->reach]));
    json_field_str(o, "help", str_of(s->help));
    if (s->def.set) json_key(o, "def");
    if (s->def.set) flag_json_value(o, s->type, &s->def);
    if (s->min || s->max) {
        json_field_i64(o, "min", s->min);
        json_field_i64(o, "max", s->max);
    }
    if (s->words) {
        json_key(o, "words");
        json_open(o, '[');
        for (size_t i = 0; s->words[i]; i++) json_put_str(o, str_of(s->words[i]));
        json_close(o, ']');
    }
    json_close(o, '}');
}

void flag_json_registry(struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '[');
    for (size_t i = 0; i < FLAG_N; i++) put_spec(&o, &flag_specs[i]);
    json_close(&o, ']');
}

/* ---- what is set ---- */

static void put_flags(struct json_out *o, const struct flag_table *t, const struct flag_who *who)
{
    json_open(o, '{');
    for (enum flag_id id = 0; id < FLAG_N; id++) {
        struct flag_why why;
        const struct flag_value *v = flag_table_find(t, id, who, &why);
        char number[24];
        if (!v->set || (who && why.by != FLAG_BY_TYPE)) continue;
        snprintf(number, sizeof number, "%" PRId64, v->number);
        const char *word = flag_specs[id].type == FLAG_TEXT     ? v->text
                           : flag_specs[id].type == FLAG_NUMBER ? number
                           : v->number                          ? "true"
                                                                : "false";
        json_field_str(o, flag_specs[id].name, str_of(word));
    }
    json_close(o, '}');
}

/* Whether no rule before this one is about the same type of channel. */
static bool is_first(const struct flag_table *t, unsigned id, size_t i)
{
    const unsigned level = FLAG_BY_TYPE - FLAG_BY_PERSON;
    struct str type = t->v[id].level[level].v[i].channel_type;
    for (unsigned k = 0; k <= id; k++)
        for (size_t j = 0; j < (k < id ? t->v[k].level[level].n : i); j++)
            if (str_eq(t->v[k].level[level].v[j].channel_type, type)) return false;
    return true;
}

static void put_types(struct json_out *o, const struct flag_table *t)
{
    const unsigned level = FLAG_BY_TYPE - FLAG_BY_PERSON;
    json_open(o, '{');
    for (unsigned id = 0; id < FLAG_N; id++)
        for (size_t i = 0; i < t->v[id].level[level].n; i++) {
            struct flag_who who = { .channel_type = t->v[id].level[level].v[i].channel_type };
            if (!is_first(t, id, i)) continue;
            flag_who_ready(&who);
            json_key(o, who.channel_type.p); /* a C string, too */
            put_flags(o, t, &who);
        }
    json_close(o, '}');
}

void flag_json_features(const struct flag_table *t, struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '{');
    json_key(&o, "global");
    put_flags(&o, t, NULL);
    json_key(&o, "channel");
    put_types(&o, t);
    json_close(&o, '}');
}
