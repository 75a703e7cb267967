/*
 * Questions whose tokens the model counts by itself: when it is asked to, what becomes of the
 * number, and that an answer never depends on it.
 */
#include "tests/flow/turn_world.h"

/* The two messages of a question are 20 tokens here. */
static void begin(enum trouble trouble, int at, int64_t room)
{
    world_open(trouble, at, 0);
    model.count = MODEL_COUNTS;
    model.context_tokens = model.max_tokens + room;
    w.counted = 31;
    chat_start(&w.chat);
    say("e1", "What is it?");
    loop_run_for(&w.loop, 300000);
    cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
}

static void end(void)
{
    model.count = MODEL_ESTIMATES;
    model.context_tokens = 8000;
    world_close();
}

Test(count, only_when_the_window_is_nearly_full)
{
    begin(NO_TROUBLE, 0, 29);
    cr_assert_eq(w.n_counts, 0);
    cr_assert_not(strstr(w.receipt, "counted"));
    end();
    begin(NO_TROUBLE, 0, 28);
    cr_assert_eq(w.n_counts, 1);
    cr_assert(strstr(w.receipt, "\"counted\":31,\"estimated\":20"), "%s", w.receipt);
    cr_assert_eq(n_shown("The answer."), 1);
    end();
}

Test(count, only_if_the_model_is_said_to)
{
    world_open(NO_TROUBLE, 0, 0);
    model.context_tokens = model.max_tokens + 10;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_counts, 0);
    cr_assert_eq(n_shown("The answer."), 1);
    end();
}

Test(count, each_trouble_at_each_op)
{
    begin(NO_TROUBLE, 0, 20);
    int n_ops = w.n_ops > 25 ? 25 : w.n_ops; /* the keeper's never end */
    end();
    for (int at = 1; at <= n_ops; at++)
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            begin(trouble, at, 20);
            cr_assert_geq(w.n_screen, 1, "op %d trouble %d", at, trouble);
            end();
        }
}
