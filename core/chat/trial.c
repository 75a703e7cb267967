/* trial: see trial.h. */
#include "core/chat/trial.h"

#include "core/chat/turn.h"

#define EXPOSURES_MAX 8192

static bool is_known(const struct turn *t, struct str model)
{
    return model.n && routes_find(t->models, model);
}

void trial_begin(struct turn *t)
{
    const struct claimed *rq = &t->request;
    const struct experiment_who who = {
        .conversation = rq->conversation,
        .person = rq->user,
        .kept = rq->variants,
        .own_model = is_known(t, rq->model_override) || is_known(t, rq->preferred_model) ||
                     is_known(t, t->news.model),
    };
    experiment_pick(t->chat->experiments, t->chat->flags, &who, &t->arena, &t->trial);
    t->who.layer = &t->trial.layer;
}

static bool was_asked(const struct turn *t)
{
    return t->asked.n > 0 || t->reuse.made_at.n > 0;
}

struct str trial_exposures(struct turn *t)
{
    if (!t->trial.n || !was_asked(t)) return STR("[]");
    _cleanup_(buf_done) struct buf b = BUF_INIT(EXPOSURES_MAX);
    struct json_out o = JSON_OUT(&b);
    bool stopped = t->stop == TURN_STOPPED;
    bool failed = strcmp(t->outcome, "refused") == 0 ||
                  (!stopped && !t->reuse.made_at.n && t->answer.finish == MODEL_CUT);
    json_open(&o, '[');
    for (size_t i = 0; i < t->trial.n; i++) {
        const struct experiment_use *u = &t->trial.v[i];
        json_open(&o, '{');
        json_field_str(&o, "experiment", str_of(u->experiment));
        json_field_str(&o, "variant", str_of(u->variant));
        json_field_bool(&o, "person", u->person);
        json_field_bool(&o, "fresh", u->fresh);
        json_field_bool(&o, "failed", failed);
        json_field_bool(&o, "stopped", stopped);
        json_field_i64(&o, "first_token_ms", t->answer.first_token_ms);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return b.full ? STR("[]") : arena_dup(&t->arena, buf_str(&b));
}

void trial_put(struct json_out *o, const struct turn *t)
{
    if (!t->trial.n) return;
    json_key(o, "experiments");
    json_open(o, '[');
    for (size_t i = 0; i < t->trial.n; i++) {
        json_open(o, '{');
        json_field_str(o, "name", str_of(t->trial.v[i].experiment));
        json_field_str(o, "variant", str_of(t->trial.v[i].variant));
        json_close(o, '}');
    }
    json_close(o, ']');
}

void trial_tell(struct buf *to, struct json *receipt)
{
    struct json *list = json_get(receipt, "experiments");
    for (size_t i = 0; i < json_length(list); i++) {
        struct str name = STR_NONE, variant = STR_NONE;
        json_get_str(json_at(list, i), "name", &name);
        json_get_str(json_at(list, i), "variant", &variant);
        buf_addf(to, "\n- the experiment `%.*s` gave it the variant `%.*s`", STR_ARG(name),
                 STR_ARG(variant));
    }
}
