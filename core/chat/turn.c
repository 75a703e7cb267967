/*
 * turn: how one message is answered, from top to bottom.
 *
 * The steps are in the table at the end. Some are told in files of their own; what decides how the
 * turn goes on is here. A failure that a step can survive (Redis away, a refusing model) becomes a
 * different reply; one that it cannot (PostgreSQL away, lease lost) ends the flow with the request
 * as it is in the database, and the lane, or another process, claims it again.
 */
#include "core/chat/turn.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/chat/bill.h"
#include "core/chat/budget.h"
#include "core/chat/command.h"
#include "core/chat/compact.h"
#include "core/chat/keeper.h"
#include "core/chat/permit.h"
#include "core/chat/person.h"
#include "core/chat/picture.h"
#include "core/chat/prompt.h"
#include "core/chat/question.h"
#include "core/chat/receipt.h"
#include "core/chat/reuse.h"
#include "core/chat/trial.h"
#include "core/store/conversation.h"

#define TYPING_FIRST_MS 300
#define TYPING_MS       4000 /* Telegram shows it for 5 s, Discord for 10 s */
#define ATTEMPTS_MAX    5
#define KEEP_RETRY_MS   500
#define SAY_MAX         (64 << 20) /* /again repeats what a model wrote */

#define COMPACTED                                                                                 \
    "\n\n_(the older part of our conversation is a summary for me now; `/undo compaction` takes " \
    "that back)_"

enum {
    STEP_CLAIM,
    STEP_GATHER,
    STEP_COMMAND,
    STEP_ACCESS,
    STEP_LIMITS,
    STEP_CONTEXT,
    STEP_HISTORY,
    STEP_PICTURES,
    STEP_AFFORD,
    STEP_COMPACT,
    STEP_COMPACTED,
    STEP_REUSE,
    STEP_RESERVE,
    STEP_ASK,
    STEP_SETTLE,
    STEP_CHARGE,
    STEP_KEEP,
    STEP_DELIVER,
    STEP_KEEP_WAIT,
    STEP_N,
};

#define READ(result)                                                              \
    METRIC(METRIC_COUNTER, "parley_context_reads_total", "result=\"" result "\"", \
           "Context window reads from Redis")
static struct metric m_context_hits = READ("hit"), m_context_misses = READ("miss");

/* ---- what the steps have in common ---- */

static enum flow_rc go(struct turn *t, uint16_t step)
{
    flow_goto(&t->flow, step);
    return FLOW_NEXT;
}

void turn_say(struct turn *t, const char *fmt, ...)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(SAY_MAX);
    va_list args;
    va_start(args, fmt);
    buf_vaddf(&b, fmt, args);
    va_end(args);
    t->reply = arena_dup(&t->arena, buf_str(&b));
    t->notice = true;
}

/* End the request with a reason that the person is told. */
static enum flow_rc refuse(struct turn *t, const char *outcome, const char *reason)
{
    t->outcome = outcome;
    t->reason = reason;
    return go(t, STEP_SETTLE);
}

struct outbound turn_outbound(const struct turn *t)
{
    const struct claimed *rq = &t->request;
    return (struct outbound){
        .where = { rq->workspace, rq->place, rq->thread },
        .reply_to = rq->platform_message,
        .person = rq->from,
        .request = rq->request,
        .conversation = rq->conversation,
        .n_parts = 1,
        .notice = t->notice || t->news.says,
        .asks = t->permit.asks,
        .no_votes = !switch_on(t, FLAG_VOTES),
        .ticket = rq->ticket,
    };
}

const struct route *turn_route(const struct turn *t)
{
    const struct str choices[] = {
        t->news.model,     t->request.model_override, t->request.preferred_model,
        t->switched.model, str_of(t->channel->model), str_of(t->chat->conf.model)
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const struct route *r = choices[i].n ? routes_find(t->models, choices[i]) : NULL;
        if (r) return r;
    }
    return routes_default(t->models);
}

/* The person wanted it to end. The answer to /stop says so, but what stands there has to be
 * finished: a preview, or a command's "is thinking". */
static enum flow_rc stopped(struct turn *t)
{
    if (t->editor.message.n || t->request.ticket.n) turn_say(t, "_(stopped)_");
    return refuse(t, "cancelled", "stopped by the person");
}

/* ---- claim: lease the request, fenced by its attempt number ---- */

/* A webhook's: it is said, or asked, without what is for people only. */
static enum flow_rc bring_news(struct turn *t)
{
    if (!t->news.says) return go(t, STEP_CONTEXT);
    t->reply = t->news.text;
    return go(t, STEP_SETTLE);
}

/* What ends a request before anything is merged into it: what waits behind is judged by itself. */
static enum flow_rc judge(struct turn *t)
{
    const struct claimed *rq = &t->request;
    if (rq->attempt > ATTEMPTS_MAX) {
        turn_say(t, "I tried %d times to answer this. Please ask again in other words.",
                 ATTEMPTS_MAX);
        return refuse(t, "refused", "too many attempts");
    }
    if (rq->stop_wanted && !t->news.says) return stopped(t);
    if (t->news.name.n) return bring_news(t);
    if (rq->age_ms > t->chat->conf.expire_ms) {
        char age[CLOCK_SPAN_MAX];
        clock_span((uint64_t)rq->age_ms, age);
        turn_say(t, "This message waited for %s, so I did not answer it. Please send it again.",
                 age);
        return refuse(t, "expired", "older than expire");
    }
    return FLOW_NEXT;
}

/* The question is this one message, until others are merged into it. */
static void question_reset(struct turn *t)
{
    t->pictures.n = 0;
    prompt_pictures(&t->arena, t->request.pictures, &t->pictures);
    char id[UUID_TEXT_MAX];
    uuid_text(&t->request.message, id);
    t->query = t->request.query;
    t->answers = arena_printf(&t->arena, "{%s}", id);
}

static enum flow_rc claim_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct claimed *rq = &t->request;
    pg_rows_own(&t->claim_rows);
    if (!store_claimed(&t->claim_rows, rq)) {
        t->done = true; /* answered meanwhile, or another process is at it */
        return FLOW_STOP;
    }
    uuid_text(&rq->request, t->id);
    t->channel = chat_channel(t->chat, rq->channel);
    if (!t->channel) {
        err_set(&f->err, ERR_CONF, "channel %.*s is not configured in this process",
                STR_ARG(rq->channel));
        return FLOW_STOP;
    }
    news_read(&t->arena, rq->news, &t->news);
    trial_begin(t);
    switches_init(t);
    question_reset(t);
    t->leased_ms = t->leasing_ms;
    editor_init(&t->editor, t);
    if (!rq->sending) return judge(t);
    t->outcome = arena_cstr(&t->arena, rq->outcome);
    t->delivery = arena_new(&t->arena, struct delivery);
    delivery_resume(t->delivery, t);
    return go(t, STEP_DELIVER);
}

static enum flow_rc claim_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (t->claim_rows.n > 0) return claim_done(f); /* it was claimed as it came in */
    t->leasing_ms = clock_ms();
    store_claim(t->chat->store, &f->op, t->conversation, t->urgent, str_of(t->chat->owner),
                t->chat->conf.lease_ms, &t->claim_rows);
    return FLOW_WAIT;
}

/* Two processes reached for one conversation: the index let the other one have it. */
static enum flow_rc claim_failed(struct flow *f)
{
    struct turn *t = turn_of(f);
    t->done = f->op.err.kind == ERR_REFUSED;
    return FLOW_STOP;
}

/* ---- gather: in merge and interrupt mode, everything that waits is one question ---- */

static enum flow_rc gather_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    bool merge = channel_queue(t->chat, t->channel) != QUEUE_WAIT || (t->lane && t->lane->merge);
    if (!merge || command_find(t->request.query)) return FLOW_NEXT;
    if (t->lane) t->lane->merge = false;
    store_merge(t->chat->store, &f->op, &t->request, &t->rows);
    return FLOW_WAIT;
}

static enum flow_rc gather_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    question_reset(t); /* the rows have what an interrupted try had merged, too */
    if (t->rows.n == 0) return FLOW_NEXT;
    _cleanup_(buf_done) struct buf text = BUF_INIT((size_t)t->chat->conf.message_max * 8);
    _cleanup_(buf_done) struct buf ids = BUF_INIT(1 << 20);
    buf_add(&text, t->query);
    buf_add(&ids, str_head(t->answers, t->answers.n - 1));
    for (int i = 0; i < t->rows.n; i++) {
        buf_addf(&text, "\n\n%.*s", STR_ARG(pg_rows_str(&t->rows, i, 0)));
        buf_addf(&ids, ",%.*s", STR_ARG(pg_rows_str(&t->rows, i, 1)));
        prompt_pictures(&t->arena, pg_rows_str(&t->rows, i, 2), &t->pictures);
    }
    buf_add_char(&ids, '}');
    t->query = arena_dup(&t->arena, buf_str(&text));
    t->answers = arena_dup(&t->arena, buf_str(&ids));
    return FLOW_NEXT;
}

/* ---- command: what needs no model ---- */

static enum flow_rc command_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    t->command = command_find(t->query);
    if (!t->command) return FLOW_NEXT;
    if (!command_is_kept(t->command) && !switch_on(t, FLAG_SLASH_COMMANDS)) {
        turn_say(t, "Most commands are switched off here; `/help` lists those that are not.");
        return go(t, STEP_SETTLE);
    }
    enum flow_rc rc = t->command->run(t, command_args(t->query));
    return rc == FLOW_NEXT ? go(t, STEP_SETTLE) : rc;
}

static enum flow_rc command_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (t->command->done) t->command->done(t);
    return go(t, t->asks ? STEP_ACCESS : STEP_SETTLE);
}

void turn_ask_anew(struct turn *t, struct str query, struct str answers, struct str pictures)
{
    t->asks = t->anew = true;
    t->query = arena_dup(&t->arena, query);
    t->answers = arena_dup(&t->arena, answers);
    t->pictures.n = 0;
    prompt_pictures(&t->arena, pictures, &t->pictures);
}

/* ---- access: are questions answered at all, and where not everybody may ask a model, whom has an
 * admin let in? ---- */

static bool is_too_long(const struct turn *t, int64_t max)
{
    /* What the person allowed a tool is a question that was asked in time. */
    return max > 0 && t->request.message_count >= max && !t->permit.saved.n;
}

static enum flow_rc access_run(struct flow *f)
{
    struct turn *t = turn_of(f);
    int64_t max = switch_number_or(t, FLAG_MAX_CONVERSATION_LENGTH, 0);
    if (!switch_on(t, FLAG_ANSWERS)) {
        turn_say(t, "I do not answer questions at the moment. Please ask again later.");
        return refuse(t, "refused", "answers are switched off");
    }
    if (is_too_long(t, max)) {
        turn_say(
            t,
            "This conversation has %d messages, and more than %lld are not looked at here. Please "
            "begin another with `/new`, and ask again there.",
            t->request.message_count, (long long)max);
        return refuse(t, "refused", "the conversation is too long");
    }
    enum flow_rc rc = access_start(t);
    return rc == FLOW_STOP ? refuse(t, "refused", "blocked") : rc;
}

static enum flow_rc access_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    access_refused(t);
    return refuse(t, "refused", "not approved");
}

/* ---- limits: a person's messages a minute; Redis away is the cache's business, it counts by
 * itself then ---- */

enum {
    LIMIT_PERSON,
    LIMIT_ADDRESS,
    LIMITS_N,
    LIMIT_TOLD /* how often the person hears of the address's: others may write from there, too */
};

/* False: there is none. */
static bool limit_of(struct turn *t, struct rate_ask *ask)
{
    const struct chat_conf *conf = &t->chat->conf;
    int64_t per_user =
        t->channel->rate_per_minute ? t->channel->rate_per_minute : conf->rate_per_minute;
    char user[UUID_TEXT_MAX];
    uuid_text(&t->request.user, user);
    *ask = (struct rate_ask){ .scope = RATE_USER, .endpoint = "chat", .window_ms = 60000 };
    if (t->limit == LIMIT_ADDRESS) {
        ask->scope = RATE_IP;
        ask->id = t->request.ip;
        ask->max = t->request.ip.n ? conf->rate_ip_per_minute : 0;
        return ask->max > 0;
    }
    ask->id = arena_dup(&t->arena, str_of(user));
    if (t->limit == LIMIT_TOLD) ask->endpoint = "told";
    ask->max = t->limit == LIMIT_TOLD ? 1 : switch_number_or(t, FLAG_RATE_PER_MINUTE, per_user);
    return ask->max > 0;
}

static enum flow_rc limits_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct rate_ask ask;
    if (t->request.attempt > 1) return FLOW_NEXT; /* it was counted by the first */
    for (; t->limit != LIMITS_N; t->limit++) {
        if (!limit_of(t, &ask)) continue;
        cache_rate_take(t->chat->rate, &f->op, &ask, &t->rate);
        return FLOW_WAIT;
    }
    return FLOW_NEXT;
}

static void say_limited(struct turn *t)
{
    bool own = t->limit == LIMIT_PERSON;
    char wait[CLOCK_SPAN_MAX];
    clock_span(t->limited_ms, wait);
    turn_say(t,
             "%s than I may answer. You can write again in %s; what you send before that will not "
             "be answered.",
             own ? "You are writing faster" : "More comes from your address", wait);
}

static enum flow_rc limits_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    bool of_address = t->limit == LIMIT_ADDRESS, told = t->limit == LIMIT_TOLD;
    if (t->rate.allowed && !told) {
        t->limit++;
        return go(t, STEP_LIMITS);
    }
    if (!told) t->limited_ms = t->rate.retry_after_ms;
    if (of_address) {
        t->limit = LIMIT_TOLD;
        return go(t, STEP_LIMITS);
    }
    /* Told once; a notice for each of a thousand messages would be a flood of ours. But a command's
     * "is thinking" must not stand there for ever. */
    bool first = told ? t->rate.allowed : t->rate.first_refusal;
    if (first || t->request.ticket.n) say_limited(t);
    return refuse(t, "refused", "rate limit");
}

/* ---- context: the latest exchanges, from Redis if its copy is current, else from PostgreSQL ----
 */

static enum flow_rc context_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    /* Each stands alone, or this is the first. */
    if (t->chat->conf.history_messages == 0 || t->request.message_count == 0)
        return go(t, STEP_PICTURES);
    cache_context_get(t->chat->redis, &f->op, &t->request.conversation,
                      (size_t)t->chat->conf.history_messages, &t->arena, &t->context);
    return FLOW_WAIT;
}

static enum flow_rc context_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    bool current = t->context.newest == t->request.message_count;
    metric_add(current ? &m_context_hits : &m_context_misses, 1);
    return current ? go(t, STEP_PICTURES) : FLOW_NEXT;
}

static enum flow_rc context_failed(struct flow *f)
{
    (void)f;
    metric_add(&m_context_misses, 1);
    return FLOW_NEXT;
}

static enum flow_rc history_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    store_history(t->chat->store, &f->op, t->request.conversation,
                  t->chat->conf.history_messages / 2, &t->rows);
    return FLOW_WAIT;
}

static enum flow_rc history_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    prompt_history(&t->arena, &t->rows, t->request.message_count, &t->context);
    cache_context_fill(t->chat->redis, &t->request.conversation, &t->context);
    return FLOW_NEXT;
}

/* ---- pictures, as the model gets them: picture.c ---- */

/* ---- compact, what the conversation has outgrown, in short: compact.c ---- */

/* ---- reuse: an answer that is kept needs no model and no money ---- */

static enum flow_rc look_up(struct flow *f)
{
    toolbox_look(turn_of(f)); /* what may be called is a part of the question */
    return reuse_start(f);
}

/* Also when PostgreSQL was away or slow: the model is asked then. */
static enum flow_rc looked_up(struct flow *f)
{
    return reuse_found(turn_of(f)) ? go(turn_of(f), STEP_SETTLE) : FLOW_NEXT;
}

/* ---- reserve: the money that the answer may cost ---- */

static enum flow_rc reserve_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    enum flow_rc rc = budget_reserve(t);
    return rc == FLOW_STOP ? refuse(t, "refused", "no price") : rc;
}

static enum flow_rc reserve_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (budget_waited(t)) return go(t, STEP_RESERVE);
    return budget_reserved(t) ? FLOW_NEXT : refuse(t, "refused", "budget");
}

/* ---- ask: the model writes; the person watches ---- */

static void on_typing(struct timer *timer)
{
    struct turn *t = container_of(timer, struct turn, typing);
    struct outbound out = turn_outbound(t);
    if (switch_on(t, FLAG_TYPING)) t->channel->type->typing(t->channel, &out.where);
    timer_set(t->chat->loop, timer, TYPING_MS);
}

static void on_piece(void *ctx, struct str piece)
{
    editor_grew(&((struct turn *)ctx)->editor, piece);
}

/* The model is busy with others: the person sees how far they are, until the answer begins. */
static void on_place(void *ctx, size_t place, uint64_t wait_ms)
{
    struct turn *t = ctx;
    char wait[CLOCK_SPAN_MAX], note[256];
    clock_span(wait_ms, wait);
    snprintf(note, sizeof(note), "_(many are asking: you are number %zu, in about %s)_", place,
             wait);
    editor_note(&t->editor, str_of(note));
}

static void on_restart(void *ctx)
{
    editor_restart(&((struct turn *)ctx)->editor);
}

static const struct model_ask *question_for(void *ctx, const struct model *m, struct str so_far)
{
    return question_make(ctx, m, so_far);
}

static void on_ask(void *ctx, const struct model *m)
{
    budget_asked(ctx, m);
}

static void on_took(void *ctx, const char *step, uint64_t ms)
{
    receipt_took(ctx, step, ms);
}

struct route_asker turn_asker(struct turn *t)
{
    char user[UUID_TEXT_MAX];
    uuid_text(&t->request.user, user);
    return (struct route_asker){ .on_ask = on_ask,
                                 .on_took = on_took,
                                 .ctx = t,
                                 .channel = str_of(t->channel->name),
                                 .person = arena_dup(&t->arena, str_of(user)) };
}

static bool make_shorter(void *ctx)
{
    struct turn *t = ctx;
    if (t->shorter || t->history_seen == 0) return false;
    t->shorter = true;
    return true;
}

static bool reserve_more(void *ctx, struct op *op, struct str so_far, const struct model *beside)
{
    struct turn *t = ctx;
    return budget_more(t, op, so_far, beside, NULL, &t->no_room) == FLOW_WAIT;
}

static bool reserved_more(void *ctx)
{
    return ((struct turn *)ctx)->no_room.n == 0;
}

static enum flow_rc ask_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (t->stop == TURN_STOPPED) return stopped(t);
    t->asked_ms = clock_ms();
    t->model = turn_route(t)->v[0]; /* of whom a failure before the first question is told */
    struct route_asker asker = turn_asker(t);
    asker.ask = question_for;
    asker.on_count = question_counted;
    asker.shorten = make_shorter;
    asker.on_text = on_piece;
    asker.on_restart = on_restart;
    asker.on_place = on_place;
    asker.reserve = reserve_more;
    asker.reserved = reserved_more;
    asker.keeps_half = !switch_on(t, FLAG_MIDSTREAM_FAILOVER);
    asker.waits = !switch_on(t, FLAG_HEDGED_REQUESTS);
    if (t->channel->type->typing) timer_set(t->chat->loop, &t->typing, TYPING_FIRST_MS);
    toolbox_ask(t, &f->op, &asker);
    return FLOW_WAIT;
}

/* Interrupted: the question is asked anew, together with what interrupted it. */
static enum flow_rc ask_anew(struct turn *t)
{
    t->stop = TURN_GOES_ON;
    model_answer_done(&t->answer);
    t->answer = (struct model_answer){ .tries = 0 };
    route_log_done(&t->asked);
    editor_restart(&t->editor);
    return go(t, STEP_GATHER);
}

/* A tool may be called only if the person says so: this turn ends with the question. */
static enum flow_rc ask_person(struct turn *t)
{
    struct str text = str_trim(buf_str(&t->answer.text));
    turn_say(t, "%.*s%s%.*s", STR_ARG(text), text.n ? "\n\n" : "", STR_ARG(t->toolbox.question));
    t->permit.asks = true;
    return go(t, STEP_SETTLE);
}

/* Why the text ends where it does, if that is not its end. */
static const char *answer_mark(const struct turn *t)
{
    if (t->stop == TURN_STOPPED) return "_(stopped)_";
    if (t->toolbox.mark) return t->toolbox.mark;
    if (t->asked.no_money)
        return "_(the model failed here, and a budget has no room for another one; `/budget` tells "
               "which one)_";
    if (t->answer.finish == MODEL_CUT) return "_(the connection to the model broke here)_";
    return t->answer.finish == MODEL_LENGTH ? "_(cut: the model's length limit)_" : "";
}

static enum flow_rc ask_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    timer_clear(t->chat->loop, &t->typing);
    bill_add(t, &t->asked);
    if (t->stop == TURN_INTERRUPTED) return ask_anew(t);
    if (t->stop == TURN_STOPPED && t->answer.text.n == 0) return stopped(t);
    if (t->toolbox.question.n) return ask_person(t);
    if (str_trim(buf_str(&t->answer.text)).n == 0 && !t->toolbox.mark) {
        turn_say(t, "The model %s gave an empty answer. Please ask again.", t->model->name);
        return refuse(t, "refused", "empty answer");
    }
    const char *mark = answer_mark(t);
    t->reply =
        arena_printf(&t->arena, "%.*s%s%s%s", STR_ARG(buf_str(&t->answer.text)),
                     *mark && t->answer.text.n ? "\n\n" : "", mark, t->compacting ? COMPACTED : "");
    t->outcome = t->stop == TURN_STOPPED ? "cancelled" : "answered";
    return FLOW_NEXT;
}

static enum flow_rc ask_failed(struct flow *f)
{
    struct turn *t = turn_of(f);
    const struct err *why = &f->op.err;
    timer_clear(t->chat->loop, &t->typing);
    log_warn("turn", "model failed, telling the person",
             "turn=%s model=%s kind=%s pieces=%d text=%s", t->id, t->model->name,
             err_rule(why->kind)->name, t->answer.text.n > 0, log_quote(str_of(why->msg)));
    if (t->answer.text.n > 0) {
        t->answer.finish = MODEL_CUT;
        return ask_done(f);
    }
    bill_add(t, &t->asked);
    if (t->asked.no_money) {
        turn_say(t,
                 "The model %s failed, and a budget has no room for another one; `/budget` "
                 "tells which one.",
                 t->model->name);
    } else if (why->kind == ERR_LIMIT && why->retry_after_ms > 0) {
        char wait[CLOCK_SPAN_MAX];
        clock_span(why->retry_after_ms, wait);
        turn_say(t, "The model %s is over its limit. Please try again in %s.", t->model->name,
                 wait);
    } else {
        turn_say(t,
                 "I could not get an answer from the model %s. %s You can also choose another "
                 "with /model.",
                 t->model->name, err_rule(why->kind)->user_text);
    }
    return refuse(t, "refused", arena_cstr(&t->arena, str_of(why->msg)));
}

/* ---- settle: a preview that is on its way must come back, so that its message can become the
 * answer ---- */

static enum flow_rc settle_start(struct flow *f)
{
    return editor_settle(&turn_of(f)->editor, &f->op) ? FLOW_WAIT : FLOW_NEXT;
}

static enum flow_rc settle_failed(struct flow *f)
{
    (void)f; /* the preview may stay behind; the answer is sent as a message of its own */
    return FLOW_NEXT;
}

/* ---- charge, what it cost in the place of what was reserved: budget.c ---- */

/* ---- keep: reply, usage and deliveries in one commit, before the final text is sent ---- */

/* Once: a second try keeps the same ids. */
static void reply_prepare(struct turn *t)
{
    t->prepared = true;
    t->delivery = arena_new(&t->arena, struct delivery);
    t->delivery->message = uuid_v7();
    t->parts = t->reply.n > 0 ? delivery_cut(t->delivery, t) : STR("[]");
}

static enum flow_rc keep_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (!t->prepared) reply_prepare(t);
    const struct model_usage *usage = &t->answer.usage;
    bool counted = usage->prompt_tokens > 0 || usage->completion_tokens > 0 || t->reuse.made_at.n;
    const struct reply_row row = {
        .request = t->request.request,
        .reply = t->delivery->message,
        .conversation = t->request.conversation,
        .attempt = t->request.attempt,
        .query = t->query,
        .answers = t->answers,
        .content = t->reply,
        .notice = t->notice,
        .outcome = str_of(t->outcome),
        .reason = str_of(t->reason),
        .model = str_of(t->model && !t->notice ? t->model->name : ""),
        .prompt_tokens = counted ? usage->prompt_tokens : -1,
        .completion_tokens = counted ? usage->completion_tokens : -1,
        .latency_ms = (int64_t)(clock_ms() - t->began_ms),
        .costs = bill_json(t),
        .receipt = receipt_make(t),
        .exposures = trial_exposures(t),
        .lease_ms = t->chat->conf.lease_ms,
        .parts = t->parts,
        .n_parts = t->delivery->n_parts,
    };
    t->leasing_ms = clock_ms();
    store_keep(t->chat->store, &f->op, &row, &t->rows);
    return FLOW_WAIT;
}

static void context_grew(struct turn *t)
{
    if (t->chat->conf.history_messages == 0) return;
    const struct context_entry entries[] = {
        { t->message_count - 1, CONTEXT_USER, t->query },
        { t->message_count, CONTEXT_ASSISTANT, t->reply },
    };
    cache_context_push(t->chat->redis, &t->request.conversation, entries, 2, t->message_count == 2,
                       (size_t)t->chat->conf.history_messages);
}

static enum flow_rc keep_done(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (t->rows.n == 0) {
        /* A try whose outcome got lost may be committing in this very moment: that is seen next. */
        if (!t->keep_missed) {
            t->keep_missed = true;
            return go(t, STEP_KEEP_WAIT);
        }
        err_set(&f->err, ERR_CANCELLED, "the lease was lost");
        return FLOW_STOP;
    }
    t->leased_ms = t->leasing_ms;
    t->message_count = (int)pg_rows_i64(&t->rows, 0, 1);
    if (!t->notice && t->reply.n > 0) context_grew(t);
    reuse_keep(t);
    budget_settle_late(t);
    if (t->reply.n == 0) {
        t->done = t->more = true; /* what waits behind it is for the next claim to find out */
        return FLOW_STOP;
    }
    return FLOW_NEXT;
}

/* PostgreSQL away: the answer waits here. What was kept after all is not kept twice. */
static enum flow_rc keep_failed(struct flow *f)
{
    struct turn *t = turn_of(f);
    if (store_refused(&f->op.err)) return FLOW_STOP;
    log_warn("turn", "reply not kept yet, trying again", "turn=%s text=%s", t->id,
             log_quote(str_of(f->op.err.msg)));
    return go(t, STEP_KEEP_WAIT);
}

static enum flow_rc keep_wait_start(struct flow *f)
{
    op_sleep(&f->op, KEEP_RETRY_MS);
    return FLOW_WAIT;
}

static enum flow_rc keep_wait_done(struct flow *f)
{
    return go(turn_of(f), STEP_KEEP);
}

/* ---- deliver: a child flow, delivery.c ---- */

static enum flow_rc deliver_start(struct flow *f)
{
    flow_call(f, &turn_of(f)->delivery->flow, &delivery_flow);
    return FLOW_WAIT;
}

static enum flow_rc deliver_done(struct flow *f)
{
    turn_of(f)->done = true;
    return FLOW_STOP;
}

/* ---- the end, on every path ---- */

static void turn_end(struct flow *f)
{
    struct turn *t = turn_of(f);
    bool claimed = t->request.attempt > 0;
    if (claimed && t->channel) turn_log(t);
    if (claimed && !t->done) keeper_requeue(t->chat, t->request.request, t->request.attempt);
    if (t->lane) lane_turn_ended(t->lane, t->done, t->more);
    if (!uuid_is_nil(&t->next) && !t->chat->draining) lane_notify(t->chat, t->next, QUEUE_WAIT);
    timer_clear(t->chat->loop, &t->typing);
    editor_done(&t->editor);
    permit_end(t);
    model_answer_done(&t->answer);
    model_answer_done(&t->summary);
    route_log_done(&t->asked);
    route_log_done(&t->summary_asked);
    pg_rows_done(&t->no_room);
    pg_rows_done(&t->rows);
    pg_rows_done(&t->claim_rows);
    models_close(t->models);
    arena_done(&t->arena);
    free(t);
}

static const struct flow_step turn_steps[] = {
    [STEP_CLAIM] = { "claim", claim_start, claim_done, claim_failed },
    [STEP_GATHER] = { "gather", gather_start, gather_done, NULL },
    [STEP_COMMAND] = { "command", command_start, command_done, NULL },
    [STEP_ACCESS] = { "access", access_run, access_done, NULL },
    [STEP_LIMITS] = { "limits", limits_start, limits_done, NULL },
    [STEP_CONTEXT] = { "context", context_start, context_done, context_failed },
    [STEP_HISTORY] = { "history", history_start, history_done, NULL },
    [STEP_PICTURES] = { "pictures", pictures_start, pictures_loaded, NULL },
    [STEP_AFFORD] = { "afford", compact_afford, compact_afforded, compact_not_afforded },
    [STEP_COMPACT] = { "compact", compact_start, compact_written, compact_failed },
    [STEP_COMPACTED] = { "compacted", compact_keep, NULL, compact_not_kept },
    [STEP_REUSE] = { "reuse", look_up, looked_up, looked_up },
    [STEP_RESERVE] = { "reserve", reserve_start, reserve_done, NULL },
    [STEP_ASK] = { "ask", ask_start, ask_done, ask_failed },
    [STEP_SETTLE] = { "settle", settle_start, NULL, settle_failed },
    [STEP_CHARGE] = { "charge", budget_settle, budget_settled, budget_not_settled },
    [STEP_KEEP] = { "keep", keep_start, keep_done, keep_failed },
    [STEP_DELIVER] = { "deliver", deliver_start, deliver_done, NULL },
    [STEP_KEEP_WAIT] = { "keep_wait", keep_wait_start, keep_wait_done, NULL },
};
static void step_left(struct flow *f, const char *step, uint64_t ms)
{
    if (f->at != STEP_ASK) receipt_took(turn_of(f), step, ms);
}

/* No budget: each wait has a deadline, and a delivery may have to wait for hours. */
const struct flow_kind turn_flow = { "turn", turn_steps, STEP_N, 0, turn_end, step_left };

/* ---- public ---- */

void turn_start(struct chat *chat, struct lane *lane, struct uuid conversation, struct uuid urgent,
                struct pg_rows *taken, uint64_t since)
{
    struct turn *t = mem_new(struct turn);
    t->chat = chat;
    t->models = models_hold(chat->models_now);
    t->lane = lane;
    t->conversation = conversation;
    t->urgent = urgent;
    if (taken) t->claim_rows = *taken;
    if (taken) *taken = (struct pg_rows){ .n = 0 };
    t->began_ms = clock_ms();
    t->renewed_ms = t->leasing_ms = taken ? since : t->began_ms;
    t->outcome = "answered";
    t->reason = "";
    t->typing.fire = on_typing;
    arena_init(&t->arena);
    t->configured = arena_dup(&t->arena, chat->configured);
    if (lane) lane->turn = t;
    flow_start(&t->flow, &turn_flow, chat->loop, &chat->turns);
}

/* The op of "ask" ends early: cancelled without a sound, then finished by us, so that the step goes
 * on as usual. */
static bool cut_answer(struct turn *t, enum turn_stop stop)
{
    if (t->flow.at != STEP_ASK || t->stop != TURN_GOES_ON || !op_busy(&t->flow.op)) return false;
    t->stop = stop;
    op_cancel(&t->flow.op);
    op_sleep(&t->flow.op, 0);
    return true;
}

bool turn_stop(struct turn *t)
{
    bool soon = t->request.attempt > 0 && t->flow.at < STEP_ASK && t->stop == TURN_GOES_ON &&
                (t->news.name.n ? !t->news.says : !command_find(t->query));
    if (soon) t->stop = TURN_STOPPED;
    return soon || cut_answer(t, TURN_STOPPED);
}

void turn_interrupt(struct turn *t)
{
    if (!t->news.name.n) cut_answer(t, TURN_INTERRUPTED);
}

bool turn_holds(const struct turn *t)
{
    return t->leased_ms && clock_ms() - t->leased_ms < (uint64_t)t->chat->conf.lease_ms;
}

void turn_lost(struct turn *t)
{
    t->done = true;
    flow_stop(&t->flow, ERR_CANCELLED, "the lease was lost");
}
