/*
 * out: one flow takes what is due, and one more for each delivery posts it and records how it went.
 *
 * A lease lasts longer than an attempt may, and an attempt that would outlast it is not begun: so
 * two processes never send the same at once. The record names the attempt; one that comes too late
 * changes nothing.
 */
#include "core/hook/out.h"

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/conf_value.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/rand.h"
#include "core/hook/signature.h"
#include "core/hook/target.h"
#include "core/net/sign.h"
#include "core/store/webhook.h"
#include <stdio.h>

#define REST_MS  500
#define PURGE_MS 60000
#define AT_ONCE_MAX \
    128 /* of all subscriptions, in this process: more than there can be failing ones */
#define AT_ONCE_EACH    4
#define RETRY_MAX       50
#define HINT_MAX_MS     86400000 /* a receiver may ask us to wait for a day */
#define REPLY_MAX       65536
#define RECORD_RETRY_MS 500
#define LEASE_SLACK_MS  1000
#define SECRET_MAX      128

static struct metric m_sent[] = {
    METRIC(METRIC_COUNTER, "parley_webhooks_total", "outcome=\"delivered\"",
           "Attempts to send webhooks by outcome"),
    METRIC(METRIC_COUNTER, "parley_webhooks_total", "outcome=\"retried\"",
           "Attempts to send webhooks by outcome"),
    METRIC(METRIC_COUNTER, "parley_webhooks_total", "outcome=\"dead\"",
           "Attempts to send webhooks by outcome"),
};
enum { DELIVERED, RETRIED, DEAD };

const struct conf_field hooks_out_conf_fields[] = {
    { .key = "hosts",
      .type = CONF_LIST,
      .offset = offsetof(struct hooks_out_conf, hosts),
      .help =
          "Hosts (or host:port) that may get webhooks although they are in a private network or have no TLS. "
          "All others must have public addresses and https://." },
    { .key = "retry",
      .type = CONF_LIST,
      .offset = offsetof(struct hooks_out_conf, retry),
      .def = "5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h",
      .help =
          "How long to wait after each attempt that failed; after the last one it is a dead letter." },
    { .key = "timeout",
      .type = CONF_DURATION,
      .offset = offsetof(struct hooks_out_conf, timeout_ms),
      .def = "15s",
      .min = 100,
      .max = 60000,
      .help = "How long a receiver may take to answer." },
    { .key = "patience",
      .type = CONF_DURATION,
      .offset = offsetof(struct hooks_out_conf, patience_ms),
      .def = "5d",
      .min = 1000,
      .max = INT64_C(2592000000),
      .help = "A subscription whose receiver only failed for so long is switched off." },
    CONF_END,
};

static bool parse_duration(const char *text, int64_t *ret, struct err *why)
{
    const struct conf_field field = { .type = CONF_DURATION, .max = 7 * HINT_MAX_MS };
    union conf_any v;
    if (conf_value_parse(&field, str_of(text), &v, why) || conf_value_check(&field, &v, why))
        return false;
    *ret = v.i;
    return true;
}

enum err_kind hooks_out_conf_check(const struct hooks_out_conf *conf, struct err *why)
{
    int64_t wait;
    if (conf->retry.n > RETRY_MAX)
        return err_set(why, ERR_CONF, "webhooks.retry: at most %d", RETRY_MAX);
    for (size_t i = 0; i < conf->retry.n; i++)
        if (!parse_duration(conf->retry.v[i], &wait, why)) return err_add(why, "webhooks.retry: ");
    return ERR_NONE;
}

void hooks_out_key(struct str secret, uint8_t ret[32])
{
    sign_hmac_sha256(secret, STR("parley: secrets of webhook subscriptions"), ret);
}

enum { STEP_REST, STEP_CLAIM, STEP_PURGE, STEP_N };

struct hooks_out {
    struct flow flow;
    struct store *store;
    struct http_client *http;
    const struct hooks_out_conf *conf;
    const char *owner;
    uint8_t key[32];
    struct list sendings; /* struct sending.flow.link */
    struct pg_rows rows;
    uint64_t claimed_ms, purged_ms;
    uint64_t rest_ms;
    bool started, draining;
};

/* ---- one delivery ---- */

enum { SEND, RECORD, RECORD_WAIT, SEND_N };

#define N_HEADERS 4

struct sending {
    struct flow flow;
    struct hooks_out *out;
    struct arena arena;
    struct webhook_claimed what; /* strings of the arena */
    uint64_t until_ms;           /* our lease */
    char id[UUID_TEXT_MAX], timestamp[24];
    struct buf signatures;
    struct http_header headers[N_HEADERS];
    struct http_request rq;
    struct http_reply reply;
    struct webhook_result result;
    struct pg_rows rows;
};

static struct sending *sending_of(struct flow *f)
{
    return container_of(f, struct sending, flow);
}

/* Somewhat later than asked for, so that what failed together does not come again together. */
static int64_t wait_before_next(const struct sending *s, int64_t hint_ms)
{
    int64_t wait = 0;
    parse_duration(s->out->conf->retry.v[s->what.tries - 1], &wait, NULL);
    wait += (int64_t)rand_below((uint64_t)wait / 10 + 1);
    return wait > hint_ms ? wait : hint_ms;
}

static void delivered(struct sending *s)
{
    s->result.outcome = STR("delivered");
    metric_add(&m_sent[DELIVERED], 1);
    log_debug("webhook", "delivered", "delivery=%s try=%d status=%d", s->id, (int)s->what.tries,
              s->reply.status);
}

static void give_up(struct sending *s, struct str outcome, const char *why)
{
    s->result.outcome = outcome;
    metric_add(&m_sent[DEAD], 1);
    log_warn("webhook", "not delivered, a dead letter", "delivery=%s try=%d why=%s", s->id,
             (int)s->what.tries, log_quote(str_of(why)));
}

static void failed(struct sending *s, int64_t hint_ms, const char *why)
{
    s->result.error = arena_dup(&s->arena, str_of(why));
    if (s->reply.status == 410) {
        give_up(s, STR("gone"), why);
    } else if (s->what.tries > (int64_t)s->out->conf->retry.n) {
        give_up(s, STR("dead"), why);
    } else {
        s->result.outcome = STR("pending");
        s->result.retry_ms = wait_before_next(s, hint_ms);
        metric_add(&m_sent[RETRIED], 1);
        log_info("webhook", "not delivered, trying again",
                 "delivery=%s try=%d retry_ms=%lld why=%s", s->id, (int)s->what.tries,
                 (long long)s->result.retry_ms, log_quote(str_of(why)));
    }
}

static bool sign_by(struct sending *s, struct str sealed, int64_t now_s)
{
    _cleanup_(buf_done) struct buf secret = BUF_INIT(SECRET_MAX), key = BUF_INIT(SIGNATURE_KEY_MAX);
    if (!sign_open(s->out->key, sealed, &secret)) return false;
    if (!signature_secret_key(buf_str(&secret), &key)) return false;
    if (s->signatures.n) buf_add_char(&s->signatures, ' ');
    signature_sign(buf_str(&key), str_of(s->id), now_s, s->what.body, &s->signatures);
    return true;
}

static bool sign_all(struct sending *s)
{
    int64_t now_s = clock_wall_ms() / 1000;
    snprintf(s->timestamp, sizeof(s->timestamp), "%lld", (long long)now_s);
    return sign_by(s, s->what.secret, now_s) &&
           (!s->what.old_secret.n || sign_by(s, s->what.old_secret, now_s));
}

static void request_make(struct sending *s)
{
    const struct http_header headers[N_HEADERS] = {
        { STR("content-type"), STR("application/json") },
        { STR("webhook-id"), str_of(s->id) },
        { STR("webhook-timestamp"), str_of(s->timestamp) },
        { STR("webhook-signature"), buf_str(&s->signatures) },
    };
    uint32_t ms = (uint32_t)s->out->conf->timeout_ms;
    memcpy(s->headers, headers, sizeof(headers));
    s->rq = (struct http_request){
        .method = "POST",
        .url = s->what.url.p,
        .headers = s->headers,
        .n_headers = N_HEADERS,
        .body = s->what.body,
        .connect_ms = ms,
        .first_byte_ms = ms,
        .idle_ms = ms,
        .total_ms = ms,
        .reply_max = REPLY_MAX,
        .guard = target_guard(s->what.url, &s->out->conf->hosts),
    };
}

static enum flow_rc send_start(struct flow *f)
{
    struct sending *s = sending_of(f);
    struct err why;
    if (clock_ms() + (uint64_t)s->out->conf->timeout_ms > s->until_ms) {
        err_set(&f->err, ERR_CANCELLED, "the lease has almost run out");
        return FLOW_STOP;
    }
    if (target_check(s->what.url, &s->out->conf->hosts, &why)) {
        failed(s, 0, why.msg);
        return FLOW_NEXT;
    }
    if (!sign_all(s)) {
        failed(s, 0, "its secret was sealed with another admin.secret: rotate it");
        return FLOW_NEXT;
    }
    request_make(s);
    http_request(s->out->http, &f->op, &s->rq, &s->reply);
    return FLOW_WAIT;
}

static enum flow_rc send_done(struct flow *f)
{
    struct sending *s = sending_of(f);
    int status = s->reply.status;
    char why[80];
    if (status >= 200 && status < 300) {
        delivered(s);
        return FLOW_NEXT;
    }
    bool elsewhere = status >= 300 && status < 400;
    snprintf(why, sizeof(why), "the receiver answered %d%s", status,
             elsewhere ? ", and redirects are not followed" : "");
    uint32_t hint_ms = http_retry_hint_ms(&s->reply);
    failed(s, hint_ms < HINT_MAX_MS ? hint_ms : HINT_MAX_MS, why);
    return FLOW_NEXT;
}

/* What counts is the status: a body that is too long, or never ends, is not looked at. */
static enum flow_rc send_failed(struct flow *f)
{
    struct sending *s = sending_of(f);
    if (s->reply.status) return send_done(f);
    if (f->op.err.kind == ERR_REFUSED)
        failed(s, 0, "the address is not a public one");
    else
        failed(s, 0, f->op.err.msg);
    return FLOW_NEXT;
}

static enum flow_rc record_start(struct flow *f)
{
    struct sending *s = sending_of(f);
    s->result.id = s->what.id;
    s->result.attempt = s->what.attempt;
    s->result.status = s->reply.status;
    s->result.patience_ms = s->out->conf->patience_ms;
    store_webhook_record(s->out->store, &f->op, &s->result, &s->rows);
    return FLOW_WAIT;
}

static enum flow_rc record_done(struct flow *f)
{
    struct sending *s = sending_of(f);
    if (!pg_rows_bool(&s->rows, 0, 0))
        log_info("webhook", "the attempt was another process's, or nobody's any more",
                 "delivery=%s", s->id);
    flow_goto(f, SEND_N);
    return FLOW_NEXT;
}

/* PostgreSQL is away. Should the lease run out meanwhile, it is sent again, under the same id. */
static enum flow_rc record_failed(struct flow *f)
{
    return store_refused(&f->op.err) ? FLOW_STOP : FLOW_NEXT;
}

static enum flow_rc record_wait_start(struct flow *f)
{
    op_sleep(&f->op, RECORD_RETRY_MS);
    return FLOW_WAIT;
}

static enum flow_rc record_wait_done(struct flow *f)
{
    flow_goto(f, RECORD);
    return FLOW_NEXT;
}

static void sending_end(struct flow *f)
{
    struct sending *s = sending_of(f);
    if (f->err.kind && f->err.kind != ERR_CANCELLED)
        log_error("webhook", "not recorded", "delivery=%s why=%s", s->id,
                  log_quote(str_of(f->err.msg)));
    http_reply_done(&s->reply);
    pg_rows_done(&s->rows);
    buf_done(&s->signatures);
    arena_done(&s->arena);
    free(s);
}

static const struct flow_step sending_steps[SEND_N] = {
    [SEND] = { "send", send_start, send_done, send_failed },
    [RECORD] = { "record", record_start, record_done, record_failed },
    [RECORD_WAIT] = { "record_wait", record_wait_start, record_wait_done, NULL },
};
static const struct flow_kind webhook_flow = { "webhook", sending_steps, SEND_N, 0, sending_end };

static void sending_start(struct hooks_out *h, int row, uint64_t until_ms)
{
    struct sending *s = mem_new(struct sending);
    s->out = h;
    s->until_ms = until_ms;
    s->signatures = (struct buf)BUF_INIT(512);
    arena_init(&s->arena);
    store_webhook_claimed(&h->rows, row, &s->what);
    s->what.url = arena_dup(&s->arena, s->what.url);
    s->what.body = arena_dup(&s->arena, s->what.body);
    s->what.secret = arena_dup(&s->arena, s->what.secret);
    s->what.old_secret = arena_dup(&s->arena, s->what.old_secret);
    uuid_text(&s->what.id, s->id);
    flow_start(&s->flow, &webhook_flow, h->store->loop, &h->sendings);
}

/* ---- taking what is due ---- */

static struct hooks_out *of_flow(struct flow *f)
{
    return container_of(f, struct hooks_out, flow);
}

static int64_t lease_ms(const struct hooks_out *h)
{
    return 2 * h->conf->timeout_ms + LEASE_SLACK_MS;
}

static enum flow_rc rest_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->rest_ms);
    return FLOW_WAIT;
}

static enum flow_rc claim_start(struct flow *f)
{
    struct hooks_out *h = of_flow(f);
    int64_t room = AT_ONCE_MAX - (int64_t)list_length(&h->sendings);
    h->rest_ms = REST_MS;
    if (room <= 0 || h->draining) {
        flow_goto(f, STEP_REST);
        return FLOW_NEXT;
    }
    h->claimed_ms = clock_ms();
    store_webhook_claim(h->store, &f->op, str_of(h->owner), lease_ms(h), room, AT_ONCE_EACH,
                        &h->rows);
    return FLOW_WAIT;
}

static enum flow_rc claim_done(struct flow *f)
{
    struct hooks_out *h = of_flow(f);
    for (int i = 0; i < h->rows.n; i++) sending_start(h, i, h->claimed_ms + (uint64_t)lease_ms(h));
    if (h->rows.n) h->rest_ms = 20; /* there may be more, once these are through */
    pg_rows_done(&h->rows);
    return FLOW_NEXT;
}

/* The database is away, or not so young as we are: the next round goes on. */
static enum flow_rc later(struct flow *f)
{
    if (store_refused(&f->op.err))
        log_error("webhook", "the database refuses, trying again", "why=%s",
                  log_quote(str_of(f->op.err.msg)));
    flow_goto(f, STEP_REST);
    return FLOW_NEXT;
}

static enum flow_rc purge_start(struct flow *f)
{
    struct hooks_out *h = of_flow(f);
    flow_goto(f, STEP_REST);
    if (clock_ms() < h->purged_ms + PURGE_MS) return FLOW_NEXT;
    h->purged_ms = clock_ms();
    store_webhook_purge(h->store, &f->op);
    return FLOW_WAIT;
}

static void out_end(struct flow *f)
{
    pg_rows_done(&of_flow(f)->rows);
}

static const struct flow_step out_steps[STEP_N] = {
    [STEP_REST] = { "rest", rest_start, NULL, NULL },
    [STEP_CLAIM] = { "claim", claim_start, claim_done, later },
    [STEP_PURGE] = { "purge", purge_start, NULL, later },
};
static const struct flow_kind hooks_out_flow = { "hooks_out", out_steps, STEP_N, 0, out_end };

/* ---- public ---- */

struct hooks_out *hooks_out_open(struct store *store, struct http_client *http,
                                 const struct hooks_out_conf *conf, const uint8_t key[32],
                                 const char *owner)
{
    struct hooks_out *h = mem_new(struct hooks_out);
    h->store = store;
    h->http = http;
    h->conf = conf;
    h->owner = owner;
    memcpy(h->key, key, sizeof(h->key));
    list_init(&h->sendings);
    return h;
}

void hooks_out_start(struct hooks_out *h)
{
    h->started = true;
    flow_start(&h->flow, &hooks_out_flow, h->store->loop, NULL);
}

void hooks_out_drain(struct hooks_out *h)
{
    h->draining = true;
}

bool hooks_out_idle(const struct hooks_out *h)
{
    return list_empty(&h->sendings) && h->flow.at != STEP_CLAIM;
}

void hooks_out_close(struct hooks_out *h)
{
    if (!h) return;
    if (h->started) flow_stop(&h->flow, ERR_CANCELLED, "closing");
    while (!list_empty(&h->sendings))
        flow_stop(list_first(&h->sendings, struct flow, link), ERR_CANCELLED, "closing");
    free(h);
}
