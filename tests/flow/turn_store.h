/*
 * The world of the turn's flow tests, its first half: what there is, a driver that answers in
 * virtual time, and a database on top of it. The N-th op of a run can fail (before or after it took
 * effect), be limited for a while, or hang until its deadline. Included by turn_world.h.
 */
#pragma once
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/cache/active.h"
#include "core/cache/session.h"
#include "core/chat/keeper.h"
#include "core/chat/turn.h"
#include "core/model/prices.h"
#include "core/net/redis.h"
#include "core/store/conversation.h"
#include "core/store/hook.h"
#include "core/store/people.h"
#include "core/store/person.h"
#include "core/store/response.h"
#include "core/store/tool.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum trouble { NO_TROUBLE, FAIL_BEFORE, FAIL_AFTER, HANG, LIMITED };
enum status { QUEUED, RUNNING, SENDING, MERGED, ENDED };

#define REQUESTS_MAX 8
#define SAID_BEFORE  2 /* messages */
#define PARTS        4
#define SCREEN_MAX   32

struct fake_part {
    struct uuid id;
    char status[16], text[8192];
};

struct fake_request {
    struct uuid id, conversation, merged_into, reply;
    enum status status;
    int attempt, n_parts;
    bool urgent, notice, stop_wanted;
    int64_t age_ms;
    char event[16], query[256], outcome[16], preview[16];
    char news[256]; /* of a webhook */
    struct fake_part parts[PARTS];
};

#define KEPT_PICTURE "01890000-0000-7000-8000-000000000001"

/* What a person sees: messages that were sent, as they are now. */
struct shown {
    char id[16], text[8192];
    bool preview, deleted;
};

static struct {
    struct loop loop;
    struct chat chat;
    struct channel channel;
    struct store store;
    enum trouble trouble;
    int trouble_at, n_ops, n_live;
    uint64_t deadline_ms; /* of every op */
    struct fake_request rq[REQUESTS_MAX];
    int n_rq;
    struct uuid conversation;
    struct shown screen[SCREEN_MAX];
    int n_screen, n_edits, n_sends;
    /* The platform refuses this many final sends in this way, having shown them or not. */
    enum err_kind send_error;
    int n_send_errors;
    bool shown_all_the_same;
    enum err_kind accept_error, record_error; /* once */
    bool accept_outrun;                       /* once */
    int n_pieces, piece_ms, n_asked;          /* of the model */
    char asked[1024];                         /* the last question */
    char recorded[256];                       /* the last error of a delivery */
    int n_refusals, n_refused;                /* of the rate limit */
    const char *album;                        /* of what is said next; NULL = none */
    char summary[512];
    int64_t summary_until;
    bool summary_off;
    bool second_unpriced, second_rests;
    int64_t counted; /* what the model says */
    int n_counts;    /* how often it was asked to count */
    int n_asked_noted;
    bool no_money;              /* budget_reserve refuses */
    int n_reserves_lost;        /* so many of the next fail: PostgreSQL is away */
    int n_before;               /* messages of the conversation that Redis has */
    int64_t set_aside, settled; /* nano */
    int n_alerts;               /* of the next settlement */
    char costs[4096];
    char receipt[4096], receipt_asked[4096];
    int slow_ms[4];       /* the first questions to models begin to be answered so late */
    const char *variants; /* that the unit has already; NULL = none */
    char exposures[4096];
    int n_model_errors; /* so many questions fail, after their pieces */
    enum err_kind model_error;
    const char *last_model;
    char picture_asked[256]; /* the first of the last question: its type and data, or its address */
    char kept_key[REUSE_KEY_MAX], kept_answer[1024]; /* the newest to be given again */
    int n_lookups;
    bool queue_full;  /* at the next lookup */
    bool kept_unseen; /* at the next one, as while a try before commits */
    int votes, n_votes_heard;
    bool not_recorded_yet;       /* the answer that is voted on */
    char code_hash[80];          /* of /link */
    struct str ticket, pictures; /* of every request */
    int64_t late_ms;
    size_t n_pictures_asked, n_messages_asked;
    int n_pauses;       /* so many questions are answered by half a text */
    int n_rounds;       /* so many questions are answered by a call, when there are tools */
    const char *called; /* the name in these calls */
    int n_together;     /* calls in one answer, if not one: the later ones are answered first */
    int n_under_way, n_most; /* calls: now, and most at once */
    char told[256];          /* to the model: "call:result " of each */
    bool tool_guarded;       /* it needs a person's yes */
    int n_calls;             /* that arrived at the tool */
    char result[512];        /* the last one that the model was told */
    char kept_told[64];      /* what the model wrote for itself, as it got it back */
    char saved[4096];        /* while a yes is waited for */
    bool too_late;           /* for the yes */
    bool decided;            /* that question is, by another yes */
    struct uuid question_meant;
    char question_message[16], question_text[4096]; /* on the platform */
    char news[256];                                 /* the last that a webhook brought */
    int n_fetched;                                  /* by address */
    size_t renewed[8];                              /* leases, by each renewal */
    int n_renewals, n_renew_errors;                 /* the first ones fail */
    bool fetched_unguarded;
} w;

/* ---- the fake driver ---- */

struct fake {
    struct timer timer;
    struct op *op;
    struct err err;
    void (*effect)(struct fake *f);
    struct pg_rows *rows;
    struct fake_request *rq;
    struct uuid id, id2;
    int attempt, n;
    bool flag;
    char text[8192], text2[256];
    void *ret;
    const struct outbound *out;
};

static void fake_drop(struct op *op)
{
    ((struct fake *)op->impl)->op = NULL;
}
static const struct op_kind fake_kind = { "fake", fake_drop };

static void fake_fire(struct timer *t)
{
    struct fake *f = container_of(t, struct fake, timer);
    if (f->effect && f->op) f->effect(f);
    if (f->op && f->err.kind)
        op_fail(f->op, &f->err);
    else if (f->op)
        op_finish(f->op);
    w.n_live--;
    free(f);
}

/* Messages of the conversation. */
static int said_before(void)
{
    return w.n_before ? w.n_before : SAID_BEFORE;
}

/* effect: what the op does, run when it completes; with FAIL_AFTER it has been done although the op
 * fails. */
static struct fake *fake(struct op *op, void (*effect)(struct fake *f))
{
    struct fake *f = mem_new(struct fake);
    bool trouble = ++w.n_ops == w.trouble_at;
    f->timer.fire = fake_fire;
    f->op = op;
    f->effect = effect;
    w.n_live++;
    op_begin(op, &fake_kind, f, w.deadline_ms);
    uint64_t delay_ms = 5;
    if (trouble && w.trouble == FAIL_BEFORE) {
        err_set(&f->err, ERR_IO, "away");
        f->effect = NULL;
    } else if (trouble && w.trouble == FAIL_AFTER) {
        err_set(&f->err, ERR_UNKNOWN, "lost after sending");
    } else if (trouble && w.trouble == LIMITED) {
        err_set(&f->err, ERR_LIMIT, "too much");
        f->err.retry_after_ms = 3000;
        f->effect = NULL;
    } else if (trouble && w.trouble == HANG) {
        delay_ms = 60000;
    }
    timer_set(&w.loop, &f->timer, delay_ms);
    return f;
}

static void put(char *to, size_t room, struct str s)
{
    cr_assert_lt(s.n, room);
    cr_assert(utf8_valid(s), "PostgreSQL refuses it");
    if (s.n) memcpy(to, s.p, s.n);
    to[s.n] = 0;
}

/* ---- PostgreSQL ---- */

struct cell {
    char text[4096];
    int64_t i;
    struct uuid u;
};
#define CELLS 10
/* A row at a time: all at once would be large enough for a mapping of its own, each time. */
struct pg_result {
    struct cell *rows[REQUESTS_MAX];
};

void pg_rows_done(struct pg_rows *r)
{
    for (int i = 0; r->result && i < REQUESTS_MAX; i++) free(r->result->rows[i]);
    free(r->result);
    *r = (struct pg_rows){ .n = 0 };
}
/* What was taken out of the rows before must not be used. */
void pg_rows_own(struct pg_rows *r)
{
    for (int i = 0; i < r->n; i++) {
        struct cell *own = mem_grow(NULL, CELLS * sizeof *own);
        memcpy(own, r->result->rows[i], CELLS * sizeof *own);
        free(r->result->rows[i]);
        r->result->rows[i] = own;
    }
}
bool pg_rows_null(const struct pg_rows *r, int row, int col)
{
    return !r && row && col;
}
double pg_rows_f64(const struct pg_rows *r, int row, int col)
{
    return r ? row + col : 0;
}
int64_t pg_rows_i64(const struct pg_rows *r, int row, int col)
{
    return r->result->rows[row][col].i;
}
bool pg_rows_bool(const struct pg_rows *r, int row, int col)
{
    return r->result->rows[row][col].i;
}
struct uuid pg_rows_uuid(const struct pg_rows *r, int row, int col)
{
    return r->result->rows[row][col].u;
}
struct str pg_rows_str(const struct pg_rows *r, int row, int col)
{
    return str_of(r->result->rows[row][col].text);
}

static struct cell *row_add(struct pg_rows *r)
{
    if (!r->result) r->result = mem_new(struct pg_result);
    struct cell **row = &r->result->rows[r->n++];
    *row = mem_grow(NULL, CELLS * sizeof **row);
    memset(*row, 0, CELLS * sizeof **row);
    return *row;
}

static struct fake_request *request_by_id(struct uuid id)
{
    for (int i = 0; i < w.n_rq; i++)
        if (uuid_eq(&w.rq[i].id, &id)) return &w.rq[i];
    return NULL;
}

static bool is_busy(const struct fake_request *rq)
{
    return rq->status == RUNNING || rq->status == SENDING;
}

static bool is_idle(void)
{
    for (int i = 0; i < w.n_rq; i++)
        if (!w.rq[i].urgent && (w.rq[i].status == QUEUED || is_busy(&w.rq[i]))) return false;
    return true;
}

static void do_accept(struct fake *f)
{
    bool begins = f->n > 0 && (f->flag || is_idle());
    int at = 0;
    while (at < w.n_rq && strcmp(w.rq[at].event, f->text2) != 0) at++;
    if (at == w.n_rq) {
        struct fake_request *rq = &w.rq[w.n_rq++];
        *rq =
            (struct fake_request){ .id = f->id, .conversation = w.conversation, .urgent = f->flag };
        strcpy(rq->event, f->text2);
        put(rq->query, sizeof rq->query, str_of(f->text));
        if (begins) rq->status = RUNNING;
        rq->attempt = begins;
    } else {
        begins = false;
    }
    pg_rows_done(f->rows);
    struct cell *c = row_add(f->rows);
    if (begins) c[0].u = w.rq[at].id;
    c[1].i = uuid_eq(&w.rq[at].id, &f->id);
    c[2].u = w.rq[at].id;
}
void store_accept(struct store *s, struct op *op, const struct request_new *rq,
                  struct pg_rows *rows)
{
    (void)s;
    struct fake *f = fake(op, do_accept);
    f->rows = rows;
    f->id = rq->request;
    f->flag = rq->urgent;
    f->n = rq->owner.n > 0;
    put(f->text, sizeof f->text, rq->query);
    put(f->text2, sizeof f->text2, rq->event);
    if (w.accept_error) err_set(&f->err, w.accept_error, "that row is no good");
    if (w.accept_outrun) err_set(&f->err, ERR_REFUSED, "SQLSTATE 23505");
    w.accept_error = ERR_NONE;
    w.accept_outrun = false;
}
static void do_accept_hook(struct fake *f)
{
    int before = w.n_rq;
    do_accept(f);
    if (w.n_rq > before) strcpy(w.rq[before].news, w.news);
}
void store_accept_hook(struct store *s, struct op *op, const struct request_new *rq,
                       const struct hook_news *news, struct pg_rows *rows)
{
    store_accept(s, op, rq, rows);
    struct fake *f = op->impl;
    put(w.news, sizeof w.news, news->json);
    if (f->effect) f->effect = do_accept_hook;
}
bool store_accept_outrun(const struct err *e)
{
    return strstr(e->msg, "23505") != NULL;
}
bool store_accepted(const struct pg_rows *rows, struct request_ids *ret)
{
    if (rows->n == 0) return false;
    *ret = (struct request_ids){ .fresh = pg_rows_bool(rows, 0, 1),
                                 .request = pg_rows_uuid(rows, 0, 2),
                                 .conversation = w.conversation };
    return true;
}

static void do_claim(struct fake *f)
{
    struct fake_request *pick = NULL;
    for (int i = 0; i < w.n_rq; i++) {
        struct fake_request *rq = &w.rq[i];
        bool open = rq->status == QUEUED || is_busy(rq);
        bool asked = uuid_is_nil(&f->id) ? !rq->urgent : uuid_eq(&rq->id, &f->id);
        if (open && asked && (!pick || (is_busy(rq) && !is_busy(pick)))) pick = rq;
    }
    pg_rows_done(f->rows);
    if (!pick) return;
    if (pick->status == QUEUED) pick->status = RUNNING;
    pick->attempt++;
    row_add(f->rows)[0].u = pick->id;
}
void store_claim(struct store *s, struct op *op, struct uuid conversation, struct uuid urgent,
                 struct str owner, int64_t lease_ms, struct pg_rows *rows)
{
    (void)s, (void)conversation, (void)owner, (void)lease_ms;
    struct fake *f = fake(op, do_claim);
    f->rows = rows;
    f->id = urgent;
}
bool store_claimed(const struct pg_rows *rows, struct claimed *ret)
{
    if (rows->n == 0) return false;
    const struct fake_request *rq = request_by_id(pg_rows_uuid(rows, 0, 0));
    if (!rq) return false;
    *ret = (struct claimed){ .request = rq->id,
                             .message = rq->id,
                             .conversation = rq->conversation,
                             .attempt = rq->attempt,
                             .sending = rq->status == SENDING,
                             .urgent = rq->urgent,
                             .stop_wanted = rq->stop_wanted,
                             .age_ms = rq->age_ms,
                             .direct = true,
                             .message_count = said_before(),
                             .channel = STR("fake"),
                             .place = STR("1"),
                             .query = str_of(rq->query),
                             .platform_message = STR("77"),
                             .outcome = str_of(rq->outcome),
                             .preview_message = str_of(rq->preview),
                             .ticket = w.ticket,
                             .pictures = w.pictures,
                             .summary = str_of(w.summary),
                             .summary_until = w.summary_until,
                             .summary_off = w.summary_off,
                             .news = str_of(rq->news),
                             .late_ms = w.late_ms,
                             .variants = str_of(w.variants ? w.variants : "") };
    return true;
}
static void do_merge(struct fake *f)
{
    pg_rows_done(f->rows);
    for (struct fake_request *rq = f->rq + 1; rq < &w.rq[w.n_rq]; rq++) {
        if (rq->status == QUEUED && !rq->urgent && (rq->query[0] == '/' || rq->news[0])) break;
        if (rq->status == QUEUED && !rq->urgent) {
            rq->status = MERGED;
            rq->merged_into = f->rq->id;
        }
        if (rq->status != MERGED || !uuid_eq(&rq->merged_into, &f->rq->id)) continue;
        struct cell *c = row_add(f->rows);
        strcpy(c[0].text, rq->query);
        uuid_text(&rq->id, c[1].text);
    }
}
void store_merge(struct store *s, struct op *op, const struct claimed *c, struct pg_rows *rows)
{
    (void)s;
    struct fake *f = fake(op, do_merge);
    f->rows = rows;
    f->rq = request_by_id(c->request);
}
static void do_renew(struct fake *f)
{
    pg_rows_done(f->rows);
    for (int i = 0; i < w.n_rq; i++) {
        if (is_busy(&w.rq[i]) && !w.rq[i].stop_wanted) continue;
        struct cell *c = row_add(f->rows);
        c[0].u = w.rq[i].id;
        c[1].i = !is_busy(&w.rq[i]);
    }
}
void store_renew(struct store *s, struct op *op, struct str requests, struct str owner,
                 int64_t lease_ms, struct pg_rows *rows)
{
    (void)s, (void)owner, (void)lease_ms;
    struct fake *f = fake(op, do_renew);
    f->rows = rows;
    size_t *n = &w.renewed[w.n_renewals++ % 8];
    *n = requests.n / UUID_TEXT_MAX; /* "{uuid,uuid}" */
    if (w.n_renew_errors > 0) err_set(&f->err, ERR_IO, "away");
    w.n_renew_errors -= w.n_renew_errors > 0;
}
static void do_requeue(struct fake *f)
{
    if (f->rq && f->rq->status == RUNNING && f->rq->attempt == f->attempt) f->rq->status = QUEUED;
}
void store_requeue(struct store *s, struct op *op, struct uuid request, int attempt)
{
    (void)s;
    struct fake *f = fake(op, do_requeue);
    f->rq = request_by_id(request);
    f->attempt = attempt;
}
static void parts_read(struct fake_request *rq, const char *text)
{
    struct json *doc;
    struct err why;
    cr_assert_eq(json_parse(str_of(text), &doc, &why), ERR_NONE, "%s", why.msg);
    rq->n_parts = (int)json_length(doc);
    cr_assert_leq(rq->n_parts, PARTS);
    for (int i = 0; i < rq->n_parts; i++) {
        struct str id, part;
        json_get_str(json_at(doc, (size_t)i), "id", &id);
        json_get_str(json_at(doc, (size_t)i), "text", &part);
        cr_assert(uuid_parse(id, &rq->parts[i].id));
        put(rq->parts[i].text, sizeof rq->parts[i].text, part);
        strcpy(rq->parts[i].status, i == 0 ? "sending" : "pending");
    }
    json_free(doc);
}
static void do_keep(struct fake *f)
{
    pg_rows_done(f->rows);
    if (f->rq->attempt != f->attempt) return;
    bool again = f->rq->status == SENDING && uuid_eq(&f->rq->reply, &f->id);
    if (again) row_add(f->rows)[1].i = 2;
    if (f->rq->status != RUNNING) return;
    f->rq->reply = f->id;
    strcpy(f->rq->outcome, f->text2);
    f->rq->notice = f->flag;
    parts_read(f->rq, f->text);
    cr_assert_eq(f->rq->n_parts, f->n);
    f->rq->status = f->n ? SENDING : ENDED;
    if (!w.kept_unseen) row_add(f->rows)[1].i = 2;
    w.kept_unseen = false;
}
void store_keep(struct store *s, struct op *op, const struct reply_row *r, struct pg_rows *rows)
{
    (void)s;
    cr_assert_gt(r->answers.n, 2, "an array of ids");
    struct fake *f = fake(op, do_keep);
    f->rows = rows;
    f->rq = request_by_id(r->request);
    f->attempt = r->attempt;
    f->id = r->reply;
    f->flag = r->notice;
    f->n = r->n_parts;
    put(f->text, sizeof f->text, r->parts);
    put(f->text2, sizeof f->text2, r->outcome);
    put(w.receipt, sizeof w.receipt, r->receipt);
    put(w.costs, sizeof w.costs, r->costs);
    put(w.exposures, sizeof w.exposures, r->exposures);
}
static void budget_row(struct fake *f, int64_t level)
{
    struct cell *c = row_add(f->rows);
    strcpy(c[0].text, "person:me");
    strcpy(c[1].text, "day");
    c[2].i = 800000000;
    c[3].i = 1000000000;
    c[4].i = level;
    c[5].i = 3600000;
}
static void do_reserve(struct fake *f)
{
    pg_rows_done(f->rows);
    if (w.no_money) budget_row(f, 3600000);
}
void store_budget_reserve(struct store *s, struct op *op, struct uuid id,
                          const struct budget_rows *b, int64_t amount, int64_t lease_ms,
                          struct pg_rows *rows)
{
    (void)s, (void)id;
    cr_assert(str_starts(b->scopes, STR("{\"person:")));
    cr_assert_gt(lease_ms, 60000);
    w.set_aside = amount;
    if (w.n_reserves_lost > 0) {
        w.n_reserves_lost--;
        w.trouble = FAIL_BEFORE;
        w.trouble_at = w.n_ops + 1;
    }
    fake(op, do_reserve)->rows = rows;
}
static void do_asked(struct fake *f)
{
    (void)f;
    w.n_asked_noted++;
}
void store_budget_asked(struct store *s, struct op *op, struct uuid id, struct uuid request,
                        struct str provider, struct str model)
{
    (void)s, (void)request, (void)provider;
    cr_assert_not(uuid_is_nil(&id));
    cr_assert_gt(model.n, 0);
    fake(op, do_asked);
}
static void do_settle(struct fake *f)
{
    if (!f->rows) return; /* in the background */
    pg_rows_done(f->rows);
    for (; w.n_alerts; w.n_alerts--) budget_row(f, 80);
}
void store_budget_settle(struct store *s, struct op *op, struct uuid id,
                         const struct budget_rows *b, int64_t cost, struct pg_rows *rows)
{
    (void)s, (void)b;
    cr_assert(!uuid_is_nil(&id));
    w.settled = cost;
    fake(op, do_settle)->rows = rows;
}
static void do_response_get(struct fake *f)
{
    pg_rows_done(f->rows);
    w.n_lookups++;
    if (!w.kept_answer[0] || strcmp(f->text, w.kept_key) != 0) return;
    struct cell *c = row_add(f->rows);
    strcpy(c[0].text, w.kept_answer);
    strcpy(c[1].text, "fake");
    strcpy(c[2].text, "2026-01-02T03:04:05Z");
}
void store_response_get(struct store *s, struct op *op, struct str key, struct pg_rows *rows)
{
    static const struct op_kind refused = { "fake.refused", NULL };
    (void)s;
    if (w.queue_full) { /* as pg_query does: it has ended before we return */
        op_begin(op, &refused, NULL, w.deadline_ms);
        op_failf(op, ERR_LIMIT, "too many statements wait");
        return;
    }
    struct fake *f = fake(op, do_response_get);
    f->rows = rows;
    put(f->text, sizeof f->text, key);
}
static void do_response_put(struct fake *f)
{
    strcpy(w.kept_key, f->text2);
    strcpy(w.kept_answer, f->text);
}
void store_response_put(struct store *s, struct op *op, const struct response_row *r)
{
    (void)s;
    cr_assert_gt(r->ttl_ms, 0);
    struct fake *f = fake(op, do_response_put);
    put(f->text, sizeof w.kept_answer, r->content);
    put(f->text2, sizeof w.kept_key, r->key);
}
static void do_view(struct fake *f)
{
    pg_rows_done(f->rows);
    budget_row(f, 1000000000);
}
void store_budget_view(struct store *s, struct op *op, const struct budget_rows *b,
                       struct pg_rows *rows)
{
    (void)s, (void)b;
    fake(op, do_view)->rows = rows;
}
/* The receipt of what was kept last. */
static void do_receipt(struct fake *f)
{
    pg_rows_done(f->rows);
    if (!f->n) return;
    struct cell *c = row_add(f->rows);
    cr_assert_lt(strlen(w.receipt_asked), sizeof c[0].text);
    strcpy(c[0].text, w.receipt_asked);
    strcpy(c[1].text, "The answer.");
    strcpy(c[2].text, "40");
}
void store_receipt(struct store *s, struct op *op, struct uuid conversation, int64_t n,
                   struct pg_rows *rows)
{
    (void)s, (void)conversation;
    strcpy(w.receipt_asked, w.receipt);
    struct fake *f = fake(op, do_receipt);
    f->rows = rows;
    f->n = n == 1;
}
static void do_preview(struct fake *f)
{
    if (f->rq->attempt == f->attempt) strcpy(f->rq->preview, f->text2);
}
void store_preview(struct store *s, struct op *op, struct uuid request, int attempt,
                   struct str message)
{
    (void)s;
    struct fake *f = fake(op, do_preview);
    f->rq = request_by_id(request);
    f->attempt = attempt;
    put(f->text2, sizeof f->text2, message);
}
static void do_stop(struct fake *f)
{
    pg_rows_done(f->rows);
    for (int i = 0; i < w.n_rq; i++) {
        if (w.rq[i].status != RUNNING || w.rq[i].urgent) continue;
        w.rq[i].stop_wanted = true;
        row_add(f->rows);
    }
}
void store_stop(struct store *s, struct op *op, struct uuid conversation, struct pg_rows *rows)
{
    (void)s, (void)conversation;
    fake(op, do_stop)->rows = rows;
}
static void do_sweep(struct fake *f)
{
    pg_rows_done(f->rows);
    bool busy = lane_running(&w.chat, w.conversation) != NULL;
    for (int i = 0; i < w.n_rq; i++) {
        const struct fake_request *rq = &w.rq[i];
        if ((rq->status != QUEUED && !is_busy(rq)) || (busy && !rq->urgent)) continue;
        struct cell *c = row_add(f->rows);
        c[0].u = rq->conversation;
        c[1].u = rq->id;
        c[2].i = rq->urgent;
    }
}
void store_sweep(struct store *s, struct op *op, struct str channels, int64_t idle_ms,
                 int64_t limit, struct pg_rows *rows)
{
    (void)s, (void)channels, (void)idle_ms, (void)limit;
    fake(op, do_sweep)->rows = rows;
}
static void do_one_row(struct fake *f)
{
    pg_rows_done(f->rows);
    row_add(f->rows);
}
void store_backlog(struct store *s, struct op *op, struct pg_rows *rows)
{
    (void)s;
    fake(op, do_one_row)->rows = rows;
}
static void do_parts(struct fake *f)
{
    pg_rows_done(f->rows);
    for (int i = 0; i < f->rq->n_parts; i++) {
        struct cell *c = row_add(f->rows);
        c[0].u = f->rq->parts[i].id;
        strcpy(c[3].text, f->rq->parts[i].text);
        c[4].i = f->rq->notice;
        strcpy(c[5].text, f->rq->parts[i].status);
    }
}
void store_parts(struct store *s, struct op *op, struct uuid request, struct pg_rows *rows)
{
    (void)s;
    struct fake *f = fake(op, do_parts);
    f->rows = rows;
    f->rq = request_by_id(request);
}
static struct fake_part *part_of(struct fake *f)
{
    for (int i = 0; i < f->rq->n_parts; i++)
        if (uuid_eq(&f->rq->parts[i].id, &f->id)) return &f->rq->parts[i];
    return NULL;
}
static void do_mark(struct fake *f)
{
    pg_rows_done(f->rows);
    if (f->attempt != f->rq->attempt || f->rq->status != SENDING) return;
    strcpy(part_of(f)->status, "sending");
    row_add(f->rows);
}
void store_mark(struct store *s, struct op *op, struct uuid delivery, struct uuid request,
                int attempt, int64_t lease_ms, struct pg_rows *rows)
{
    (void)s, (void)lease_ms;
    struct fake *f = fake(op, do_mark);
    f->rows = rows;
    f->rq = request_by_id(request);
    f->id = delivery;
    f->attempt = attempt;
}
static void do_record(struct fake *f)
{
    struct fake_part *part = part_of(f);
    pg_rows_done(f->rows);
    if (part) strcpy(part->status, f->text2);
    if (f->flag && f->attempt == f->rq->attempt && f->rq->status == SENDING) f->rq->status = ENDED;
    bool more = false;
    for (int i = 0; i < w.n_rq; i++) more |= w.rq[i].status == QUEUED && !w.rq[i].urgent;
    row_add(f->rows)[1].i = more;
}
void store_record(struct store *s, struct op *op, const struct delivery_result *d,
                  struct pg_rows *rows)
{
    (void)s;
    struct fake *f = fake(op, do_record);
    f->rows = rows;
    f->rq = request_by_id(d->request);
    f->id = d->delivery;
    f->attempt = d->attempt;
    f->flag = d->last;
    put(w.recorded, sizeof w.recorded, d->error);
    put(f->text2, sizeof f->text2, d->status);
    if (w.record_error) err_set(&f->err, w.record_error, "away");
    w.record_error = ERR_NONE;
}
void store_edit(struct store *s, struct op *op, const struct request_new *rq, struct pg_rows *rows)
{
    (void)s, (void)rq, (void)rows;
    fake(op, NULL);
}
static void do_withdraw(struct fake *f)
{
    for (int i = 0; i < w.n_rq; i++)
        if (w.rq[i].status == QUEUED && strcmp(w.rq[i].event, f->text2) == 0)
            w.rq[i].status = ENDED;
}
void store_withdraw(struct store *s, struct op *op, const struct request_new *rq,
                    struct pg_rows *rows)
{
    (void)s, (void)rows;
    struct fake *f = fake(op, do_withdraw);
    put(f->text2, sizeof f->text2, rq->platform_message);
}
/* One file is there, whatever is asked for. */
static void do_attachments(struct fake *f)
{
    pg_rows_done(f->rows);
    struct cell *c = row_add(f->rows);
    cr_assert(uuid_parse(STR(KEPT_PICTURE), &c[0].u));
    strcpy(c[1].text, "image/png");
    strcpy(c[2].text, "QUJD");
}
void store_attachments(struct store *s, struct op *op, struct str ids, struct pg_rows *rows)
{
    (void)s;
    cr_assert(str_starts(ids, STR("{" KEPT_PICTURE)));
    fake(op, do_attachments)->rows = rows;
}
/* Counts if the answer is known by now. */
static void do_vote(struct fake *f)
{
    pg_rows_done(f->rows);
    w.n_votes_heard++;
    if (w.not_recorded_yet) return;
    row_add(f->rows);
    w.votes += f->n;
}
void store_vote(struct store *s, struct op *op, const struct vote *v, struct pg_rows *rows)
{
    (void)s;
    cr_assert_str_eq(v->message.p, "m1");
    struct fake *f = fake(op, do_vote);
    f->rows = rows;
    f->n = v->taken_back ? 0 : v->vote;
}
static void do_tool_ask(struct fake *f)
{
    strcpy(w.saved, f->text);
}
void store_tool_ask(struct store *s, struct op *op, const struct claimed *c, struct str answers,
                    struct str state, int64_t life_ms)
{
    (void)s, (void)c;
    cr_assert(str_starts(answers, STR("{")));
    cr_assert_eq(life_ms, 600000);
    put(fake(op, do_tool_ask)->text, sizeof w.saved, state);
}
static void do_tool_answer(struct fake *f)
{
    pg_rows_done(f->rows);
    struct cell *c = row_add(f->rows);
    c[5].i = w.decided;
    strcpy(c[7].text, w.question_message);
    strcpy(c[8].text, w.question_text);
    c[6].u = w.rq[0].id;
    if (!w.saved[0] || w.decided) return;
    strcpy(c[0].text, w.saved);
    strcpy(c[1].text, "{01a21694-fee0-7436-804c-7a08df49e6d0}");
    strcpy(c[2].text, "What is it?");
    c[4].i = w.too_late;
}
void store_tool_answer(struct store *s, struct op *op, const struct claimed *c, struct uuid asked,
                       struct pg_rows *rows)
{
    (void)s, (void)c;
    w.question_meant = asked;
    fake(op, do_tool_answer)->rows = rows;
}
/* What people ask about themselves is a statement each, tested end to end; the eraser does not run
 * here. */
static void no_such(const char *what)
{
    cr_assert_fail("%s is not part of this world", what);
}
void store_unlink(struct store *s, struct op *op, const struct claimed *c, struct uuid fresh,
                  struct pg_rows *rows)
{
    (void)s, (void)op, (void)c, (void)fresh, (void)rows;
    no_such(__func__);
}
void store_conversations(struct store *s, struct op *op, const struct claimed *c, int64_t limit,
                         struct pg_rows *rows)
{
    (void)s, (void)op, (void)c, (void)limit, (void)rows;
    no_such(__func__);
}
void store_continue(struct store *s, struct op *op, const struct claimed *c, struct uuid next,
                    int64_t nth, struct pg_rows *rows)
{
    (void)s, (void)op, (void)c, (void)next, (void)nth, (void)rows;
    no_such(__func__);
}
void store_approve_by(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      struct pg_rows *rows)
{
    (void)s, (void)op, (void)user, (void)code_hash, (void)rows;
    no_such(__func__);
}
void store_forget_begin(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                        int64_t tries_max, struct pg_rows *rows)
{
    (void)s, (void)op, (void)user, (void)code_hash, (void)tries_max, (void)rows;
    no_such(__func__);
}
void store_forget_next(struct store *s, struct op *op, struct pg_rows *rows)
{
    (void)s, (void)op, (void)rows;
    no_such(__func__);
}
void store_erasures(struct store *s, struct op *op, int64_t limit, struct pg_rows *rows)
{
    (void)s, (void)op, (void)limit, (void)rows;
    no_such(__func__);
}
void store_erased(struct store *s, struct op *op, int64_t up_to)
{
    (void)s, (void)op, (void)up_to;
    no_such(__func__);
}
void store_export_offer(struct store *s, struct op *op, struct uuid user, struct str token_hash,
                        int64_t life_ms)
{
    (void)s, (void)op, (void)user, (void)token_hash, (void)life_ms;
    no_such(__func__);
}
void store_code_offer(struct store *s, struct op *op, struct uuid user, const char *purpose,
                      struct str code_hash, int64_t life_ms)
{
    (void)s, (void)user, (void)purpose, (void)life_ms;
    put(w.code_hash, sizeof w.code_hash, code_hash);
    fake(op, NULL);
}
void store_link_offer(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      int64_t life_ms)
{
    (void)s, (void)user, (void)life_ms;
    put(w.code_hash, sizeof w.code_hash, code_hash);
    fake(op, NULL);
}
static void do_link_take(struct fake *f)
{
    pg_rows_done(f->rows);
    strcpy(row_add(f->rows)[0].text, strcmp(f->text2, w.code_hash) == 0 ? "linked" : "unknown");
}
void store_link_take(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                     int64_t tries_max, int64_t life_ms, struct pg_rows *rows)
{
    (void)s, (void)user, (void)tries_max, (void)life_ms;
    struct fake *f = fake(op, do_link_take);
    f->rows = rows;
    put(f->text2, sizeof f->text2, code_hash);
}
void store_move(struct store *s, struct op *op, struct str channel, struct str from, struct str to)
{
    (void)s, (void)channel, (void)from, (void)to;
    fake(op, NULL);
}
void store_end_conversation(struct store *s, struct op *op, const struct claimed *c,
                            struct uuid next, struct pg_rows *rows)
{
    (void)s, (void)c, (void)next, (void)rows;
    fake(op, NULL);
}
void store_set_model(struct store *s, struct op *op, struct uuid conversation, struct str model)
{
    (void)s, (void)conversation, (void)model;
    fake(op, NULL);
}
void store_prefer_model(struct store *s, struct op *op, const struct claimed *c, struct str model)
{
    (void)s, (void)c, (void)model;
    fake(op, NULL);
}
void store_compact(struct store *s, struct op *op, struct uuid conversation, int64_t until,
                   struct str summary)
{
    (void)s, (void)conversation;
    w.summary_until = until;
    put(w.summary, sizeof w.summary, summary);
    fake(op, NULL);
}
void store_compact_off(struct store *s, struct op *op, struct uuid conversation, bool off)
{
    (void)s, (void)conversation;
    w.summary_off = off;
    if (off) w.summary_until = 0, w.summary[0] = 0;
    fake(op, NULL);
}
void store_history(struct store *s, struct op *op, struct uuid conversation, int64_t limit,
                   struct pg_rows *rows)
{
    (void)s, (void)conversation, (void)limit;
    fake(op, do_one_row)->rows = rows;
}
static void do_last_reply(struct fake *f)
{
    pg_rows_done(f->rows);
    if (!w.asked[0]) return;
    struct cell *c = row_add(f->rows);
    strcpy(c[0].text, "Well, ");
    strcpy(c[1].text, w.asked);
    strcpy(c[2].text, "{01a21694-fee0-7436-804c-7a08df49e6d0}");
}
void store_last_reply(struct store *s, struct op *op, struct uuid conversation,
                      struct pg_rows *rows)
{
    (void)s, (void)conversation;
    fake(op, do_last_reply)->rows = rows;
}
