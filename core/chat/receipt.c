/* receipt: see receipt.h. */
#include "core/chat/receipt.h"

#include "core/base/clock.h"
#include "core/chat/trial.h"
#include "core/chat/turn.h"
#include "core/model/prices.h"
#include <inttypes.h>

#define RECEIPT_MAX 32768

static const char *const finish_words[] = {
    [MODEL_STOP] = "complete", [MODEL_LENGTH] = "length limit", [MODEL_FILTER] = "filtered",
    [MODEL_TOOL] = "tool",     [MODEL_PAUSE] = "paused",        [MODEL_CUT] = "cut",
};

/* ---- making ---- */

static void put_usage(struct json_out *o, const struct model_usage *u)
{
    json_key(o, "usage");
    json_open(o, '{');
    json_field_i64(o, "prompt", u->prompt_tokens);
    json_field_i64(o, "completion", u->completion_tokens);
    if (u->cached_tokens) json_field_i64(o, "cached", u->cached_tokens);
    if (u->written_tokens) json_field_i64(o, "written", u->written_tokens);
    if (u->reasoning_tokens) json_field_i64(o, "reasoning", u->reasoning_tokens);
    json_field_bool(o, "estimated", !u->known);
    json_close(o, '}');
}

static void put_try(struct json_out *o, const struct turn *turn, const struct route_try *t)
{
    json_open(o, '{');
    json_field_str(o, "model", str_of(t->model->name));
    json_field_str(o, "backend", str_of(t->model->type ? t->model->type->name : ""));
    if (t->why.kind) {
        json_field_str(o, "kind", str_of(err_rule(t->why.kind)->name));
        json_field_str(o, "why", str_of(t->why.msg));
    }
    json_field_bool(o, "rested", t->rested);
    if (t->hedge) json_field_bool(o, "hedge", true);
    if (t->lost) json_field_bool(o, "lost", true);
    if (!t->rested) {
        json_field_i64(o, "tries", t->tries);
        if (t->rounds > 1) json_field_i64(o, "rounds", t->rounds);
        json_field_i64(o, "first_token_ms", t->first_token_ms);
        json_field_i64(o, "ms", t->ms);
        put_usage(o, &t->usage);
        int64_t cost = price_cost(models_price(turn->models, t->model), &t->usage);
        if (cost != COST_UNKNOWN) json_field_i64(o, "cost_nano", cost);
    }
    json_close(o, '}');
}

void receipt_took(struct turn *t, const char *step, uint64_t ms)
{
    size_t i = 0;
    while (i < t->n_took && strcmp(t->took[i].step, step) != 0) i++;
    if (ms == 0 || i == TURN_TOOK_MAX) return;
    if (i == t->n_took) t->took[t->n_took++] = (struct step_took){ .step = step };
    t->took[i].ms += (int64_t)ms;
}

static void put_took(struct json_out *o, const struct turn *t)
{
    json_key(o, "steps");
    json_open(o, '{');
    for (size_t i = 0; i < t->n_took; i++) json_field_i64(o, t->took[i].step, t->took[i].ms);
    json_close(o, '}');
}

static void put_tools(struct json_out *o, const struct toolbox *b)
{
    if (!b->n_log) return;
    json_key(o, "tools");
    json_open(o, '[');
    for (size_t i = 0; i < b->n_log; i++) {
        json_open(o, '{');
        json_field_str(o, "name", b->log[i].name);
        json_field_i64(o, "ms", b->log[i].ms);
        json_field_bool(o, "failed", b->log[i].failed);
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* Nobody was asked for it. */
static void put_cached(struct json_out *o, const struct turn *t)
{
    json_key(o, "cached");
    json_open(o, '{');
    json_field_str(o, "model", str_of(t->model->name));
    json_field_str(o, "made_at", t->reuse.made_at);
    json_close(o, '}');
}

static bool all_failed(const struct turn *t)
{
    return t->notice && t->asked.n > 0 && strcmp(t->outcome, "refused") == 0;
}

/* What a model's answer is like. */
static void put_answer(struct json_out *o, struct turn *t)
{
    const struct route_log *log = &t->asked;
    json_field_str(o, "route", str_of(turn_route(t)->name));
    json_field_str(o, "model", str_of(t->model->name));
    if (t->notice) json_field_bool(o, "failed", true);
    if (t->configured.n) {
        json_key(o, "configured");
        json_put_raw(o, t->configured);
    }
    if (t->reuse.made_at.n) put_cached(o, t);
    json_key(o, "asked");
    json_open(o, '[');
    for (size_t i = 0; i < log->n; i++) put_try(o, t, &log->v[i]);
    json_close(o, ']');
    put_tools(o, &t->toolbox);
    switches_put(o, t);
    trial_put(o, t);
    json_field_str(o, "midway",
                   str_of(log->replaced    ? "replaced"
                          : log->continued ? "continued"
                                           : ""));
    if (log->no_money) json_field_bool(o, "no_money", true);
    if (!t->notice)
        json_field_str(o, "finish", str_of(t->stop ? "stopped" : finish_words[t->answer.finish]));
    json_field_i64(o, "history_seen", (int64_t)t->history_seen);
    json_field_i64(o, "history_left_out", (int64_t)t->history_left_out);
    json_field_i64(o, "history_summarised", (int64_t)t->history_summarised);
    if (t->counted.by == t->model) {
        json_field_i64(o, "counted", t->counted.tokens);
        json_field_i64(o, "estimated", t->counted.estimated);
    }
    json_field_i64(o, "pictures", (int64_t)(t->model->sees ? t->pictures.n : 0));
    json_field_i64(o, "waited_ms", t->request.age_ms);
    json_field_i64(o, "prepared_ms", (int64_t)(t->asked_ms - t->began_ms));
    json_field_i64(o, "answered_ms", t->answer.total_ms);
    put_took(o, t);
    json_field_i64(o, "attempt", t->request.attempt);
}

struct str receipt_make(struct turn *t)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(RECEIPT_MAX);
    struct json_out o = JSON_OUT(&b);
    bool asked = t->model && !t->news.says && (!t->notice || all_failed(t));
    if (!asked && !t->news.says) return STR("{}");
    json_open(&o, '{');
    if (t->news.name.n) json_field_str(&o, "webhook", t->news.name);
    if (asked) put_answer(&o, t);
    json_close(&o, '}');
    return b.full ? STR("{}") : arena_dup(&t->arena, buf_str(&b));
}

/* ---- telling ---- */

static int64_t number(struct json *obj, const char *key)
{
    int64_t n = 0;
    json_get_i64(obj, key, &n);
    return n;
}

static struct str text(struct json *obj, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return s;
}

static bool is(struct json *obj, const char *key)
{
    bool b = false;
    json_get_bool(obj, key, &b);
    return b;
}

static void tell_ms(struct buf *to, const char *what, int64_t ms)
{
    buf_addf(to, "%s %" PRId64 ".%02" PRId64 " s", what, ms / 1000, ms % 1000 / 10);
}

static void tell_usage(struct buf *to, struct json *usage)
{
    buf_addf(to, "%" PRId64 " + %" PRId64 " tokens", number(usage, "prompt"),
             number(usage, "completion"));
    if (number(usage, "cached"))
        buf_addf(to, ", %" PRId64 " of them cached", number(usage, "cached"));
    if (number(usage, "written"))
        buf_addf(to, ", %" PRId64 " written to the cache", number(usage, "written"));
    if (number(usage, "reasoning"))
        buf_addf(to, ", %" PRId64 " thought", number(usage, "reasoning"));
    if (is(usage, "estimated")) buf_add_cstr(to, " (estimated)");
}

static void tell_try(struct buf *to, struct json *try)
{
    struct str why = text(try, "why");
    buf_addf(to, "\n- `%.*s` (%.*s)", STR_ARG(text(try, "model")), STR_ARG(text(try, "backend")));
    if (is(try, "rested")) {
        buf_addf(to, " was not asked: %.*s", STR_ARG(why));
        return;
    }
    if (is(try, "hedge")) buf_add_cstr(to, ", asked as well,");
    buf_add_cstr(to, is(try, "lost") ? " was slower and was stopped: "
                     : why.n         ? " failed: `"
                                     : " answered: ");
    for (size_t i = 0; i < why.n; i++) buf_add_char(to, why.p[i] == '`' ? '\'' : why.p[i]);
    if (why.n) buf_add_cstr(to, "`; ");
    if (number(try, "first_token_ms")) {
        tell_ms(to, "first words after", number(try, "first_token_ms"));
        buf_add_cstr(to, ", ");
    }
    tell_ms(to, "in all", number(try, "ms"));
    int64_t rounds = number(try, "rounds"), tries = number(try, "tries");
    if (rounds > 1) buf_addf(to, " and %" PRId64 " rounds", rounds);
    if (tries > 1 && tries > rounds) buf_addf(to, " and %" PRId64 " tries", tries);
    buf_add_cstr(to, ", ");
    tell_usage(to, json_get(try, "usage"));
    struct price_text cost;
    int64_t nano;
    if (json_get_i64(try, "cost_nano", &nano)) buf_addf(to, ", %s", price_tell(nano, &cost));
}

static void tell_tool(struct buf *to, struct json *tool)
{
    buf_addf(to, "\n- it called `%.*s`%s", STR_ARG(text(tool, "name")),
             is(tool, "failed") ? ", which failed" : "");
    tell_ms(to, ":", number(tool, "ms"));
}

/* Which versions of the database it was answered by. */
static void tell_configured(struct buf *to, struct json *configured)
{
    struct json_member m = { .begun = false };
    const char *before = "\n- configured by";
    for (int64_t version; json_next(configured, &m); before = ",") {
        if (!json_i64(m.value, &version)) continue;
        buf_addf(to, "%s %.*s version %" PRId64, before, STR_ARG(m.key), version);
    }
}

static void tell_who(struct buf *to, struct json *receipt)
{
    struct str model = text(receipt, "model"), route = text(receipt, "route");
    if (is(receipt, "failed"))
        buf_add_cstr(to, "No model answered");
    else
        buf_addf(to, "Answered by `%.*s`", STR_ARG(model));
    if (!str_eq(route, model)) buf_addf(to, ", by the route `%.*s`", STR_ARG(route));
    if (!is(receipt, "failed")) buf_addf(to, " (%.*s)", STR_ARG(text(receipt, "finish")));
    buf_add_cstr(to, ".\n");
}

/* A receipt is kept before the answer leaves, so it ends there. */
static void tell_time(struct buf *to, struct json *receipt, int64_t delivered_ms)
{
    struct json_member m = { .begun = false };
    struct json *steps = json_get(receipt, "steps");
    const char *before = "\n- what took time beside that:";
    int64_t ms;
    tell_ms(to, "\n- your message waited", number(receipt, "waited_ms"));
    tell_ms(to, ", preparing took", number(receipt, "prepared_ms"));
    tell_ms(to, ", answering", number(receipt, "answered_ms"));
    if (delivered_ms >= 0) tell_ms(to, ", delivering", delivered_ms);
    for (; json_next(steps, &m); before = ",") {
        if (!json_i64(m.value, &ms)) continue;
        buf_addf(to, "%s %.*s %" PRId64 " ms", before, STR_ARG(m.key), ms);
    }
}

bool receipt_tell(struct json *receipt, int64_t delivered_ms, struct buf *to)
{
    struct json *asked = json_get(receipt, "asked");
    struct str midway = text(receipt, "midway");
    struct json *cached = json_get(receipt, "cached");
    struct str webhook = text(receipt, "webhook");
    if (webhook.n && !asked)
        return buf_addf(to, "The webhook `%.*s` brought this; no model was asked.",
                        STR_ARG(webhook));
    if (!json_length(asked) && !cached) return false;
    tell_who(to, receipt);
    if (webhook.n) buf_addf(to, "\n- the webhook `%.*s` asked", STR_ARG(webhook));
    if (cached)
        buf_addf(to, "\n- nobody was asked: it is the cached answer of `%.*s`, made at %.*s",
                 STR_ARG(text(cached, "model")), STR_ARG(text(cached, "made_at")));
    for (size_t i = 0; i < json_length(asked); i++) tell_try(to, json_at(asked, i));
    struct json *tools = json_get(receipt, "tools");
    for (size_t i = 0; i < json_length(tools); i++) tell_tool(to, json_at(tools, i));
    trial_tell(to, receipt);
    if (midway.n)
        buf_addf(to, "\n- half an answer stood there and was %.*s%s", STR_ARG(midway),
                 str_eq(midway, STR("continued")) ? " by the next model" : "");
    if (is(receipt, "no_money"))
        buf_add_cstr(to, "\n- nobody else was asked: a budget had no room for it");
    buf_addf(to, "\n- it saw %" PRId64 " earlier messages", number(receipt, "history_seen"));
    if (number(receipt, "history_left_out"))
        buf_addf(to, "; %" PRId64 " older ones did not fit", number(receipt, "history_left_out"));
    if (number(receipt, "history_summarised"))
        buf_add_cstr(to, "; what was before them is a summary");
    if (number(receipt, "counted"))
        buf_addf(to, "\n- its server counted %" PRId64 " tokens where %" PRId64 " were estimated",
                 number(receipt, "counted"), number(receipt, "estimated"));
    if (number(receipt, "pictures"))
        buf_addf(to, "\n- and %" PRId64 " pictures", number(receipt, "pictures"));
    tell_configured(to, json_get(receipt, "configured"));
    switches_tell(to, json_get(receipt, "flags"));
    tell_time(to, receipt, delivered_ms);
    if (number(receipt, "attempt") > 1)
        buf_addf(to, "\n- it was attempt %" PRId64 ": a process ended before",
                 number(receipt, "attempt"));
    return true;
}
