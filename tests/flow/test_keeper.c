/*
 * Leases of running turns: all are renewed in time, in groups, also when PostgreSQL is away for a
 * while. Invariant 3: nobody else takes what is being answered here.
 */
#include "tests/flow/turn_world.h"

#define LEASE_MS 30000 /* of the world's chat */
#define GROUP    500   /* keeper's RENEW_MAX */

static struct turn *turns;
static size_t n_turns;

static void setup(void)
{
    world_open(NO_TROUBLE, 0, 0);
    cr_assert_eq(w.chat.conf.lease_ms, LEASE_MS);
    chat_start(&w.chat);
}
static void teardown(void)
{
    for (size_t i = 0; i < n_turns; i++) list_drop(&turns[i].flow.link);
    free(turns);
    world_close();
}
TestSuite(keeper, .init = setup, .fini = teardown, .timeout = 60);

/* Turns whose answers take long; their leases begin now. */
static void busy_with(size_t n)
{
    n_turns = n;
    turns = mem_grow(NULL, n * sizeof *turns);
    for (size_t i = 0; i < n; i++) {
        turns[i] = (struct turn){ .renewed_ms = clock_ms(),
                                  .request = { .request = uuid_v7(), .attempt = 1 } };
        uuid_text(&turns[i].request.request, turns[i].id);
        list_push(&w.chat.turns, &turns[i].flow.link);
    }
}

static size_t n_renewed(void)
{
    size_t n = 0;
    for (int i = 0; i < w.n_renewals; i++) n += w.renewed[i];
    return n;
}

Test(keeper, renews_each_lease_once_a_third)
{
    busy_with(3);
    loop_run_for(&w.loop, LEASE_MS / 3 - 1000);
    cr_expect_eq(w.n_renewals, 0);
    loop_run_for(&w.loop, LEASE_MS / 3);
    cr_expect_eq(n_renewed(), 3, "%zu", n_renewed());
    loop_run_for(&w.loop, LEASE_MS);
    cr_expect_eq(n_renewed() % 3, 0);
    cr_expect_leq(w.n_renewals, 4, "%d", w.n_renewals);
}

Test(keeper, renews_many_leases_in_groups)
{
    busy_with(2 * GROUP + 200);
    loop_run_for(&w.loop, LEASE_MS / 2 + 1000);
    cr_expect_eq(n_renewed(), 2 * GROUP + 200, "%zu", n_renewed());
    cr_expect_eq(w.n_renewals, 3);
    cr_expect_eq(w.renewed[0], GROUP);
    cr_expect_eq(w.renewed[1], GROUP);
    cr_expect_eq(w.renewed[2], 200);
}

Test(keeper, a_renewal_that_fails_is_tried_again_before_the_lease_ends)
{
    w.n_renew_errors = 2;
    busy_with(2);
    loop_run_for(&w.loop, LEASE_MS - 5000);
    cr_expect_eq(w.n_renewals, 3, "%d", w.n_renewals);
    for (int i = 0; i < w.n_renewals; i++) cr_expect_eq(w.renewed[i], 2);
}

Test(keeper, of_many_the_group_that_failed_is_tried_again)
{
    w.n_renew_errors = 2;
    busy_with(GROUP + 100);
    loop_run_for(&w.loop, LEASE_MS - 5000);
    cr_expect_eq(n_renewed(), 3 * GROUP + 100, "%zu", n_renewed());
}

Test(keeper, an_answer_that_takes_longer_than_a_lease_is_written_to_its_end)
{
    w.n_renew_errors = 2;
    w.n_pieces = 3 * LEASE_MS / w.piece_ms;
    say("e1", "A long one, please.");
    loop_run_for(&w.loop, 4 * LEASE_MS);
    cr_expect_eq(w.rq[0].status, ENDED, "%d", w.rq[0].status);
    cr_expect_eq(w.rq[0].attempt, 1);
    cr_expect_geq(w.n_renewals, 6, "%d", w.n_renewals);
}
