/*
 * The world of the turn's flow tests, its second half: Redis, the model, the platform with the
 * screen that a person looks at, and the steps that scenarios are made of. One program includes
 * this once.
 */
#pragma once
#include "core/net/http_client.h"
#include "tests/flow/turn_store.h"

/* ---- Redis ---- */

struct cache_rate *cache_rate_new(struct redis *r)
{
    (void)r;
    return NULL;
}
void cache_rate_free(struct cache_rate *rate)
{
    (void)rate;
}
static void do_allow(struct fake *f)
{
    struct rate_answer *ret = f->ret;
    ret->allowed = w.n_refusals == 0;
    ret->first_refusal = !ret->allowed && w.n_refused++ == 0;
    ret->retry_after_ms = 5000;
    w.n_refusals -= !ret->allowed;
}
void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret)
{
    (void)rate, (void)ask;
    ret->allowed = true; /* the real one never fails: it counts by itself when Redis is away */
    fake(op, do_allow)->ret = ret;
}
void cache_context_get(struct redis *r, struct op *op, const struct uuid *conversation,
                       size_t n_max, struct arena *arena, struct context_read *ret)
{
    (void)r, (void)conversation, (void)n_max;
    ret->n = (size_t)w.n_before;
    ret->entries = arena_new_array(arena, struct context_entry, ret->n + 1);
    for (size_t i = 0; i < ret->n; i++)
        ret->entries[i] =
            (struct context_entry){ (int64_t)i + 1, i % 2 ? CONTEXT_ASSISTANT : CONTEXT_USER,
                                    STR("It was said before.") };
    ret->newest = said_before();
    fake(op, NULL);
}
void cache_context_push(struct redis *r, const struct uuid *conversation,
                        const struct context_entry *entries, size_t n, bool create, size_t keep_max)
{
    (void)r, (void)conversation, (void)entries, (void)n, (void)create, (void)keep_max;
}
void cache_context_fill(struct redis *r, const struct uuid *conversation,
                        const struct context_read *context)
{
    (void)r, (void)conversation, (void)context;
}
void cache_session_put(struct redis *r, struct str channel, struct str user,
                       const struct cache_session *session)
{
    (void)r, (void)channel, (void)user, (void)session;
}
void cache_active_touch(struct redis *r, struct str channel, struct str user)
{
    (void)r, (void)channel, (void)user;
}
void redis_eval(struct redis *r, struct op *op, struct redis_script *script, const struct str *keys,
                size_t n_keys, const struct str *args, size_t n_args, struct redis_reply *ret)
{
    (void)r, (void)op, (void)script, (void)keys, (void)n_keys, (void)args, (void)n_args, (void)ret;
    no_such(__func__);
}
void redis_subscribe(struct redis *r, struct redis_sub *sub)
{
    (void)r, (void)sub;
}
void redis_unsubscribe(struct redis *r, struct redis_sub *sub)
{
    (void)r, (void)sub;
}
void redis_publish(struct redis *r, const char *channel, struct str payload)
{
    (void)r, (void)channel, (void)payload;
}

/* ---- the model ---- */

static struct model model = {
    .name = "fake", .context_tokens = 8000, .max_tokens = 1000, .total_ms = 120000, .tools = true
};

/* The second one is asked by a route only. */
static struct model second_model = {
    .name = "second", .context_tokens = 8000, .max_tokens = 1000, .total_ms = 120000, .tools = true
};
static struct route route = {
    .name = "fake", .help = "", .v = { &model, &second_model }, .n = 1, .total_ms = 300000
};

const struct route *routes_default(const struct models *m)
{
    (void)m;
    return &route;
}
const struct route *routes_find(const struct models *m, struct str name)
{
    (void)m, (void)name;
    return NULL;
}
size_t routes_count(const struct models *m)
{
    return m ? 1 : 0;
}
const struct route *routes_at(const struct models *m, size_t i)
{
    return m && i ? NULL : &route;
}
static int n_held; /* by turns, and by those who ask for them */
struct models *models_hold(struct models *m)
{
    n_held++;
    return m;
}
void models_close(struct models *m)
{
    (void)m;
    n_held--;
}
/* A token costs a billionth of a dollar, read or written. */
const struct price *models_price(const struct models *models, const struct model *m)
{
    static const struct price_rates rates = { 1000000, 1000000, PRICE_SAME, PRICE_SAME,
                                              PRICE_SAME };
    static struct price price;
    (void)models;
    price = (struct price){ .known = m != &second_model || !w.second_unpriced,
                            .base = rates,
                            .version = "test" };
    return &price;
}
bool models_prices_known(const struct models *models)
{
    (void)models;
    return true;
}
int64_t tokens_of_ask(const struct model_ask *ask)
{
    return (int64_t)ask->n_messages * 10;
}
static void do_count(struct fake *f)
{
    *(int64_t *)f->ret = w.counted;
}
void model_count(struct models *models, const struct model *m, struct op *op,
                 const struct model_ask *ask, int64_t *ret)
{
    (void)models, (void)m, (void)ask;
    w.n_counts++;
    fake(op, do_count)->ret = ret;
}
uint32_t health_rest_ms(struct models *models, const struct model *m)
{
    (void)models;
    return m == &second_model && w.second_rests ? 15000 : 0;
}
bool health_probe(struct models *m, const struct model *which, struct op *op, uint32_t *ret_ms)
{
    (void)m, (void)which, (void)op, (void)ret_ms;
    return false; /* no other process is there */
}

bool health_is_well(struct models *models, const struct model *m)
{
    return health_rest_ms(models, m) == 0;
}
void health_worked(struct models *models, const struct model *m, uint32_t ms)
{
    (void)models, (void)m, (void)ms;
}
void health_failed(struct models *models, const struct model *m, const struct err *why)
{
    (void)models, (void)m, (void)why;
}
void factor_learn(struct models *models, const struct model *m, const struct model_ask *ask,
                  const struct model_usage *usage)
{
    (void)models, (void)m, (void)ask, (void)usage;
}
int64_t factor_permille(const struct models *models, const struct model *m)
{
    (void)models, (void)m;
    return 1000;
}
int64_t factor_tokens(const struct models *models, const struct model *m, int64_t estimated)
{
    (void)models, (void)m;
    return estimated;
}
size_t models_count(const struct models *m)
{
    return m ? 1 : 0;
}
const struct model *models_at(const struct models *m, size_t i)
{
    return m && i ? NULL : &model;
}
int64_t tokens_estimate(struct str text)
{
    return (int64_t)text.n / 4 + 1;
}
void model_answer_done(struct model_answer *a)
{
    buf_done(&a->text);
    arena_done(&a->made);
}

/* Writes "The answer." in the end, after as many pieces as the scenario wants. */
struct writing {
    struct timer timer;
    struct op *op, end;
    struct model_answer *ret;
    void (*on_text)(void *ctx, struct str piece);
    void *ctx;
    int n_left;
    bool tools; /* it may call some */
};

static void writing_free(struct writing *m)
{
    timer_clear(&w.loop, &m->timer);
    op_cancel(&m->end);
    free(m);
}
static void writing_drop(struct op *op)
{
    writing_free(op->impl);
}
static const struct op_kind writing_kind = { "fake.model", writing_drop };

static void write_piece(struct writing *m, struct str piece)
{
    buf_add(&m->ret->text, piece);
    m->on_text(m->ctx, piece);
}
static void on_written(struct op *end)
{
    struct writing *m = container_of(end, struct writing, end);
    if (end->err.kind)
        op_fail(m->op, &end->err);
    else
        op_finish(m->op);
    writing_free(m);
}
static void write_call(struct writing *m)
{
    int n = w.n_together ? w.n_together : 1;
    w.n_rounds--;
    if (!m->ret->calls)
        m->ret->calls = arena_new_array(&m->ret->made, struct model_call, (size_t)n);
    for (int i = 1; i <= n; i++)
        m->ret->calls[m->ret->n_calls++] = (struct model_call){
            arena_printf(&m->ret->made, "c%d", i), str_of(w.called ? w.called : "srv__do"),
            n == 1 ? STR("{}") : arena_printf(&m->ret->made, "{\"n\":%d}", i)
        };
    m->ret->kept = arena_dup(&m->ret->made, STR("[1]"));
    m->ret->finish = MODEL_TOOL;
    m->ret->usage = (struct model_usage){ .prompt_tokens = 100, .known = true };
}
static void write_half(struct writing *m)
{
    w.n_pauses--;
    write_piece(m, STR("Half, "));
    m->ret->kept = arena_dup(&m->ret->made, STR("[2]"));
    m->ret->finish = MODEL_PAUSE;
    m->ret->usage = (struct model_usage){ .prompt_tokens = 100, .known = true };
}
static void do_write(struct fake *f)
{
    struct writing *m = f->ret;
    if (w.n_model_errors == 0 && w.n_pauses)
        write_half(m);
    else if (w.n_model_errors == 0 && w.n_rounds && m->tools)
        write_call(m);
    else if (w.n_model_errors == 0)
        write_piece(f->ret, STR("The answer."));
    else
        err_set(&f->err, w.model_error, "the model has its reasons");
    if (f->err.kind && m->ret->text.n)
        m->ret->usage = (struct model_usage){ .prompt_tokens = 20, .completion_tokens = 30 };
    w.n_model_errors -= w.n_model_errors > 0;
}
static void on_piece_due(struct timer *t)
{
    struct writing *m = container_of(t, struct writing, timer);
    if (m->n_left-- == 0) {
        fake(&m->end, do_write)->ret = m;
        return;
    }
    write_piece(m, STR("Well, "));
    timer_set(&w.loop, t, (uint64_t)w.piece_ms);
}
void model_ask(struct models *models, const struct model *m, struct op *op,
               const struct model_ask *ask, void (*on_text)(void *ctx, struct str piece), void *ctx,
               struct model_answer *ret)
{
    (void)models;
    cr_assert_geq(ask->n_messages, 2);
    w.last_model = m->name;
    put(w.asked, sizeof w.asked, ask->messages[ask->n_messages - 1].text);
    w.n_pictures_asked = ask->messages[ask->n_messages - 1].n_pictures;
    const struct model_picture *p = ask->messages[ask->n_messages - 1].pictures;
    if (w.n_pictures_asked)
        snprintf(w.picture_asked, sizeof w.picture_asked, "%.*s%.*s %.*s", STR_ARG(p->url),
                 STR_ARG(p->type), STR_ARG(p->data));
    w.n_messages_asked = ask->n_messages;
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *told = &ask->messages[i];
        if (told->role == MODEL_TOOL_RESULT) {
            size_t n = strlen(w.told);
            put(w.result, sizeof w.result, told->text);
            snprintf(w.told + n, sizeof w.told - n, "%.*s:%.*s ", STR_ARG(told->call_id),
                     STR_ARG(told->text));
        }
        if (told->n_calls || told->kept.n) put(w.kept_told, sizeof w.kept_told, told->kept);
    }
    int slow_ms = w.n_asked < 4 ? w.slow_ms[w.n_asked] : 0;
    w.n_asked++;
    struct writing *wr = mem_new(struct writing);
    *wr = (struct writing){ .op = op,
                            .ret = ret,
                            .on_text = on_text,
                            .ctx = ctx,
                            .n_left = w.n_pieces,
                            .tools = ask->n_tools };
    wr->timer.fire = on_piece_due;
    op_init(&wr->end, &w.loop, on_written);
    buf_init(&ret->text, 1 << 20);
    ret->finish = MODEL_STOP;
    op_begin(op, &writing_kind, wr, 120000);
    if (slow_ms)
        timer_set(&w.loop, &wr->timer, (uint64_t)slow_ms);
    else
        on_piece_due(&wr->timer);
}

/* ---- the tools: one, when the scenario opens the box ---- */

static const struct mcp_conf mcp_conf = { .rounds_max = 8,
                                          .approval_ms = 600000,
                                          .parallel_max = 4 };

void give_tools(void) /* not in every program */
{
    w.chat.tools = (struct tools *)&w; /* never looked into */
    w.chat.mcp = &mcp_conf;
}
size_t tools_servers(const struct tools *t)
{
    return t ? 1 : 0;
}
void tools_ready(struct tools *t, const char *channel, uint32_t wait_ms, struct op *op)
{
    (void)t, (void)channel, (void)wait_ms;
    op_sleep(op, 0); /* the real one never fails */
}
const struct model_tool *tools_list(const struct tools *t, const char *channel, struct arena *arena,
                                    size_t *ret_n)
{
    static const struct model_tool only = { { "srv__do", 7 }, { "It does.", 8 }, { "{}", 2 } };
    (void)t, (void)channel, (void)arena;
    *ret_n = 1;
    return &only;
}
bool tools_needs_approval(const struct tools *t, struct str name)
{
    (void)t, (void)name;
    return w.tool_guarded;
}
void tools_describe(const struct tools *t, const struct model_call *call, struct buf *to)
{
    (void)t;
    buf_addf(to, "do of srv, with %.*s", STR_ARG(call->arguments));
}
void tool_answer_done(struct tool_answer *a)
{
    buf_done(&a->text);
}
static void do_tool(struct fake *f)
{
    struct tool_answer *ret = f->ret;
    w.n_under_way--;
    buf_addf(&ret->text, "result %d", ++w.n_calls);
}
void tools_call(struct tools *t, struct op *op, const char *channel, const struct model_call *call,
                struct tool_answer *ret)
{
    (void)t, (void)channel;
    cr_assert(str_eq(call->name, STR("srv__do")));
    buf_init(&ret->text, 4096);
    struct fake *f = fake(op, do_tool);
    f->ret = ret;
    w.n_under_way++;
    if (w.n_most < w.n_under_way) w.n_most = w.n_under_way;
    if (w.n_together) timer_set(&w.loop, &f->timer, (uint64_t)(100 - 10 * w.n_under_way));
}

/* ---- the world's pictures: what each address ends with says what becomes of it ---- */

void http_reply_done(struct http_reply *r)
{
    buf_done(&r->body);
}
static void do_fetch(struct fake *f)
{
    struct http_reply *ret = f->ret;
    struct str url = str_of(f->text);
    ret->status = str_ends(url, STR("gone.png"))    ? 404
                  : str_ends(url, STR("moved.png")) ? 302
                                                    : 200;
    buf_init(&ret->body, 1024);
    buf_add_cstr(&ret->body, str_ends(url, STR("page.png")) ? "<html>" : "\x89PNG\r\n\x1a\n");
}
void http_request(struct http_client *c, struct op *op, const struct http_request *rq,
                  struct http_reply *ret)
{
    (void)c;
    struct str url = str_of(rq->url);
    struct fake *f = fake(op, do_fetch);
    f->ret = ret;
    put(f->text, sizeof f->text, url);
    w.n_fetched++;
    w.fetched_unguarded |= !rq->guard;
    if (str_ends(url, STR("big.png"))) err_set(&f->err, ERR_LIMIT, "10.0.0.1 sent too much");
    if (str_ends(url, STR("private.png"))) err_set(&f->err, ERR_REFUSED, "10.0.0.1 is refused");
    if (str_ends(url, STR("away.png"))) err_set(&f->err, ERR_IO, "10.0.0.1 refused");
    if (f->err.kind) f->effect = NULL;
    if (str_ends(url, STR("slow.png"))) timer_set(&w.loop, &f->timer, 60000);
}

/* ---- the platform ---- */

static void do_picture(struct fake *f)
{
    buf_init(f->ret, 1024);
    buf_add_cstr(f->ret, "GIF89a");
}
static void fake_picture(struct channel *ch, struct op *op, struct str ref, struct buf *ret)
{
    (void)ch;
    struct fake *f = fake(op, do_picture);
    f->ret = ret;
    if (str_eq(ref, STR("cat"))) return;
    err_set(&f->err, ERR_REFUSED, "no such file");
    f->effect = NULL;
}

static struct shown *shown_by_id(struct str id)
{
    for (int i = 0; i < w.n_screen; i++)
        if (str_eq(id, str_of(w.screen[i].id)) && !w.screen[i].deleted) return &w.screen[i];
    return NULL;
}

static void do_send(struct fake *f)
{
    struct shown *s = shown_by_id(f->out->edits);
    if (f->out->edits.n && !s) {
        err_set(&f->err, ERR_NOT_FOUND, "message to edit not found");
        return;
    }
    if (s) {
        w.n_edits++;
    } else {
        cr_assert_lt(w.n_screen, SCREEN_MAX);
        s = &w.screen[w.n_screen];
        snprintf(s->id, sizeof s->id, "m%d", ++w.n_screen);
    }
    put(s->text, sizeof s->text, f->out->text);
    s->preview = f->out->preview;
    strcpy(((struct sent *)f->ret)->message_id, s->id);
}
static void fake_send(struct channel *ch, struct op *op, const struct outbound *out,
                      struct sent *ret)
{
    cr_assert_leq(utf8_length(out->text, ch->type->text_unit), ch->type->text_max);
    struct fake *f = fake(op, do_send);
    f->out = out;
    f->ret = ret;
    w.n_sends++;
    if (out->preview || w.n_send_errors == 0) return;
    w.n_send_errors--;
    err_set(&f->err, w.send_error, "the platform has its reasons");
    if (!w.shown_all_the_same) f->effect = NULL;
}
static struct channel_type type = { .name = "fake",
                                    .size = sizeof(struct channel),
                                    .text_max = 4000,
                                    .send = fake_send,
                                    .picture = fake_picture };
static struct channel_host host;

/* How many messages on the screen begin with this. */
int n_shown(const char *text)
{
    int n = 0;
    for (int i = 0; i < w.n_screen; i++)
        n += !w.screen[i].deleted && str_starts(str_of(w.screen[i].text), str_of(text));
    return n;
}

int n_previews(void) /* not in every program */
{
    int n = 0;
    for (int i = 0; i < w.n_screen; i++) n += !w.screen[i].deleted && w.screen[i].preview;
    return n;
}

/* ---- scenarios ---- */

static void nobody_waits(struct op *op)
{
    (void)op;
}

static void world_open(enum trouble trouble, int at, uint32_t caps)
{
    memset(&w, 0, sizeof w);
    clock_virtual(1000000);
    loop_open(&w.loop);
    w.trouble = trouble;
    w.trouble_at = at;
    w.conversation = uuid_v7();
    w.piece_ms = 700;
    w.deadline_ms = 15000;
    type.caps = caps;
    type.text_max = 4000;
    type.text_unit = TEXT_POINTS;
    type.preview_ms = 1000;
    const struct chat_conf conf = { .model = "",
                                    .system_prompt = "Be brief.",
                                    .queue = QUEUE_WAIT,
                                    .merge_ms = 1500,
                                    .rate_per_minute = 60,
                                    .history_messages = 20,
                                    .history_tokens = 6000,
                                    .message_max = 65536,
                                    .picture_max = 4096,
                                    .pictures_max = 8,
                                    .turns_max = 10,
                                    .lease_ms = 30000,
                                    .expire_ms = 86400000,
                                    .preview_after_ms = 1000,
                                    .send_attempts = 8,
                                    .cache_ttl_ms = 3600000,
                                    .unknown_outcome = UNKNOWN_NOTICE };
    chat_open(&w.chat, &w.loop, &w.store, NULL, NULL, &conf, "test");
    w.channel = (struct channel){
        .type = &type, .name = "fake", .model = "", .queue = QUEUE_DEFAULT, .host = &host
    };
    chat_channel_add(&w.chat, &w.channel);
}

static void world_close(void)
{
    chat_close(&w.chat);
    loop_run_for(&w.loop, 120000); /* late replies come home as orphans */
    cr_assert_eq(w.n_live, 0);
    cr_assert_eq(n_held, 0, "models are held for ever, or given back twice");
    cr_assert(list_empty(&w.chat.turns));
    cr_assert(list_empty(&w.chat.intakes));
    loop_close(&w.loop);
    clock_real();
}

static void accept_begin(struct op *op, const char *event, const char *text)
{
    const struct inbound in = { .kind = INBOUND_MESSAGE,
                                .event_id = str_of(event),
                                .where = { .channel = STR("1") },
                                .direct = true,
                                .from = { .id = STR("p1") },
                                .text = str_of(text),
                                .album = str_of(w.album) };
    op_init(op, &w.loop, nobody_waits);
    chat_accept(&w.chat, op, &w.channel, &in, NULL);
}

/* One event, once: what became of it. */
static enum err_kind accept_once(const char *event, const char *text)
{
    struct op op;
    accept_begin(&op, event, text);
    while (op_busy(&op)) loop_run_for(&w.loop, 1);
    return op.err.kind;
}

/* A platform repeats an event until it is acknowledged, as they all do. */
static struct fake_request *say(const char *event, const char *text)
{
    for (int tries = 0; tries < 5; tries++) {
        if (accept_once(event, text)) continue;
        for (int i = 0; i < w.n_rq; i++)
            if (strcmp(w.rq[i].event, event) == 0) return &w.rq[i];
    }
    cr_assert_fail("never stored");
    return NULL;
}
