/* gate: see gate.h. A place is taken when the waiter's op is finished. */
#include "core/model/gate.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/model/models.h"

#define WAITING_MAX  1000
#define TELL_MS      2000  /* places are told anew so often */
#define AVERAGE_MS   10000 /* before anybody has asked */
#define AVERAGE_PART 8     /* a new one counts an eighth */

struct gate_person {
    struct list link, tickets;
    struct gate_channel *channel;
    char *id;
};

struct gate_channel {
    struct list link, people;
    char *name;
};

struct gate {
    struct gate *next;
    struct loop *loop;
    const struct model *model;
    struct list channels; /* who is next, first */
    size_t n_waiting, n_running;
    uint64_t average_ms;
    struct timer tell;
};

static struct metric m_waiting =
    METRIC(METRIC_GAUGE, "parley_model_waiting", "", "Questions that wait for a place at a model.");

static void on_tell(struct timer *timer);

static struct gate *gate_of(struct models *models, const struct model *m)
{
    for (struct gate *g = models->common->gates; g; g = g->next)
        if (g->model == m) return g;
    struct gate *g = mem_new(struct gate);
    *g = (struct gate){
        .next = models->common->gates, .loop = models->loop, .model = m, .average_ms = AVERAGE_MS
    };
    list_init(&g->channels);
    g->tell.fire = on_tell;
    models->common->gates = g;
    return g;
}

static void gate_free(struct gate *g)
{
    timer_clear(g->loop, &g->tell);
    free(g);
}

void gate_forget(struct gate **first, const struct model *m)
{
    for (struct gate **at = first; *at; at = &(*at)->next) {
        struct gate *g = *at;
        if (g->model != m) continue;
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

static struct gate_channel *channel_get(struct gate *g, struct str name)
{
    list_each (it, next, &g->channels) {
        struct gate_channel *c = container_of(it, struct gate_channel, link);
        if (str_eq(str_of(c->name), name)) return c;
    }
    struct gate_channel *c = mem_new(struct gate_channel);
    c->name = mem_dup(name);
    list_init(&c->people);
    list_push(&g->channels, &c->link);
    return c;
}

static struct gate_person *person_get(struct gate_channel *c, struct str id)
{
    list_each (it, next, &c->people) {
        struct gate_person *p = container_of(it, struct gate_person, link);
        if (str_eq(str_of(p->id), id)) return p;
    }
    struct gate_person *p = mem_new(struct gate_person);
    p->id = mem_dup(id);
    p->channel = c;
    list_init(&p->tickets);
    list_push(&c->people, &p->link);
    return p;
}

static void drop_if_empty(struct gate_person *p)
{
    struct gate_channel *c = p->channel;
    if (!list_empty(&p->tickets)) return;
    list_drop(&p->link);
    free(p->id);
    free(p);
    if (!list_empty(&c->people)) return;
    list_drop(&c->link);
    free(c->name);
    free(c);
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

/* The first of the first; both go to the end of their rows. */
static void admit_next(struct gate *g)
{
    struct gate_channel *c = list_first(&g->channels, struct gate_channel, link);
    struct gate_person *p = list_first(&c->people, struct gate_person, link);
    struct gate_ticket *t = list_first(&p->tickets, struct gate_ticket, link);
    list_drop(&c->link);
    list_push(&g->channels, &c->link);
    list_drop(&p->link);
    list_push(&c->people, &p->link);
    ticket_out(t, p);
    t->admitted = true;
    g->n_running++;
    op_finish(t->op);
}

static void admit(struct gate *g)
{
    while (g->n_waiting > 0 && g->n_running < (size_t)g->model->running_max) admit_next(g);
}

/* ---- places ---- */

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

/* Of n that wait elsewhere, those before the one that has `rank` before it here. */
static size_t before(size_t n, size_t rank, bool goes_first)
{
    return at_most(n, rank + goes_first);
}

static size_t place_in_channel(const struct gate_ticket *t, size_t nth)
{
    size_t rank = nth;
    bool earlier = true;
    list_each (it, next, &t->person->channel->people) {
        struct gate_person *p = container_of(it, struct gate_person, link);
        if (p == t->person)
            earlier = false;
        else
            rank += before(list_length(&p->tickets), nth, earlier);
    }
    return rank;
}

static size_t waiting_in(const struct gate_channel *c)
{
    size_t n = 0;
    list_each (it, next, &c->people)
        n += list_length(&container_of(it, struct gate_person, link)->tickets);
    return n;
}

static size_t place_of(const struct gate_ticket *t, size_t nth)
{
    size_t rank = place_in_channel(t, nth), sum = rank;
    bool earlier = true;
    list_each (it, next, &t->gate->channels) {
        struct gate_channel *c = container_of(it, struct gate_channel, link);
        if (c == t->person->channel)
            earlier = false;
        else
            sum += before(waiting_in(c), rank, earlier);
    }
    return sum + 1;
}

static void tell(struct gate_ticket *t, size_t nth)
{
    size_t place = place_of(t, nth);
    uint64_t rounds =
        (place + (size_t)t->gate->model->running_max - 1) / (size_t)t->gate->model->running_max;
    if (t->on_place) t->on_place(t->ctx, place, rounds * t->gate->average_ms);
}

static void tell_person(struct gate_person *p)
{
    size_t nth = 0;
    list_each (it, next, &p->tickets) tell(container_of(it, struct gate_ticket, link), nth++);
}

static void on_tell(struct timer *timer)
{
    struct gate *g = container_of(timer, struct gate, tell);
    list_each (it, next, &g->channels) {
        struct gate_channel *c = container_of(it, struct gate_channel, link);
        list_each (at, after, &c->people) tell_person(container_of(at, struct gate_person, link));
    }
    if (g->n_waiting) timer_set(g->loop, timer, TELL_MS);
}

/* ---- public ---- */

/* The place, or the waiting, is given up by gate_leave. */
static const struct op_kind enter_kind = { "model.gate", NULL };

void gate_enter(struct models *models, const struct model *m, struct gate_ticket *t, struct op *op,
                struct str channel, struct str person)
{
    struct gate *g = gate_of(models, m);
    t->gate = g;
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
    tell(t, list_length(&t->person->tickets) - 1);
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
