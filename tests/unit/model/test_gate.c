/* Who is next at a model that answers a few at a time. */
#include "core/model/gate.h"
#include "core/model/models.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define ASKERS_MAX 64

static struct loop loop;
static struct models_common common;
static struct models models = { .common = &common };
static struct model model = { .name = "m", .provider = "", .running_max = 1 };
static struct asker {
    struct gate_ticket ticket;
    struct op op;
    size_t place;
    uint64_t wait_ms;
} askers[ASKERS_MAX];
static int order[ASKERS_MAX]; /* who came in, in this order */
static int n_in;

static void on_in(struct op *op)
{
    struct asker *a = container_of(op, struct asker, op);
    if (op->err.kind == ERR_NONE) order[n_in++] = (int)(a - askers);
}

static void on_place(void *ctx, size_t place, uint64_t wait_ms)
{
    struct asker *a = ctx;
    a->place = place;
    a->wait_ms = wait_ms;
}

static void setup(void)
{
    loop_open(&loop);
    models.loop = &loop;
    model.running_max = 1;
}

static void teardown(void)
{
    for (int i = 0; i < ASKERS_MAX; i++) {
        op_cancel(&askers[i].op);
        gate_leave(&askers[i].ticket, 0);
    }
    gates_free(common.gates);
    loop_run_for(&loop, 1);
    loop_close(&loop);
}

TestSuite(gate, .init = setup, .fini = teardown, .timeout = 20);

static void enter_with(int i, const struct model *m, const char *channel, const char *person,
                       int64_t tokens)
{
    struct asker *a = &askers[i];
    a->ticket.on_place = on_place;
    a->ticket.ctx = a;
    op_init(&a->op, &loop, on_in);
    gate_enter(&models, m, &a->ticket, &a->op, str_of(channel), str_of(person), tokens);
    loop_run_for(&loop, 1);
}

static void enter(int i, const char *channel, const char *person)
{
    enter_with(i, &model, channel, person, 100);
}

static void leave(int i)
{
    op_cancel(&askers[i].op);
    gate_leave(&askers[i].ticket, 1000);
    loop_run_for(&loop, 1);
}

/* Each that is in leaves, until nobody is. */
static void expect_order(const char *want)
{
    char got[256] = "";
    size_t n = 0;
    for (int i = 0; i < n_in; i++) {
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%d ", order[i]);
        leave(order[i]);
    }
    cr_expect_str_eq(got, want);
}

Test(gate, one_after_the_other)
{
    for (int i = 0; i < 4; i++) enter(i, "a", "ann");
    cr_expect_eq(n_in, 1);
    cr_expect(askers[1].place == 1 && askers[2].place == 2 && askers[3].place == 3);
    cr_expect(askers[1].wait_ms > 0 && askers[3].wait_ms == 3 * askers[1].wait_ms);
    expect_order("0 1 2 3 ");
}

/* Ten messages of a group, and then one in private: it is the second to be answered. */
Test(gate, a_noisy_group_does_not_starve_a_quiet_one)
{
    for (int i = 0; i < 10; i++) enter(i, "group", i % 2 ? "ann" : "bob");
    enter(10, "private", "eve");
    cr_expect_eq(askers[10].place, 2, "after who is next, and before the rest: %zu",
                 askers[10].place);
    expect_order("0 1 10 2 3 4 5 6 7 8 9 ");
}

Test(gate, people_of_a_channel_take_turns)
{
    for (int i = 0; i < 6; i++) enter(i, "group", "ann");
    enter(6, "group", "bob");
    enter(7, "group", "bob");
    expect_order("0 1 6 2 7 3 4 5 ");
}

/* Four short questions are as much as a long one. */
Test(gate, long_questions_take_more_of_the_turns)
{
    enter(0, "group", "eve");
    for (int i = 1; i < 5; i++) enter_with(i, &model, "group", "ann", 1900);
    for (int i = 5; i < 15; i++) enter_with(i, &model, "group", "bob", 100);
    cr_expect_eq(askers[14].place, 13, "one of the long ones is behind it: %zu", askers[14].place);
    expect_order("0 1 5 6 7 8 2 9 10 11 12 3 13 14 4 ");
}

/* What was before does not count: who was alone for long is not behind for as long. */
Test(gate, whoever_comes_begins_where_the_others_are)
{
    for (int i = 0; i < 20; i++) enter(i, "group", "ann");
    for (int i = 0; i < 10; i++) leave(i);
    for (int i = 20; i < 23; i++) enter(i, "private", "bob");
    cr_expect_eq(n_in, 11);
    expect_order("0 1 2 3 4 5 6 7 8 9 10 11 20 12 21 13 22 14 15 16 17 18 19 ");
}

Test(gate, models_of_a_provider_share_its_limit)
{
    struct model one = { .name = "one", .provider = "p", .running_max = 2 };
    struct model two = { .name = "two", .provider = "p", .running_max = 2 };
    struct model other = { .name = "other", .provider = "q", .running_max = 2 };
    enter_with(0, &one, "a", "ann", 100);
    enter_with(1, &two, "a", "ann", 100);
    enter_with(2, &two, "a", "ann", 100);
    cr_expect_eq(n_in, 2);
    enter_with(3, &other, "a", "ann", 100);
    cr_expect(n_in == 3 && order[2] == 3);
    gate_forget(&common.gates, &one); /* the other one is still asked */
    leave(0);
    cr_expect(n_in == 4 && order[3] == 2);
}

/* What is foretold is what happens. */
Test(gate, places_are_true)
{
    size_t foretold[ASKERS_MAX];
    for (int i = 0; i < 20; i++) {
        static const char *const channels[] = { "a", "a", "a", "b", "c" };
        char person[8];
        snprintf(person, sizeof(person), "p%d", i * 7 % 4);
        enter(i, channels[i % 5], person);
    }
    loop_run_for(&loop, 2100); /* told anew */
    for (int i = 1; i < 20; i++) foretold[i] = askers[i].place;
    for (int i = 0; i < n_in; i++) {
        if (i) cr_expect_eq(foretold[order[i]], (size_t)i, "%d", order[i]);
        leave(order[i]);
    }
    cr_expect_eq(n_in, 20);
}

Test(gate, as_many_at_once_as_configured)
{
    model.running_max = 3;
    for (int i = 0; i < 5; i++) enter(i, "a", "ann");
    cr_expect_eq(n_in, 3);
    leave(1);
    cr_expect_eq(n_in, 4);
}

Test(gate, who_gives_up_frees_the_place)
{
    for (int i = 0; i < 3; i++) enter(i, "a", "ann");
    leave(1);
    expect_order("0 2 ");
    enter(3, "a", "ann");
    op_cancel(&askers[3].op);
    gate_leave(&askers[3].ticket, 0);
    gate_leave(&askers[3].ticket, 0);
    enter(4, "a", "ann");
    cr_expect_eq(order[n_in - 1], 4);
}

/* Admitted and cancelled in one turn of the loop. */
Test(gate, a_place_is_not_lost_between_the_two)
{
    enter(0, "a", "ann");
    struct asker *a = &askers[1];
    op_init(&a->op, &loop, on_in);
    gate_enter(&models, &model, &a->ticket, &a->op, STR("a"), STR("ann"), 100);
    gate_leave(&askers[0].ticket, 0);
    op_cancel(&a->op);
    gate_leave(&a->ticket, 0);
    enter(2, "a", "ann");
    cr_expect_eq(n_in, 2);
    cr_expect_eq(order[1], 2);
}
