/* gate: see gate.h. A place is taken when the waiter's op is finished. */
#include "core/model/gate.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/model/models.h"
#include <string.h>

#define WAITING_MAX   1000
#define TELL_MS       2000  /* places are told anew so often */
#define AVERAGE_MS    10000 /* before anybody has asked */
#define AVERAGE_PART  8     /* a new one counts an eighth */
#define ANSWER_TOKENS 500   /* what an answer has is not known yet, but it takes its time, too */

/* Of the model: a channel's, and in it a person's. */
struct gate_share {
    struct list link;
    char *name;
    uint64_t had; /* tokens, since somebody waits here */
    /* For what is foretold: the same, and how many wait, some turns from now. */
    uint64_t will_have;
    size_t left;
};

struct gate_person {
    struct gate_share share; /* first */
    struct gate_channel *channel;
    struct list tickets, *at; /* at: of what is foretold, the next one */
};

struct gate_channel {
    struct gate_share share; /* first */
    struct list people;
};

struct gate {
    struct gate *next;
    struct loop *loop;
    const struct model *model; /* NULL: of all that name the provider */
    char *provider;
    struct list channels;
    size_t n_waiting, n_running;
    uint64_t average_ms;
    struct timer tell;
};

static struct metric m_waiting =
    METRIC(METRIC_GAUGE, "parley_model_waiting", "", "Questions that wait for a place at a model.");

static void on_tell(struct timer *timer);

static bool is_gate_of(const struct gate *g, const struct model *m)
{
    return *m->provider ? strcmp(g->provider, m->provider) == 0 : g->model == m;
}

static struct gate *gate_of(struct models *models, const struct model *m)
{
    for (struct gate *g = models->common->gates; g; g = g->next)
        if (is_gate_of(g, m)) return g;
    struct gate *g = mem_new(struct gate);
    *g = (struct gate){ .next = models->common->gates,
                        .loop = models->loop,
                        .model = *m->provider ? NULL : m,
                        .provider = mem_dup(str_of(m->provider)),
                        .average_ms = AVERAGE_MS };
    list_init(&g->channels);
    g->tell.fire = on_tell;
    models->common->gates = g;
    return g;
}

static void gate_free(struct gate *g)
{
    timer_clear(g->loop, &g->tell);
    free(g->provider);
    free(g);
}

void gate_forget(struct gate **first, const struct model *m)
{
    for (struct gate **at = first; *at; at = &(*at)->next) {
        struct gate *g = *at;
        if (!is_gate_of(g, m)) continue;
        if (g->n_waiting || g->n_running) return; /* for another model of the provider */
        *at = g->next;
        gate_free(g);
        return;
    }
}

void gates_free(struct gate *first)
{
    while (first) {
        struct gate *next = first->next;
        gate_free(first);
        first = next;
    }
}

/* ---- who waits ---- */

/* Who had the fewest tokens, of those who wait; the first of them, if there are several. NULL:
 * nobody. */
static struct gate_share *least(struct list *shares)
{
    struct gate_share *best = NULL;
    list_each (it, next, shares) {
        struct gate_share *s = container_of(it, struct gate_share, link);
        if (s->left && (!best || s->will_have < best->will_have)) best = s;
    }
    return best;
}

/* Whoever comes has had as much as the one who had least: what was before does not count. */
static void share_init(struct gate_share *s, struct list *among, struct str name)
{
    s->name = mem_dup(name);
    s->had = UINT64_MAX;
    list_each (it, next, among) {
        const struct gate_share *other = container_of(it, struct gate_share, link);
        if (other->had < s->had) s->had = other->had;
    }
    if (list_empty(among)) s->had = 0;
    list_push(among, &s->link);
}

static struct gate_share *share_find(struct list *among, struct str name)
{
    list_each (it, next, among) {
        struct gate_share *s = container_of(it, struct gate_share, link);
        if (str_eq(str_of(s->name), name)) return s;
    }
    return NULL;
}

static struct gate_channel *channel_get(struct gate *g, struct str name)
{
    struct gate_channel *c = (struct gate_channel *)share_find(&g->channels, name);
    if (c) return c;
    c = mem_new(struct gate_channel);
    list_init(&c->people);
    share_init(&c->share, &g->channels, name);
    return c;
}

static struct gate_person *person_get(struct gate_channel *c, struct str id)
{
    struct gate_person *p = (struct gate_person *)share_find(&c->people, id);
    if (p) return p;
    p = mem_new(struct gate_person);
    p->channel = c;
    list_init(&p->tickets);
    share_init(&p->share, &c->people, id);
    return p;
}

static void share_free(struct gate_share *s)
{
    list_drop(&s->link);
    free(s->name);
    free(s);
}

static void drop_if_empty(struct gate_person *p)
{
    struct gate_channel *c = p->channel;
    if (!list_empty(&p->tickets)) return;
    share_free(&p->share);
    if (list_empty(&c->people)) share_free(&c->share);
}

static void ticket_in(struct gate_ticket *t, struct gate_person *p)
{
    t->person = p;
    list_push(&p->tickets, &t->link);
    t->gate->n_waiting++;
    metric_add(&m_waiting, 1);
}

static void ticket_out(struct gate_ticket *t, struct gate_person *p)
{
    t->person = NULL;
    list_drop(&t->link);
    t->gate->n_waiting--;
    metric_add(&m_waiting, -1);
    drop_if_empty(p);
}

/* ---- who is next ---- */

/* Before the first turn that is foretold: as it is now. */
static void foretell(struct gate *g)
{
    list_each (it, next, &g->channels) {
        struct gate_channel *c = container_of(it, struct gate_channel, share.link);
        c->share.will_have = c->share.had;
        c->share.left = 0;
        list_each (at, after, &c->people) {
            struct gate_person *p = container_of(at, struct gate_person, share.link);
            p->share.will_have = p->share.had;
            p->share.left = list_length(&p->tickets);
            p->at = p->tickets.next;
            c->share.left += p->share.left;
        }
    }
}

static void foretell_share(struct gate_share *s, uint64_t tokens)
{
    s->will_have += tokens;
    s->left--;
}

/* Whose turn is next; NULL: nobody's. */
static struct gate_ticket *next_turn(struct gate *g)
{
    struct gate_channel *c = (struct gate_channel *)least(&g->channels);
    if (!c) return NULL;
    struct gate_person *p = (struct gate_person *)least(&c->people);
    struct gate_ticket *t = container_of(p->at, struct gate_ticket, link);
    p->at = p->at->next;
    foretell_share(&c->share, t->tokens);
    foretell_share(&p->share, t->tokens);
    return t;
}

static void admit_one(struct gate_ticket *t)
{
    struct gate_person *p = t->person;
    p->share.had += t->tokens;
    p->channel->share.had += t->tokens;
    t->gate->n_running++;
    t->admitted = true;
    ticket_out(t, p);
    op_finish(t->op);
}

static void admit(struct gate *g)
{
    foretell(g);
    for (;;) {
        struct gate_ticket *t = next_turn(g);
        if (!t || g->n_running >= t->running_max) return;
        admit_one(t);
    }
}

/* ---- places ---- */

static void tell(struct gate_ticket *t, size_t place)
{
    uint64_t rounds = (place + t->running_max - 1) / t->running_max;
    if (t->on_place) t->on_place(t->ctx, place, rounds * t->gate->average_ms);
}

static void on_tell(struct timer *timer)
{
    struct gate *g = container_of(timer, struct gate, tell);
    struct gate_ticket *t;
    foretell(g);
    for (size_t place = 1; (t = next_turn(g)); place++) tell(t, place);
    if (g->n_waiting) timer_set(g->loop, timer, TELL_MS);
}

/* Who has just come. */
static void tell_place(struct gate_ticket *newcomer)
{
    size_t place = 1;
    foretell(newcomer->gate);
    while (next_turn(newcomer->gate) != newcomer) place++;
    tell(newcomer, place);
}

/* ---- public ---- */

/* The place, or the waiting, is given up by gate_leave. */
static const struct op_kind enter_kind = { "model.gate", NULL };

void gate_enter(struct models *models, const struct model *m, struct gate_ticket *t, struct op *op,
                struct str channel, struct str person, int64_t tokens)
{
    struct gate *g = gate_of(models, m);
    t->gate = g;
    t->running_max = (size_t)m->running_max;
    t->tokens = (uint64_t)tokens + ANSWER_TOKENS;
    t->op = op;
    t->admitted = false;
    op_begin(op, &enter_kind, NULL, GATE_WAIT_MAX_MS);
    if (g->n_waiting >= WAITING_MAX) {
        struct err why;
        t->gate = NULL;
        err_set(&why, ERR_LIMIT, "%d questions wait for it already", WAITING_MAX);
        why.retry_after_ms = (uint32_t)g->average_ms;
        op_fail(op, &why);
        return;
    }
    ticket_in(t, person_get(channel_get(g, channel), person));
    admit(g);
    if (t->admitted) return;
    tell_place(t);
    if (!timer_armed(&g->tell)) timer_set(g->loop, &g->tell, TELL_MS);
}

void gate_leave(struct gate_ticket *t, uint64_t ms)
{
    struct gate *g = t->gate;
    if (!g) return;
    if (t->person) ticket_out(t, t->person);
    if (t->admitted) {
        g->n_running--;
        if (ms) g->average_ms = (g->average_ms * (AVERAGE_PART - 1) + ms) / AVERAGE_PART;
    }
    t->gate = NULL;
    t->admitted = false;
    admit(g);
}
