/*
 * in: the steps of one webhook.
 *
 * enter    only with an API key: is it one, may it
 * limit    and how often
 * load     the hook; then the signature is checked, whether there is such a hook or not
 * read     the body as JSON; then the template makes a message of it
 * accept   the same way as a person's message
 */
#include "core/hook/in.h"
#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/rand.h"
#include "core/cache/rate.h"
#include "core/chat/news.h"
#include "core/hook/message.h"
#include "core/hook/signature.h"
#include "core/loop/work_json.h"
#include "core/net/http_form.h"
#include "core/net/sign.h"
#include "core/store/hook.h"
#include <stdio.h>

#define BUDGET_MS    60000
#define POSTS_MAX    256
#define EVENT_MAX    100 /* bytes of an event's name */
#define AGENT_MAX    200
#define ID_MAX       200 /* bytes of a delivery's id; of a longer one its hash is kept */
#define SECRET_MAX   400
#define ANSWER_MAX   1000
#define MINUTE_MS    60000
#define REFUSED_TEXT "there is no such hook, or this is not signed with its secret"

enum { STEP_ENTER, STEP_LIMIT, STEP_LOAD, STEP_READ, STEP_ACCEPT, STEP_N };

/* How the sender shows who it is. */
enum form { FORM_NONE, FORM_GITHUB, FORM_STANDARD, FORM_KEY };
static const char *const kinds[] = { "", "github", "standard", "key" };

struct hook_post {
    struct flow flow;
    struct hook_door *door;
    struct http_in *in; /* NULL: nobody waits any more */
    struct arena arena;
    enum form form;
    struct str name, event, id; /* id: of the delivery; "" = none was given */
    struct str timestamp, signature, key_hash, key_prefix, peer, agent;
    struct uuid key; /* the API key's id; nil: none */
    bool is_form;
    struct buf body;
    struct pg_rows rows;
    struct hook_row hook; /* strings live in `rows` */
    struct rate_ask rate_ask;
    struct rate_answer rate;
    struct json *payload;
    struct channel *channel;
    struct str text; /* of the message */
    struct accepted accepted;
    int status; /* 0: no answer yet */
    uint32_t retry_after_s;
    struct buf answer;
};

#define COUNTED(outcome)                                                    \
    METRIC(METRIC_COUNTER, "parley_hooks_total", "outcome=\"" outcome "\"", \
           "Webhooks that came in, by outcome")
static struct metric m_taken = COUNTED("taken"), m_duplicate = COUNTED("duplicate"),
                     m_dropped = COUNTED("dropped"), m_refused = COUNTED("refused"),
                     m_broken = COUNTED("broken"), m_failed = COUNTED("failed");

static struct hook_post *of_flow(struct flow *f)
{
    return container_of(f, struct hook_post, flow);
}

/* ---- answers ---- */

/* {MEMBER: TEXT}; ends the flow. */
static enum flow_rc answer(struct hook_post *p, struct metric *counter, int status,
                           const char *member, struct str text)
{
    struct json_out o = JSON_OUT(&p->answer);
    p->status = status;
    buf_clear(&p->answer);
    json_open(&o, '{');
    json_field_str(&o, member, str_head(text, utf8_prefix(text, ERR_MSG_MAX, TEXT_BYTES)));
    json_close(&o, '}');
    metric_add(counter, 1);
    return FLOW_STOP;
}

static enum flow_rc refuse(struct hook_post *p, int status, const char *text)
{
    return answer(p, &m_refused, status, "error", str_of(text));
}

static enum flow_rc not_now(struct hook_post *p, uint32_t retry_after_ms)
{
    p->retry_after_s = retry_after_ms / 1000 + 1;
    return answer(p, &m_failed, 503, "error", STR("not now, try again"));
}

static enum flow_rc failed(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    log_warn("hooks", "webhook not taken, the sender is told to try again",
             "hook=%s kind=%s why=%s", log_quote(p->name), err_rule(f->op.err.kind)->name,
             log_quote(str_of(f->op.err.msg)));
    return not_now(p, f->op.err.retry_after_ms);
}

/* ---- enter, limit: an API key ---- */

static enum flow_rc enter_start(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    if (p->form != FORM_KEY) {
        flow_goto(f, STEP_LOAD);
        return FLOW_NEXT;
    }
    const struct hook_key key = { p->key_hash, p->key_prefix, STR(HOOK_KEY_SCOPE), p->peer,
                                  p->agent };
    store_hook_key(p->door->chat->store, &f->op, &key, &p->rows);
    return FLOW_WAIT;
}

static enum flow_rc enter_done(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    struct str verdict = pg_rows_str(&p->rows, 0, 0);
    int64_t per_minute = pg_rows_i64(&p->rows, 0, 1);
    p->retry_after_s = (uint32_t)pg_rows_i64(&p->rows, 0, 2);
    p->key = pg_rows_uuid(&p->rows, 0, 3);
    if (str_eq(verdict, STR("locked"))) return refuse(p, 429, "too many wrong keys");
    if (str_eq(verdict, STR("scope")))
        return refuse(p, 403, "this key has not got the scope " HOOK_KEY_SCOPE);
    if (!str_eq(verdict, STR("ok"))) return refuse(p, 401, "this key opens nothing");
    p->rate_ask = (struct rate_ask){ .scope = RATE_KEY,
                                     .id = p->key_prefix,
                                     .endpoint = "hooks",
                                     .max = per_minute ? per_minute : p->door->rate_per_minute,
                                     .window_ms = MINUTE_MS };
    return FLOW_NEXT;
}

static enum flow_rc limit_start(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    if (!p->rate_ask.max) return FLOW_NEXT;
    cache_rate_take(p->door->chat->rate, &f->op, &p->rate_ask, &p->rate);
    return FLOW_WAIT;
}

static enum flow_rc limit_done(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    if (p->rate.allowed) return FLOW_NEXT;
    p->retry_after_s = p->rate.retry_after_ms / 1000 + 1;
    return refuse(p, 429, "this key posts too often");
}

/* ---- load: and is it signed by the hook's secret ---- */

static enum flow_rc load_start(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    pg_rows_done(&p->rows);
    store_hook(p->door->chat->store, &f->op, p->name, &p->rows);
    return FLOW_WAIT;
}

static enum signature_verdict verify_by(const struct hook_post *p, struct str sealed)
{
    _cleanup_(buf_done) struct buf secret = BUF_INIT(SECRET_MAX);
    _cleanup_(buf_done) struct buf key = BUF_INIT(SECRET_MAX);
    struct str body = buf_str(&p->body);
    if (!sign_open(p->door->seal, sealed, &secret)) {
        log_error("hooks", "the secret cannot be opened: was admin.secret changed?", "hook=%s",
                  log_quote(p->name));
        return SIGNATURE_WRONG;
    }
    if (p->form == FORM_GITHUB)
        return signature_verify_github(buf_str(&secret), p->signature, body);
    if (!signature_secret_key(buf_str(&secret), &key)) return SIGNATURE_WRONG;
    return signature_verify(buf_str(&key), p->id, p->timestamp, p->signature, body,
                            clock_wall_ms() / 1000);
}

/*
 * The same work whether there is such a hook or not, and whatever it has: by the time of the answer
 * nobody should learn which there are.
 */
static enum signature_verdict verify(const struct hook_post *p, bool known)
{
    struct str nobody = buf_str(&p->door->nobody);
    bool old = known && p->hook.old_secret.n;
    enum signature_verdict by_new = verify_by(p, known ? p->hook.secret : nobody);
    enum signature_verdict by_old = verify_by(p, old ? p->hook.old_secret : nobody);
    if (!known) return SIGNATURE_MISSING;
    return old && by_old != SIGNATURE_WRONG && by_new == SIGNATURE_WRONG ? by_old : by_new;
}

static enum flow_rc refuse_signature(struct hook_post *p, enum signature_verdict verdict)
{
    log_warn("hooks", "webhook refused", "hook=%s peer=%.*s why=%s", log_quote(p->name),
             STR_ARG(p->peer), log_quote(str_of(signature_verdict_words[verdict])));
    if (verdict == SIGNATURE_STALE) return refuse(p, 401, signature_verdict_words[verdict]);
    return refuse(p, 404, REFUSED_TEXT);
}

static enum flow_rc load_done(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    bool known =
        store_hook_read(&p->rows, &p->hook) && str_eq(p->hook.kind, str_of(kinds[p->form]));
    if (p->form == FORM_NONE) return refuse_signature(p, SIGNATURE_MISSING);
    if (p->form == FORM_KEY && !known) return refuse(p, 404, REFUSED_TEXT);
    if (p->form != FORM_KEY) {
        enum signature_verdict verdict = verify(p, known);
        if (verdict != SIGNATURE_GOOD) return refuse_signature(p, verdict);
    }
    if (!p->hook.is_active) return refuse(p, 403, "this hook is switched off");
    return FLOW_NEXT;
}

/* ---- read: JSON; or a form with JSON in it, which GitHub sends unless told otherwise ---- */

static bool payload_of_form(struct hook_post *p)
{
    _cleanup_(buf_done) struct buf key = BUF_INIT(EVENT_MAX);
    _cleanup_(buf_done) struct buf value = BUF_INIT(HOOK_BODY_MAX);
    struct str form = arena_dup(&p->arena, buf_str(&p->body));
    while (form.n) {
        if (!http_form_next(&form, &key, &value) || !str_eq(buf_str(&key), STR("payload")))
            continue;
        buf_clear(&p->body);
        return buf_add(&p->body, buf_str(&value));
    }
    return false;
}

static enum flow_rc bad_json(struct hook_post *p, const struct err *why)
{
    return answer(p, &m_broken, 400, "error", str_of(why->msg));
}

/* The message, and where to. */
static enum flow_rc make_message(struct hook_post *p)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT((size_t)p->door->chat->conf.message_max);
    struct err why;
    switch (hook_message(&p->hook, p->event, p->payload, &text, &why)) {
    case HOOK_DROPPED: return answer(p, &m_dropped, 200, "dropped", str_of(why.msg));
    case HOOK_BROKEN:
        log_warn("hooks", "the template does not fit what came", "hook=%s event=%s why=%s",
                 log_quote(p->name), log_quote(p->event), log_quote(str_of(why.msg)));
        return answer(p, &m_broken, 422, "error", str_of(why.msg));
    case HOOK_MESSAGE: break;
    }
    p->text = arena_dup(&p->arena, buf_str(&text));
    p->channel = chat_channel(p->door->chat, p->hook.channel);
    if (p->channel) return FLOW_NEXT;
    log_error("hooks", "webhook not taken: its channel is not configured here",
              "hook=%s channel=%s", log_quote(p->name), log_quote(p->hook.channel));
    return not_now(p, 0);
}

static enum flow_rc read_start(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    struct err why;
    if (p->is_form && !payload_of_form(p))
        return answer(p, &m_broken, 400, "error", STR("the form has no field payload"));
    if (p->body.n >= WORK_JSON_BYTES) {
        work_json_parse(&f->op, &p->body, &p->payload);
        return FLOW_WAIT;
    }
    if (json_parse(buf_str(&p->body), &p->payload, &why)) return bad_json(p, &why);
    return make_message(p);
}

static enum flow_rc read_done(struct flow *f)
{
    return make_message(of_flow(f));
}

static enum flow_rc read_failed(struct flow *f)
{
    return f->op.err.kind == ERR_PROTO ? bad_json(of_flow(f), &f->op.err) : failed(f);
}

/* ---- accept ---- */

/* Unique: of the sender's id, or of what it sent when there is none. */
static struct str event_id(struct hook_post *p)
{
    struct str what = p->id.n ? p->id : buf_str(&p->body);
    uint8_t hash[32];
    char hex[65];
    if (p->id.n && p->id.n <= ID_MAX)
        return arena_printf(&p->arena, "hook:%.*s:%.*s", STR_ARG(p->name), STR_ARG(p->id));
    sign_sha256(what, hash);
    sign_hex(hash, sizeof hash, hex);
    return arena_printf(&p->arena, "hook:%.*s:%s:%s", STR_ARG(p->name), p->id.n ? "long" : "body",
                        hex);
}

static enum flow_rc accept_start(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    const struct hook_row *hook = &p->hook;
    const struct news news = { .user = hook->user,
                               .key = p->key,
                               .name = hook->name,
                               .says = str_eq(hook->mode, STR("say")),
                               .daily = !p->id.n,
                               .text = p->text,
                               .model = hook->model };
    const struct inbound in = {
        .kind = INBOUND_NEWS,
        .event_id = event_id(p),
        .where = { hook->workspace, hook->place, hook->thread },
        .text = news.says ? news_question(&p->arena, hook->name) : p->text,
        .ip = p->peer,
        .news = &news,
    };
    chat_accept(p->door->chat, &f->op, p->channel, &in, &p->accepted);
    return FLOW_WAIT;
}

static enum flow_rc accept_done(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    const struct accepted *a = &p->accepted;
    char id[UUID_TEXT_MAX];
    uuid_text(&a->request, id);
    answer(p, a->duplicate ? &m_duplicate : &m_taken, a->duplicate ? 200 : 202, "request",
           str_of(id));
    if (a->duplicate) {
        buf_cut(&p->answer, p->answer.n - 1);
        buf_add_cstr(&p->answer, ",\"duplicate\":true}");
    }
    return FLOW_STOP;
}

static enum flow_rc accept_failed(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    if (f->op.err.kind != ERR_PROTO) return failed(f);
    log_error("hooks", "webhook cannot be stored", "hook=%s why=%s", log_quote(p->name),
              log_quote(str_of(f->op.err.msg)));
    return answer(p, &m_broken, 422, "error", STR("this cannot be stored"));
}

/* ---- the end ---- */

static void send_answer(struct hook_post *p)
{
    char after[16];
    struct http_header headers[3] = { { STR("Content-Type"), STR("application/json") },
                                      { STR("Cache-Control"), STR("no-store") } };
    size_t n = 2;
    if (p->retry_after_s) {
        snprintf(after, sizeof after, "%u", p->retry_after_s);
        headers[n++] = (struct http_header){ STR("Retry-After"), str_of(after) };
    }
    http_answer_with(p->in, p->status, headers, n, buf_str(&p->answer));
}

static void post_end(struct flow *f)
{
    struct hook_post *p = of_flow(f);
    if (!p->status) not_now(p, 0);
    if (p->in) send_answer(p);
    json_free(p->payload);
    pg_rows_done(&p->rows);
    buf_done(&p->body);
    buf_done(&p->answer);
    arena_done(&p->arena);
    free(p);
}

static const struct flow_step steps[] = {
    [STEP_ENTER] = { "enter", enter_start, enter_done, failed },
    [STEP_LIMIT] = { "limit", limit_start, limit_done, NULL },
    [STEP_LOAD] = { "load", load_start, load_done, failed },
    [STEP_READ] = { "read", read_start, read_done, read_failed },
    [STEP_ACCEPT] = { "accept", accept_start, accept_done, accept_failed },
};
const struct flow_kind hook_in_flow = { "hook.in", steps, STEP_N, BUDGET_MS, post_end };

/* What was begun goes on: the sender will repeat it, and it will be known. */
static void on_gone(struct http_in *in)
{
    ((struct hook_post *)in->user)->in = NULL;
}

/* ---- public ---- */

void hook_seal_key(struct str secret, uint8_t ret[32])
{
    sign_hmac_sha256(secret, STR("parley: secrets of webhooks"), ret);
}

void hook_door_open(struct hook_door *door, struct chat *chat, struct str secret)
{
    char text[65];
    door->chat = chat;
    hook_seal_key(secret, door->seal);
    list_init(&door->posts);
    buf_init(&door->nobody, SECRET_MAX);
    rand_hex(text, 32);
    sign_seal(door->seal, str_of(text), &door->nobody);
}

void hook_door_close(struct hook_door *door)
{
    list_each (it, next, &door->posts)
        flow_stop(container_of(it, struct flow, link), ERR_CANCELLED, "shutting down");
    buf_done(&door->nobody);
}

bool hook_name_is_good(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || (c != '-' && c != '_'))) return false;
    }
    return name.n > 0 && name.n <= HOOK_NAME_MAX;
}

static struct str header(struct hook_post *p, const char *name)
{
    return arena_dup(&p->arena, utf8_cleaned(&p->arena, http_in_header(p->in, name)));
}

static void read_headers(struct hook_post *p)
{
    struct str hub = header(p, "X-Hub-Signature-256"), standard = header(p, "webhook-signature");
    p->is_form =
        str_starts_nocase(header(p, "Content-Type"), STR("application/x-www-form-urlencoded"));
    if (hub.n) {
        p->form = FORM_GITHUB;
        p->signature = hub;
        p->id = header(p, "X-GitHub-Delivery");
        p->event = str_head(header(p, "X-GitHub-Event"), EVENT_MAX);
    } else if (standard.n) {
        p->form = FORM_STANDARD;
        p->signature = standard;
        p->id = header(p, "webhook-id");
        p->timestamp = header(p, "webhook-timestamp");
    } else if (p->key_hash.n) {
        p->form = FORM_KEY;
        p->id = header(p, "Idempotency-Key");
    }
}

void hook_in_begin(struct hook_door *door, struct http_in *in, struct str name, struct str key_hash,
                   struct str key_prefix)
{
    if (list_length(&door->posts) >= POSTS_MAX) {
        http_answer_error(in, 503, "too many at once, try again");
        return;
    }
    struct hook_post *p = mem_new(struct hook_post);
    p->door = door;
    p->in = in;
    in->user = p;
    in->on_gone = on_gone;
    arena_init(&p->arena);
    buf_init(&p->body, HOOK_BODY_MAX);
    buf_init(&p->answer, ANSWER_MAX);
    buf_add(&p->body, in->body);
    p->name = arena_dup(&p->arena, name);
    p->key_hash = arena_dup(&p->arena, key_hash);
    p->key_prefix = arena_dup(&p->arena, key_prefix);
    p->peer = arena_dup(&p->arena, in->peer);
    struct str agent = header(p, "User-Agent");
    p->agent = str_head(agent, utf8_prefix(agent, AGENT_MAX, TEXT_BYTES));
    read_headers(p);
    flow_start(&p->flow, &hook_in_flow, door->chat->loop, &door->posts);
}
