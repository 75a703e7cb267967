/* bill: see bill.h. */
#include "core/chat/bill.h"

#include "core/base/json.h"
#include "core/chat/turn.h"
#include "core/model/prices.h"
#include <inttypes.h>

#define LINE_MAX_BYTES 1024

/* As PostgreSQL keeps it, with eight digits, but up: however cheap, it is not nothing. */
static int64_t as_kept(int64_t nano)
{
    return nano > 0 ? (nano + 9) / 10 * 10 : nano;
}

static struct bill_line *add_line(struct turn *t, const struct model *m,
                                  const struct model_usage *u)
{
    struct bill_line *line = arena_new(&t->arena, struct bill_line);
    const struct price *price = models_price(t->models, m);
    *line = (struct bill_line){ .id = uuid_v7(),
                                .model = m,
                                .usage = *u,
                                .cost = as_kept(price_cost(price, u)),
                                .version = arena_cstr(&t->arena, str_of(price->version)),
                                .next = t->bill };
    t->bill = line;
    t->n_bill++;
    return line;
}

/* It took nothing, but it was asked. */
static void add_failed(struct turn *t, const struct route_try *try)
{
    static const struct model_usage none = { .known = true };
    add_line(t, try->model, &none)->failed = err_rule(try->why.kind)->name;
}

/* An answer that was stopped told nothing of its tokens. */
static void add_stopped(struct turn *t, const struct model *m)
{
    const struct model_usage u = {
        .prompt_tokens = tokens_of_ask(t->question),
        .completion_tokens = tokens_estimate(buf_str(&t->answer.text)),
    };
    add_line(t, m, &u);
}

void bill_add(struct turn *t, const struct route_log *log)
{
    for (size_t i = 0; i < log->n; i++) {
        const struct route_try *try = &log->v[i];
        /* Who was still in the row, or rested, was not asked. */
        bool unfinished = !try->ms && !try->tries && !try->rested && !try->why.kind;
        if (route_try_paid(try))
            add_line(t, try->model, &try->usage);
        else if (try->tries && try->why.kind)
            add_failed(t, try);
        if (t->stop != TURN_GOES_ON && unfinished) add_stopped(t, try->model);
    }
}

int64_t bill_log(const struct turn *t, const struct route_log *log)
{
    int64_t sum = 0;
    for (size_t i = 0; i < log->n; i++) {
        const struct route_try *try = &log->v[i];
        int64_t cost = as_kept(price_cost(models_price(t->models, try->model), &try->usage));
        if (route_try_paid(try) && cost > 0) sum += cost;
    }
    return sum;
}

int64_t bill_sum(const struct turn *t)
{
    int64_t sum = 0;
    for (const struct bill_line *l = t->bill; l; l = l->next)
        if (l->cost > 0) sum += l->cost;
    return sum;
}

static void put_line(struct json_out *o, const struct bill_line *l)
{
    char id[UUID_TEXT_MAX], cost[40];
    uuid_text(&l->id, id);
    json_open(o, '{');
    json_field_str(o, "id", str_of(id));
    json_field_str(o, "provider", str_of(l->model->type ? l->model->type->name : ""));
    json_field_str(o, "model", str_of(l->model->name));
    json_field_i64(o, "prompt", l->usage.prompt_tokens);
    json_field_i64(o, "completion", l->usage.completion_tokens);
    json_field_i64(o, "cached", l->usage.cached_tokens);
    json_field_i64(o, "written", l->usage.written_tokens);
    json_field_i64(o, "reasoning", l->usage.reasoning_tokens);
    json_field_bool(o, "estimated", !l->usage.known);
    if (l->failed) json_field_str(o, "failed", str_of(l->failed));
    if (l->cost != COST_UNKNOWN) {
        snprintf(cost, sizeof(cost), "%" PRId64 ".%09" PRId64, l->cost / NANO_A_DOLLAR,
                 l->cost % NANO_A_DOLLAR);
        json_key(o, "cost");
        json_put_raw(o, str_of(cost));
        json_field_str(o, "version", str_of(l->version));
    }
    json_close(o, '}');
}

struct str bill_json(struct turn *t)
{
    if (!t->bill) return STR("[]");
    _cleanup_(buf_done) struct buf b = BUF_INIT((t->n_bill + 1) * LINE_MAX_BYTES);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '[');
    for (const struct bill_line *l = t->bill; l; l = l->next) put_line(&o, l);
    json_close(&o, ']');
    return b.full ? STR("[]") : arena_dup(&t->arena, buf_str(&b));
}
