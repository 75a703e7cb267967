/* budget: see budget.h. */
#include "core/chat/budget.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/chat/bill.h"
#include "core/chat/keeper.h"
#include "core/chat/prompt.h"
#include "core/chat/question.h"
#include "core/chat/turn.h"
#include "core/model/factor.h"
#include "core/model/gate.h"
#include "core/model/prices.h"
#include "core/store/budget.h"
#include <inttypes.h>

#define PRICE_WAIT_MS   200
#define PRICE_WAITS_MAX 25
#define LEASE_EXTRA_MS  60000
#define DOLLAR_SCALE    9
#define LIMIT_MAX       (1000000 * NANO_A_DOLLAR)

static struct metric m_alerts[] = {
    METRIC(METRIC_COUNTER, "parley_budget_alerts_total", "percent=\"80\"",
           "Budgets that passed a share of their limit."),
    METRIC(METRIC_COUNTER, "parley_budget_alerts_total", "percent=\"100\"",
           "Budgets that passed a share of their limit."),
};
static struct metric m_refused = METRIC(METRIC_COUNTER, "parley_budget_refused_total", "",
                                        "Questions that were not asked because of a budget.");

/* ---- configuration ---- */

static const char *const who_words[] = { "person", "channel", "all", NULL };

struct budget_conf {
    struct budget budget;
    const char *day, *month;
};

#define FIELD(name) offsetof(struct budget_conf, name)
static const struct conf_field budget_fields[] = {
    { "for", CONF_ENUM, FIELD(budget.who), .def = "person", .words = who_words,
      .help = "Each person, a channel, or all together." },
    { "name", CONF_STR, FIELD(budget.name), .help = "Of the channel. Empty = each one." },
    { "day", CONF_STR, FIELD(day),
      .help = "US dollars a day of UTC, like \"1.00\"; empty = no limit." },
    { "month", CONF_STR, FIELD(month), .help = "US dollars a month." },
    CONF_END,
};
#undef FIELD

static bool read_limit(const char *text, int64_t *ret)
{
    *ret = 0;
    return !*text ||
           (price_decimal(str_of(text), DOLLAR_SCALE, ret) && *ret > 0 && *ret <= LIMIT_MAX);
}

static enum err_kind budget_check(struct budget_conf *c, const char **ret_key, struct err *why)
{
    const char *const wrong = "not an amount of dollars, like \"1.00\"";
    *ret_key = "day";
    if (!read_limit(c->day, &c->budget.day)) return err_set(why, ERR_CONF, "%s", wrong);
    *ret_key = "month";
    if (!read_limit(c->month, &c->budget.month)) return err_set(why, ERR_CONF, "%s", wrong);
    if (!c->budget.day && !c->budget.month)
        return err_set(why, ERR_CONF, "a budget needs a limit: day, month, or both");
    *ret_key = "name";
    if (*c->budget.name && c->budget.who != BUDGET_CHANNEL)
        return err_set(why, ERR_CONF, "only for = \"channel\" has a name");
    return ERR_NONE;
}

enum err_kind budgets_read(struct conf_doc *doc, struct budgets *ret, struct err *why)
{
    size_t n = conf_groups(doc, "budgets");
    for (size_t i = 0; i < n; i++) {
        struct conf_group *g = conf_group_at(doc, "budgets", i);
        struct budget_conf c = { .day = "" };
        const char *key = "day";
        if (ret->n == BUDGETS_MAX)
            return err_set(why, ERR_CONF, "more than %d budgets", BUDGETS_MAX);
        if (conf_read(doc, g, "budgets", budget_fields, NULL, &c, why)) return why->kind;
        if (budget_check(&c, &key, why)) return conf_blame(doc, g, key, why);
        ret->v[ret->n++] = c.budget;
    }
    return ERR_NONE;
}

void budgets_example(struct buf *to)
{
    buf_add_cstr(to,
                 "# What may be spent, by the prices of the models. Without any, what it costs is "
                 "recorded only.\n# budgets = (\n");
    conf_example_item(to, NULL, "One limit; any number of them.", budget_fields, true);
    buf_add_cstr(to, "# );\n\n");
}

/* ---- which ones a turn touches ---- */

struct arrays {
    struct buf scopes, periods, limits;
};

static void add(struct arrays *a, const char *scope, const char *period, int64_t limit)
{
    if (!limit) return;
    char c = a->scopes.n ? ',' : '{';
    buf_addf(&a->scopes, "%c\"%s\"", c, scope);
    buf_addf(&a->periods, "%c%s", c, period);
    buf_addf(&a->limits, "%c%" PRId64, c, limit);
}

/* Names of channels are [A-Za-z0-9_.-]+. False: this budget is another channel's. */
static bool scope_of(const struct turn *t, const struct budget *b, char *to, size_t room)
{
    char user[UUID_TEXT_MAX];
    uuid_text(&t->request.user, user);
    switch (b->who) {
    case BUDGET_PERSON: snprintf(to, room, "person:%s", user); return true;
    case BUDGET_CHANNEL:
        snprintf(to, room, "channel:%s", t->channel->name);
        return !*b->name || strcmp(b->name, t->channel->name) == 0;
    default: snprintf(to, room, "all"); return true;
    }
}

/* A limit of their own takes the place of the configured one, which is left out by `configured`. */
static void add_own(struct arrays *a, const char *kind, struct uuid id,
                    const struct own_limits *own)
{
    char text[UUID_TEXT_MAX], scope[64];
    uuid_text(&id, text);
    snprintf(scope, sizeof(scope), "%s:%s", kind, text);
    add(a, scope, "day", own->day);
    add(a, scope, "month", own->month);
}

static int64_t configured(int64_t limit, const struct budget *b, int64_t own)
{
    return b->who == BUDGET_PERSON && own ? 0 : limit;
}

/* In the arena. False: none. */
static bool finish(struct arrays *a, struct arena *arena, struct budget_rows *ret)
{
    bool any = a->scopes.n > 0;
    if (any)
        *ret = (struct budget_rows){ arena_printf(arena, "%s}", a->scopes.p),
                                     arena_printf(arena, "%s}", a->periods.p),
                                     arena_printf(arena, "%s}", a->limits.p) };
    buf_done(&a->scopes);
    buf_done(&a->periods);
    buf_done(&a->limits);
    return any;
}

#define ARRAYS_INIT                                     \
    {                                                   \
        BUF_INIT(16384), BUF_INIT(4096), BUF_INIT(8192) \
    }

bool budgets_of_all(const struct budgets *b, struct arena *arena, struct budget_rows *ret)
{
    struct arrays a = ARRAYS_INIT;
    for (size_t i = 0; i < b->n; i++) {
        if (b->v[i].who != BUDGET_ALL) continue;
        add(&a, "all", "day", b->v[i].day);
        add(&a, "all", "month", b->v[i].month);
    }
    return finish(&a, arena, ret);
}

/* In the turn's arena. False: none. */
static bool rows_of(struct turn *t, struct budget_rows *ret)
{
    struct arrays a = ARRAYS_INIT;
    const struct own_limits *own = &t->request.person_limits;
    char scope[256];
    for (size_t i = 0; i < t->chat->budgets.n; i++) {
        const struct budget *b = &t->chat->budgets.v[i];
        if (!scope_of(t, b, scope, sizeof(scope))) continue;
        add(&a, scope, "day", configured(b->day, b, own->day));
        add(&a, scope, "month", configured(b->month, b, own->month));
    }
    add_own(&a, "person", t->request.user, own);
    add_own(&a, "key", t->request.key, &t->request.key_limits);
    return finish(&a, &t->arena, ret);
}

/* ---- before the question ---- */

static int64_t longest_answer(const struct model *m, int64_t prompt)
{
    if (m->max_tokens) return m->max_tokens;
    return m->context_tokens > prompt ? m->context_tokens - prompt : 0;
}

static int64_t cost_at_most(const struct turn *t, const struct model *m, int64_t prompt,
                            int64_t answer)
{
    return price_estimate(models_price(t->models, m), prompt, answer, model_writes_cache(m));
}

static int64_t estimate_of(struct turn *t, const struct model *m, struct str so_far)
{
    int64_t prompt = factor_tokens(t->models, m, tokens_of_ask(question_draft(t, m, so_far)));
    return cost_at_most(t, m, prompt, longest_answer(m, prompt));
}

/* The dearest model of the route decides. NULL: all have a price. */
static const struct model *estimate(struct turn *t, struct str so_far, int64_t *ret)
{
    const struct route *route = turn_route(t);
    *ret = 0;
    for (size_t i = 0; i < route->n; i++) {
        const struct model *m = route->v[i];
        int64_t cost = estimate_of(t, m, so_far);
        if (cost == COST_UNKNOWN) return m;
        if (cost > *ret) *ret = cost;
    }
    return NULL;
}

/* As long as the question may take, in the queues of its models, too: what is given back early is
 * spent twice. */
static uint64_t lease_ms(const struct route *route)
{
    uint64_t ms = (uint64_t)route->total_ms + LEASE_EXTRA_MS;
    for (size_t i = 0; i < route->n; i++) {
        const struct model *m = route->v[i];
        ms += (uint64_t)m->total_ms + (gate_is_open(m) ? 0 : GATE_WAIT_MAX_MS);
    }
    return ms;
}

/* The process has just started and has not seen the price list yet. */
static bool prices_wait(struct turn *t)
{
    if (models_prices_known(t->models) || t->price_waits == PRICE_WAITS_MAX) return false;
    t->price_waits++;
    t->waits_for_prices = true;
    op_sleep(&t->flow.op, PRICE_WAIT_MS);
    return true;
}

bool budget_waited(struct turn *t)
{
    bool waited = t->waits_for_prices;
    t->waits_for_prices = false;
    return waited;
}

enum flow_rc budget_reserve(struct turn *t)
{
    int64_t amount;
    if (!rows_of(t, &t->budget)) return FLOW_NEXT;
    const struct model *unpriced = estimate(t, STR_NONE, &amount);
    if (unpriced && prices_wait(t)) return FLOW_WAIT;
    if (unpriced) {
        turn_say(
            t,
            "There is a budget here, but the model %s has no price, so I may not ask it. An "
            "admin can give it one: `input_price` and `output_price`, or `parley prices import`.",
            unpriced->name);
        return FLOW_STOP;
    }
    if (uuid_is_nil(&t->reservation)) t->reservation = uuid_v7();
    /* Asked anew: what the first question cost is spent. */
    amount += bill_sum(t);
    store_budget_reserve(t->chat->store, &t->flow.op, t->reservation, &t->budget, amount,
                         (int64_t)lease_ms(turn_route(t)), &t->rows);
    return FLOW_WAIT;
}

enum flow_rc budget_more(struct turn *t, struct op *op, struct str so_far,
                         const struct model *beside, const struct route_log *log,
                         struct pg_rows *rows)
{
    int64_t amount;
    if (uuid_is_nil(&t->reservation)) return FLOW_NEXT;
    /* Without a price the first question would not have been asked. */
    if (estimate(t, so_far, &amount)) return FLOW_NEXT;
    if (beside) amount += estimate_of(t, beside, so_far);
    amount += bill_sum(t) + bill_log(t, &t->asked);
    if (log) amount += bill_log(t, log);
    pg_rows_done(rows);
    store_budget_reserve(t->chat->store, op, t->reservation, &t->budget, amount,
                         (int64_t)lease_ms(turn_route(t)), rows);
    return FLOW_WAIT;
}

static const char *whose(struct str scope)
{
    return str_starts(scope, STR("person:"))    ? "Your budget"
           : str_starts(scope, STR("channel:")) ? "The budget of this channel"
           : str_starts(scope, STR("key:"))     ? "The budget of this API key"
                                                : "The budget of all channels together";
}

static const char *when(struct str period)
{
    return str_eq(period, STR("day")) ? "today" : "this month";
}

enum flow_rc budget_afford(struct turn *t, const struct model_ask *ask)
{
    const struct route *route = turn_route(t);
    int64_t amount = 0, estimated = tokens_of_ask(ask);
    if (!rows_of(t, &t->budget)) return FLOW_NEXT;
    for (size_t i = 0; i < route->n; i++) {
        const struct model *m = route->v[i];
        int64_t cost = cost_at_most(t, m, factor_tokens(t->models, m, estimated), ask->max_tokens);
        if (cost == COST_UNKNOWN) return FLOW_STOP;
        if (cost > amount) amount = cost;
    }
    if (uuid_is_nil(&t->reservation)) t->reservation = uuid_v7();
    store_budget_reserve(t->chat->store, &t->flow.op, t->reservation, &t->budget,
                         amount + bill_sum(t), (int64_t)lease_ms(turn_route(t)), &t->rows);
    return FLOW_WAIT;
}

bool budget_has_room(struct turn *t)
{
    if (t->rows.n == 0) return t->set_aside = true;
    if (!t->set_aside) t->reservation = (struct uuid){ .b = { 0 } };
    return false;
}

bool budget_reserved(struct turn *t)
{
    if (budget_has_room(t)) return true;
    struct price_text spent, limit;
    char wait[CLOCK_SPAN_MAX];
    struct str scope = pg_rows_str(&t->rows, 0, 0), period = pg_rows_str(&t->rows, 0, 1);
    clock_span((uint64_t)pg_rows_i64(&t->rows, 0, 4), wait);
    turn_say(t,
             "%s for %s is used up: %s of %s are spent, and this answer might cost more than is "
             "left. It begins anew in %s; `/budget` shows all.",
             whose(scope), when(period), price_tell(pg_rows_i64(&t->rows, 0, 2), &spent),
             price_tell(pg_rows_i64(&t->rows, 0, 3), &limit), wait);
    metric_add(&m_refused, 1);
    log_warn("budget", "no room, not asked", "turn=%s scope=%.*s period=%.*s spent=%s limit=%s",
             t->id, STR_ARG(scope), STR_ARG(period), spent.text, limit.text);
    return false;
}

void budget_asked(struct turn *t, const struct model *m)
{
    if (uuid_is_nil(&t->reservation) || t->asked_noted) return;
    t->asked_noted = true;
    keeper_asked(t->chat, t->reservation, t->request.request, m->type ? m->type->name : "",
                 m->name);
}

/* ---- after it ---- */

enum flow_rc budget_settle(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (uuid_is_nil(&t->reservation)) return FLOW_NEXT;
    store_budget_settle(t->chat->store, &t->flow.op, t->reservation, &t->budget, bill_sum(t),
                        &t->rows);
    return FLOW_WAIT;
}

void budget_settle_late(struct turn *t)
{
    if (!uuid_is_nil(&t->reservation))
        keeper_settle(t->chat, t->reservation, &t->budget, bill_sum(t));
}

static const char *how_far(const struct pg_rows *rows, int i)
{
    return pg_rows_i64(rows, i, 4) >= 100 ? "used up" : "nearly used up";
}

static void tell(struct turn *t, int i)
{
    struct price_text spent, limit;
    if (!t->reply.n || !switch_on(t, FLAG_BUDGET_ALERTS)) return;
    t->reply = arena_printf(&t->arena, "%.*s\n\n_(%s for %s is %s: %s of %s)_", STR_ARG(t->reply),
                            whose(pg_rows_str(&t->rows, i, 0)), when(pg_rows_str(&t->rows, i, 1)),
                            how_far(&t->rows, i), price_tell(pg_rows_i64(&t->rows, i, 2), &spent),
                            price_tell(pg_rows_i64(&t->rows, i, 3), &limit));
}

void budget_alerts(const struct pg_rows *rows)
{
    struct price_text spent, limit;
    for (int i = 0; i < rows->n; i++) {
        metric_add(&m_alerts[pg_rows_i64(rows, i, 4) >= 100], 1);
        log_warn("budget", how_far(rows, i), "scope=%.*s period=%.*s spent=%s limit=%s",
                 STR_ARG(pg_rows_str(rows, i, 0)), STR_ARG(pg_rows_str(rows, i, 1)),
                 price_tell(pg_rows_i64(rows, i, 2), &spent),
                 price_tell(pg_rows_i64(rows, i, 3), &limit));
    }
}

enum flow_rc budget_settled(struct flow *f)
{
    struct turn *t = turn_of(f);
    budget_alerts(&t->rows);
    for (int i = 0; i < t->rows.n; i++) tell(t, i);
    t->reservation = (struct uuid){ .b = { 0 } };
    t->asked_noted = false;
    return FLOW_NEXT;
}

enum flow_rc budget_not_settled(struct flow *f)
{
    log_warn("budget", "not settled", "turn=%s why=%s", turn_of(f)->id,
             log_quote(str_of(f->op.err.msg)));
    return FLOW_NEXT;
}

/* ---- /budget ---- */

enum flow_rc budget_view(struct turn *t)
{
    if (!rows_of(t, &t->budget)) {
        turn_say(t, "There is no budget here. What answers cost is recorded all the same; `/why` "
                    "tells it of the last one.");
        return FLOW_NEXT;
    }
    store_budget_view(t->chat->store, &t->flow.op, &t->budget, &t->rows);
    return FLOW_WAIT;
}

void budget_tell(struct turn *t)
{
    if (t->rows.n == 0) return;
    _cleanup_(buf_done) struct buf b = BUF_INIT(16384);
    for (int i = 0; i < t->rows.n; i++) {
        struct price_text spent, limit, reserved;
        char left[CLOCK_SPAN_MAX];
        clock_span((uint64_t)pg_rows_i64(&t->rows, i, 5), left);
        buf_addf(&b, "- %s for %s: %s of %s", whose(pg_rows_str(&t->rows, i, 0)),
                 when(pg_rows_str(&t->rows, i, 1)), price_tell(pg_rows_i64(&t->rows, i, 2), &spent),
                 price_tell(pg_rows_i64(&t->rows, i, 4), &limit));
        if (pg_rows_i64(&t->rows, i, 3) > 0)
            buf_addf(&b, ", and %s set aside for answers being written",
                     price_tell(pg_rows_i64(&t->rows, i, 3), &reserved));
        buf_addf(&b, "; anew in %s\n", left);
    }
    turn_say(t, "%s", b.p);
}
