/* experiment: see experiment.h. */
#include "core/flag/experiment.h"
#include "core/base/json.h"
#include "core/flag/rule.h"
#include "core/net/sign.h"
#include <stdio.h>

#define WEIGHT_MAX 10000

static bool read_flags(struct arena *a, struct json *flags, struct experiment_variant *ret)
{
    struct json_member m = { .begun = false };
    while (json_next(flags, &m)) {
        enum flag_id id = flag_by_name(m.key);
        if (id == FLAG_N || !flag_value_read(a, id, m.value, &ret->v[ret->n].value)) return false;
        ret->v[ret->n++].id = id;
    }
    return true;
}

static bool read_variant(struct arena *a, struct json *doc, struct experiment_variant *ret)
{
    int64_t weight = 0;
    struct str name = STR_NONE;
    json_get_i64(doc, "weight", &weight);
    json_get_str(doc, "name", &name);
    if (weight < 1 || weight > WEIGHT_MAX || name.n == 0) return false;
    *ret = (struct experiment_variant){ .name = arena_dup(a, name), .weight = (uint32_t)weight };
    return read_flags(a, json_get(doc, "flags"), ret);
}

enum err_kind experiment_read(struct arena *a, struct str name, struct str salt, bool person,
                              struct str variants, struct experiment *ret, struct err *why)
{
    struct json *doc = NULL;
    *ret = (struct experiment){ .name = arena_dup(a, name),
                                .salt = arena_dup(a, salt),
                                .person = person };
    if (json_parse(variants, &doc, why)) return why->kind;
    size_t n = json_length(doc);
    bool fine = n >= 2 && n <= EXPERIMENT_VARIANTS_MAX;
    for (size_t i = 0; fine && i < n; i++) fine = read_variant(a, json_at(doc, i), &ret->v[i]);
    json_free(doc);
    ret->n = n;
    return fine ? ERR_NONE : err_set(why, ERR_PROTO, "experiment: unknown variants");
}

size_t experiment_choose(const struct experiment *e, const struct uuid *unit)
{
    char text[128 + UUID_TEXT_MAX], id[UUID_TEXT_MAX];
    uint8_t hash[32];
    uint64_t point = 0, total = 0;
    uuid_text(unit, id);
    snprintf(text, sizeof text, "%.*s:%s", (int)str_head(e->salt, 100).n, e->salt.p, id);
    sign_sha256(str_of(text), hash);
    for (size_t i = 0; i < 8; i++) point = point << 8 | hash[i];
    for (size_t i = 0; i < e->n; i++) total += e->v[i].weight;
    point %= total;
    size_t i = 0;
    while (point >= e->v[i].weight) point -= e->v[i++].weight;
    return i;
}

/* ---- who gets what ---- */

/* e->n: there is none. */
static size_t variant_by_name(const struct experiment *e, struct str name)
{
    size_t i = 0;
    while (i < e->n && !str_eq(e->v[i].name, name)) i++;
    return i;
}

static bool touches(const struct experiment *e, enum flag_id id)
{
    for (size_t i = 0; i < e->n; i++)
        for (size_t k = 0; k < e->v[i].n; k++)
            if (e->v[i].v[k].id == id) return true;
    return false;
}

static bool is_killed(const struct flags *f, const struct experiment *e)
{
    struct flag_why why;
    for (size_t i = 0; i < e->n; i++)
        for (size_t k = 0; k < e->v[i].n; k++) {
            flag_find(f, e->v[i].v[k].id, NULL, &why);
            if (why.by == FLAG_BY_KILL) return true;
        }
    return false;
}

static struct flag_value *value_dup(struct arena *a, const struct flag_value *v)
{
    struct flag_value *copy = arena_new(a, struct flag_value);
    *copy = *v;
    if (v->text) copy->text = arena_cstr(a, str_of(v->text));
    return copy;
}

static void use(struct arena *a, const struct experiment *e, size_t i, bool fresh,
                struct experiment_uses *ret)
{
    const struct experiment_variant *v = &e->v[i];
    struct experiment_use *u = &ret->v[ret->n++];
    *u = (struct experiment_use){ .experiment = arena_cstr(a, e->name),
                                  .variant = arena_cstr(a, v->name),
                                  .person = e->person,
                                  .fresh = fresh };
    for (size_t k = 0; k < v->n; k++) {
        ret->layer.v[v->v[k].id] = value_dup(a, &v->v[k].value);
        ret->layer.by[v->v[k].id] = u->experiment;
    }
}

void experiment_pick(const struct experiment_set *set, const struct flags *f,
                     const struct experiment_who *who, struct arena *a, struct experiment_uses *ret)
{
    *ret = (struct experiment_uses){ .n = 0 };
    if (!set || !set->n) return;
    ret->v = arena_new_array(a, struct experiment_use, set->n);
    struct json *kept = NULL;
    if (who->kept.n) json_parse(who->kept, &kept, NULL);
    for (size_t i = 0; i < set->n; i++) {
        const struct experiment *e = &set->v[i];
        if ((who->own_model && touches(e, FLAG_MODEL)) || is_killed(f, e)) continue;
        struct str has = STR_NONE;
        json_get_str(kept, e->name.p, &has);
        size_t n = variant_by_name(e, has);
        bool fresh = n == e->n;
        if (fresh) n = experiment_choose(e, e->person ? &who->person : &who->conversation);
        use(a, e, n, fresh, ret);
    }
    json_free(kept);
}
