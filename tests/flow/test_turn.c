/*
 * Op torture of intake, turn and delivery, over a fake database, Redis, model and platform.
 *
 * The fakes answer in virtual time. Each scenario makes the N-th op of the run fail (before or
 * after it took effect), or hang until its deadline, or stops everything at that moment; then time
 * passes, and the person must have got exactly one answer, with nothing left alive. Invariants 3,
 * 4, 5, 8.
 */
#include "tests/flow/turn_world.h"

#define NOTICE "My last"

/* What the model wrote, or why there is nothing. */
static int n_answers(void)
{
    return w.n_screen - n_shown(NOTICE);
}

static int ops_of_a_good_run(uint32_t caps)
{
    world_open(NO_TROUBLE, 0, caps);
    say("e1", "What is it?");
    loop_run_for(&w.loop, 1000);
    int n = w.n_ops;
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_eq(n_answers(), 1);
    world_close();
    return n;
}

static void each_trouble_at_each_op(uint32_t caps)
{
    int n_ops = ops_of_a_good_run(caps);
    cr_assert_geq(n_ops, 7);
    for (int at = 1; at <= n_ops; at++) {
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            world_open(trouble, at, caps);
            chat_start(&w.chat);
            say("e1", "What is it?");
            loop_run_for(&w.loop, 300000);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d: status %d", at, trouble,
                         w.rq[0].status);
            /* A lost send is a notice and an answer which arrived, or which /again brings. With a
             * key it is repeated. */
            int n_replies = n_answers(), n_notices = n_shown(NOTICE);
            cr_assert(caps & CHANNEL_KEYED ? n_replies >= 1 && n_notices == 0
                                           : n_replies + n_notices >= 1 && n_replies <= 1,
                      "op %d trouble %d: %d answers, %d notices", at, trouble, n_replies,
                      n_notices);
            cr_assert_eq(w.chat.lanes.n, 0);
            world_close();
        }
    }
}

Test(turn, torture_without_keys)
{
    each_trouble_at_each_op(0);
}

Test(turn, torture_with_keys)
{
    each_trouble_at_each_op(CHANNEL_KEYED);
}

/* Invariant 4: the request was not ours to keep by one look, and is by the next. */
Test(turn, a_reply_that_is_just_being_kept_is_sent)
{
    world_open(NO_TROUBLE, 0, 0);
    w.kept_unseen = true;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 2000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_eq(w.rq[0].attempt, 1);
    cr_assert_eq(n_answers(), 1);
    cr_assert_eq(n_shown(NOTICE), 0);
    world_close();
}

Test(turn, closing_at_every_wait_leaves_nothing)
{
    int n_ops = ops_of_a_good_run(0);
    for (int at = 1; at <= n_ops; at++) {
        world_open(HANG, at, 0);
        struct op op;
        const struct inbound in = { .event_id = STR("e1"),
                                    .where = { .channel = STR("1") },
                                    .text = STR("What is it?") };
        op_init(&op, &w.loop, nobody_waits);
        chat_accept(&w.chat, &op, &w.channel, &in, NULL);
        loop_run_for(&w.loop, 1000); /* it hangs now, somewhere */
        op_cancel(&op);
        world_close();
    }
}

Test(turn, handing_over_at_every_wait_gives_the_request_back)
{
    int n_ops = ops_of_a_good_run(0);
    for (int at = 2; at <= n_ops; at++) {
        world_open(HANG, at, 0);
        say("e1", "What is it?");
        loop_run_for(&w.loop, 1000);
        chat_hand_over(&w.chat);
        loop_run_for(&w.loop, 1000);
        cr_assert(chat_idle(&w.chat), "op %d", at);
        cr_assert(w.rq[0].status == QUEUED || w.rq[0].status == SENDING || w.rq[0].attempt == 0,
                  "op %d: status %d", at, w.rq[0].status);
        world_close();
    }
}

/* Invariant 3: whoever lost the lease writes and sends nothing more. */
Test(turn, a_lost_lease_ends_the_turn_at_every_wait)
{
    int n_ops = ops_of_a_good_run(0);
    for (int at = 3; at <= n_ops; at++) {
        world_open(HANG, at, 0);
        say("e1", "What is it?");
        loop_run_for(&w.loop, 1000);
        struct turn *t = lane_running(&w.chat, w.conversation);
        if (t) {
            w.rq[0].attempt++; /* another process has claimed it */
            int n_before = n_answers();
            turn_lost(t);
            loop_run_for(&w.loop, 100000);
            cr_assert_eq(n_answers(), n_before);
            cr_assert_neq(w.rq[0].status, ENDED);
        }
        world_close();
    }
}

Test(turn, stop_keeps_what_is_written)
{
    world_open(HANG, 4, 0); /* accept, limits, context, ask */
    say("e1", "What is it?");
    loop_run_for(&w.loop, 1000);
    struct turn *t = lane_running(&w.chat, w.conversation);
    cr_assert_str_eq(flow_at(&t->flow), "ask");
    cr_assert(turn_stop(t));
    cr_assert_not(turn_stop(t), "the second time there is nothing to stop");
    loop_run_for(&w.loop, 1000);
    cr_assert_eq(lane_running(&w.chat, w.conversation), NULL);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_str_eq(w.rq[0].outcome, "cancelled");
    cr_assert_eq(w.n_screen, 0, "nothing was written yet: the answer to /stop says all");
    world_close();
}
