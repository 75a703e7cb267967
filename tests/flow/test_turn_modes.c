/*
 * What can happen to a turn besides trouble with one op: queue modes, commands, limits, previews,
 * and what a platform may say to a delivery. Invariants 3, 5, 8.
 */
#include "core/chat/split.h"
#include "tests/flow/turn_world.h"

static void setup(void)
{
    world_open(NO_TROUBLE, 0, 0);
}
static void teardown(void)
{
    world_close();
}
TestSuite(modes, .init = setup, .fini = teardown, .timeout = 120);

/* The N-th op from now on, counted from 1. */
static void make_trouble(enum trouble trouble, int at)
{
    w.trouble = trouble;
    w.trouble_at = w.n_ops + at;
}

static void show_previews(int n_pieces)
{
    type.caps = CHANNEL_CAN_EDIT;
    w.n_pieces = n_pieces;
}

/* A request as another process left it. */
static struct fake_request *left_behind(const char *query, enum status status)
{
    struct fake_request *rq = &w.rq[w.n_rq++];
    *rq =
        (struct fake_request){ .id = uuid_v7(), .conversation = w.conversation, .status = status };
    snprintf(rq->event, sizeof rq->event, "left%d", w.n_rq);
    strcpy(rq->query, query);
    return rq;
}

static void all_is_over(void)
{
    for (int i = 0; i < w.n_rq; i++)
        cr_assert(w.rq[i].status == ENDED || w.rq[i].status == MERGED, "request %d: status %d", i,
                  w.rq[i].status);
    cr_assert_eq(w.chat.lanes.n, 0);
    cr_assert(list_empty(&w.chat.turns));
}

/* Finished messages of the model. */
static int n_finished(void)
{
    int n = 0;
    for (int i = 0; i < w.n_screen; i++) {
        const struct shown *s = &w.screen[i];
        n += !s->deleted && !s->preview && strstr(s->text, "The answer.") != NULL;
    }
    return n;
}

/* ---- queue modes ---- */

Test(modes, replies_come_in_order_of_arrival)
{
    say("e1", "one");
    say("e2", "/status");
    say("e3", "three");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_screen, 3);
    cr_assert(str_starts(str_of(w.screen[1].text), STR("- model")));
    cr_assert_str_eq(w.asked, "three");
}

Test(modes, merge_asks_once)
{
    w.chat.conf.queue = QUEUE_MERGE;
    say("e1", "one");
    say("e2", "two");
    say("e3", "three");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 1);
    cr_assert_str_eq(w.asked, "one\n\ntwo\n\nthree");
    cr_assert_eq(w.n_screen, 1);
}

/* Three photos sent as one: in wait mode, too, they are one question. */
Test(modes, an_album_is_one_question)
{
    w.album = "a1";
    say("e1", "[attached: photo]");
    say("e2", "[attached: photo]");
    w.album = NULL;
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 1);
    say("e3", "one");
    say("e4", "two");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 3, "what comes after it is not merged");
}

Test(modes, merge_leaves_commands_alone)
{
    w.chat.conf.queue = QUEUE_MERGE;
    say("e1", "one");
    say("e2", "/help");
    say("e3", "three");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.n_screen, 3);
    cr_assert(str_starts(str_of(w.screen[1].text), STR("Write to me")));
}

Test(modes, interrupt_asks_anew_however_often)
{
    w.chat.conf.queue = QUEUE_INTERRUPT;
    show_previews(3);
    char event[2] = "a";
    for (; event[0] < 'h'; event[0]++) {
        say(event, event);
        loop_run_for(&w.loop, 1500);
    }
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_str_eq(w.asked, "a\n\nb\n\nc\n\nd\n\ne\n\nf\n\ng");
    cr_assert_eq(w.n_screen, 1, "the same preview grew anew");
    cr_assert_eq(n_finished(), 1);
}

Test(modes, a_command_interrupts_nothing)
{
    w.chat.conf.queue = QUEUE_INTERRUPT;
    w.n_pieces = 3;
    say("e1", "one");
    loop_run_for(&w.loop, 1000);
    say("e2", "/status");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(w.n_screen, 2);
}

/* ---- /stop ---- */

Test(modes, stop_finishes_the_preview)
{
    show_previews(9);
    struct fake_request *rq = say("e1", "one");
    loop_run_for(&w.loop, 3000);
    say("e2", "/stop");
    loop_run_for(&w.loop, 3000);
    all_is_over();
    cr_assert_str_eq(rq->outcome, "cancelled");
    cr_assert_eq(n_previews(), 0);
    cr_assert_eq(n_shown("Stopped."), 1);
    cr_assert(strstr(w.screen[0].text, "(stopped)"));
    cr_assert_eq(w.n_screen, 2);
}

Test(modes, stop_before_the_model_is_asked)
{
    make_trouble(HANG, 3); /* accept, limits, context */
    struct fake_request *rq = say("e1", "one");
    loop_run_for(&w.loop, 1000);
    say("e2", "/stop");
    loop_run_for(&w.loop, 30000);
    all_is_over();
    cr_assert_eq(w.n_asked, 0);
    cr_assert_str_eq(rq->outcome, "cancelled");
    cr_assert_eq(n_shown("Stopped."), 1);
}

Test(modes, stop_is_not_forgotten_by_the_next_process)
{
    struct fake_request *rq = left_behind("one", RUNNING);
    rq->stop_wanted = true;
    strcpy(rq->preview, "m1");
    w.screen[w.n_screen++] = (struct shown){ .id = "m1", .text = "Well", .preview = true };
    chat_start(&w.chat);
    loop_run_for(&w.loop, 5000);
    all_is_over();
    cr_assert_eq(w.n_asked, 0);
    cr_assert_str_eq(rq->outcome, "cancelled");
    cr_assert_eq(n_previews(), 0);
}

Test(modes, stop_with_nothing_to_stop)
{
    say("e1", "/stop");
    loop_run_for(&w.loop, 5000);
    all_is_over();
    cr_assert_eq(n_shown("There is nothing to stop"), 1);
}

Test(modes, an_urgent_request_runs_once_however_slow_its_claim)
{
    left_behind("/stop", QUEUED)->urgent = true;
    make_trouble(HANG, 3); /* sweep, backlog, claim */
    chat_start(&w.chat);
    loop_run_for(&w.loop, 9000);
    int n_turns = 0;
    list_each (it, next, &w.chat.turns) n_turns++;
    cr_assert_eq(n_turns, 1);
    loop_run_for(&w.loop, 30000);
    all_is_over();
    cr_assert_eq(w.n_screen, 1);
}

/* Its lane was about to find out that there was nothing to do. */
Test(modes, a_message_that_is_claimed_while_its_lane_claims)
{
    make_trouble(HANG, 1);
    lane_notify(&w.chat, w.conversation, QUEUE_WAIT);
    loop_run_for(&w.loop, 1);
    struct fake_request *rq = say("e1", "one");
    loop_run_for(&w.loop, 60000);
    all_is_over();
    cr_assert_eq(rq->attempt, 2);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_finished(), 1);
}

Test(modes, a_message_that_is_claimed_while_we_drain_is_left_to_others)
{
    struct op op;
    accept_begin(&op, "e1", "one");
    chat_drain(&w.chat);
    loop_run_for(&w.loop, 1000);
    cr_assert_eq(w.rq[0].attempt, 1, "it had been claimed");
    cr_assert_eq(w.rq[0].status, QUEUED);
    cr_assert_eq(w.n_asked, 0);
    cr_assert(chat_idle(&w.chat));
}

/* The lost answer of the accept may have claimed it. */
Test(modes, a_message_whose_accept_got_lost_waits_for_nobodys_lease)
{
    make_trouble(FAIL_AFTER, 1);
    struct fake_request *rq = say("e1", "one");
    loop_run_for(&w.loop, 100);
    cr_assert_eq(rq->attempt, 1, "it had been claimed");
    cr_assert_eq(rq->status, QUEUED);
}

/* A duplicate begins nothing; nobody else would wake who waits for its place. */
Test(modes, a_place_that_was_not_taken_goes_to_who_waits)
{
    w.chat.conf.turns_max = 1;
    say("e1", "one");
    loop_run_for(&w.loop, 60000);
    struct fake_request *waits = left_behind("two", QUEUED);
    struct op op;
    accept_begin(&op, "e1", "one");
    lane_notify(&w.chat, w.conversation, QUEUE_WAIT);
    cr_assert_eq(w.chat.n_running, 0, "there is no place");
    loop_run_for(&w.loop, 60000);
    all_is_over();
    cr_assert_str_eq(waits->outcome, "answered");
}

/* Acknowledged by the first try, as by any: a refusal of the row would have dropped it. */
Test(modes, a_message_that_another_process_outruns_is_stored_all_the_same)
{
    w.accept_outrun = true;
    cr_assert_eq(accept_once("e1", "one"), ERR_NONE);
    loop_run_for(&w.loop, 60000);
    all_is_over();
    cr_assert_eq(w.chat.n_beginning, 0);
    cr_assert_eq(n_finished(), 1);
}

Test(modes, no_more_turns_begin_than_there_are_places_for)
{
    w.chat.conf.turns_max = 1;
    struct op op;
    accept_begin(&op, "e1", "one");
    cr_assert_not(lane_has_place(&w.chat), "the accept under way has the only one");
    loop_run_for(&w.loop, 60000);
    all_is_over();
    cr_assert(lane_has_place(&w.chat));
}

/* ---- what is not answered, and why ---- */

Test(modes, who_writes_too_fast_is_told_once)
{
    w.n_refusals = 2;
    struct fake_request *first = say("e1", "one"), *second = say("e2", "two");
    say("e3", "three");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_str_eq(first->outcome, "refused");
    cr_assert_str_eq(second->outcome, "refused");
    cr_assert_eq(n_shown("You are writing faster"), 1);
    cr_assert_str_eq(w.asked, "three");
    cr_assert_eq(w.n_screen, 2);
}

Test(modes, an_expired_message_takes_no_other_with_it)
{
    w.chat.conf.queue = QUEUE_MERGE;
    struct fake_request *old = left_behind("old", QUEUED);
    old->age_ms = w.chat.conf.expire_ms + 1;
    left_behind("fresh", QUEUED);
    chat_start(&w.chat);
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_str_eq(old->outcome, "expired");
    cr_assert_eq(n_shown("This message waited"), 1);
    cr_assert_str_eq(w.asked, "fresh");
}

Test(modes, attempts_come_to_an_end)
{
    struct fake_request *rq = left_behind("one", RUNNING);
    rq->attempt = 5;
    chat_start(&w.chat);
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_str_eq(rq->outcome, "refused");
    cr_assert_eq(n_shown("I tried 5 times"), 1);
    cr_assert_eq(w.n_asked, 0);
}

Test(modes, what_postgresql_refuses_is_not_repeated)
{
    w.accept_error = ERR_REFUSED;
    cr_assert_eq(accept_once("e1", "one"), ERR_PROTO);
}

/* ---- previews ---- */

Test(modes, a_preview_becomes_the_answer)
{
    show_previews(6);
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_screen, 1);
    cr_assert_eq(n_finished(), 1);
    cr_assert_gt(w.n_edits, 2);
}

Test(modes, a_preview_fits_where_bytes_count)
{
    type.text_max = SPLIT_MAX_MIN;
    type.text_unit = TEXT_BYTES;
    show_previews(100); /* fake_send checks the length */
    say("e1", "one");
    loop_run_for(&w.loop, 100000);
    all_is_over();
    cr_assert_eq(n_previews(), 0);
    cr_assert_eq(n_finished(), 1);
    cr_assert_eq(w.n_screen, w.rq[0].n_parts);
}

Test(modes, a_deleted_preview_is_sent_anew)
{
    for (int ms = 1500; ms < 6000; ms += 300) {
        show_previews(6);
        say("e1", "one");
        loop_run_for(&w.loop, (uint64_t)ms);
        cr_assert_eq(w.n_screen, 1);
        bool over = w.rq[0].status == ENDED;
        w.screen[0].deleted = true;
        loop_run_for(&w.loop, 10000);
        all_is_over();
        cr_assert_eq(n_finished(), over ? 0 : 1, "deleted after %d ms", ms);
        teardown();
        setup();
    }
}

/* It comes back long after the turn has stopped waiting for it. */
Test(modes, a_preview_that_hangs_does_not_hold_up_the_answer)
{
    w.deadline_ms = 100000;
    show_previews(3);
    make_trouble(HANG, 4); /* accept, limits, context, preview */
    say("e1", "one");
    loop_run_for(&w.loop, 40000);
    all_is_over();
    cr_assert_eq(n_finished(), 1);
    loop_run_for(&w.loop, 100000);
    cr_assert_eq(w.n_screen, 1);
}

Test(modes, previews_with_each_trouble_at_each_op)
{
    show_previews(6);
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    int n_ops = w.n_ops;
    for (int at = 2; at <= n_ops; at++) {
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            teardown();
            world_open(trouble, at, 0);
            show_previews(6);
            chat_start(&w.chat);
            say("e1", "one");
            loop_run_for(&w.loop, 200000);
            all_is_over();
            /* A first preview of which nobody knows whether it was shown may stay behind. */
            cr_assert_leq(n_previews(), trouble == FAIL_AFTER || trouble == HANG,
                          "op %d trouble %d", at, trouble);
            cr_assert_eq(w.n_screen - n_previews(), 1, "op %d trouble %d: %d shown", at, trouble,
                         w.n_screen);
        }
    }
}

/* ---- what a platform may say ---- */

static void send_fails(enum err_kind kind, int times, bool shown_all_the_same)
{
    w.send_error = kind;
    w.n_send_errors = times;
    w.shown_all_the_same = shown_all_the_same;
    say("e1", "one");
    loop_run_for(&w.loop, 600000);
    all_is_over();
}

Test(modes, unknown_outcome_notice)
{
    send_fails(ERR_UNKNOWN, 1, false);
    cr_assert_str_eq(w.rq[0].parts[0].status, "unknown");
    cr_assert_eq(n_shown("My last answer may not have reached you"), 1);
    cr_assert_eq(n_finished(), 0);
}

Test(modes, unknown_outcome_resend)
{
    w.chat.conf.unknown_outcome = UNKNOWN_RESEND;
    send_fails(ERR_UNKNOWN, 1, true);
    cr_assert_str_eq(w.rq[0].parts[0].status, "sent");
    cr_assert_eq(n_finished(), 2, "the risk that this policy takes");
}

Test(modes, unknown_outcome_hold)
{
    w.chat.conf.unknown_outcome = UNKNOWN_HOLD;
    send_fails(ERR_UNKNOWN, 1, false);
    cr_assert_str_eq(w.rq[0].parts[0].status, "unknown");
    cr_assert_eq(w.n_screen, 0);
}

Test(modes, a_refused_send_is_a_dead_letter)
{
    send_fails(ERR_REFUSED, 1, false);
    cr_assert_str_eq(w.rq[0].parts[0].status, "dead");
    cr_assert_eq(w.n_sends, 1);
}

Test(modes, sending_is_tried_so_often_and_no_more)
{
    send_fails(ERR_IO, 100, false);
    cr_assert_str_eq(w.rq[0].parts[0].status, "dead");
    cr_assert_eq(w.n_sends, w.chat.conf.send_attempts);
}

Test(modes, why_a_send_failed_is_recorded_at_the_second_try_too)
{
    w.record_error = ERR_IO;
    send_fails(ERR_UNKNOWN, 1, false);
    cr_assert_str_eq(w.rq[0].parts[0].status, "unknown");
    cr_assert_str_eq(w.recorded, "the platform has its reasons");
}

/* ---- what is about another message ---- */

/* One that is about a message which was there before. */
static enum err_kind event_once(enum inbound_kind kind, const char *message, int vote)
{
    struct op op;
    const struct inbound in = { .kind = kind,
                                .event_id = STR("about"),
                                .where = { .channel = STR("1") },
                                .direct = true,
                                .from = { .id = STR("p1") },
                                .message_id = str_of(message),
                                .vote = vote };
    op_init(&op, &w.loop, nobody_waits);
    chat_accept(&w.chat, &op, &w.channel, &in, NULL);
    while (op_busy(&op)) loop_run_for(&w.loop, 1);
    return op.err.kind;
}

Test(modes, what_was_taken_back_while_it_waited_is_not_answered)
{
    w.n_pieces = 3;
    say("e1", "one");
    say("e2", "two");
    loop_run_for(&w.loop, 100);
    cr_assert_eq(event_once(INBOUND_DELETE, "e2", 0), ERR_NONE);
    cr_assert_eq(event_once(INBOUND_DELETE, "e1", 0), ERR_NONE); /* it is being answered */
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_str_eq(w.asked, "one");
    cr_assert_eq(n_finished(), 1);
}

Test(modes, a_vote_starts_no_turn)
{
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(event_once(INBOUND_VOTE, "m1", -1), ERR_NONE);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.votes, -1);
    cr_assert_eq(w.n_votes_heard, 1);
    cr_assert_eq(w.n_rq, 1);
    cr_assert_eq(w.n_asked, 1);
}

Test(modes, a_vote_before_the_answer_is_recorded_counts)
{
    w.not_recorded_yet = true;
    cr_assert_eq(event_once(INBOUND_VOTE, "m1", -1), ERR_NONE, "the platform does not wait");
    cr_assert_eq(w.votes, 0);
    w.not_recorded_yet = false;
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.votes, -1);
}

Test(modes, a_vote_on_what_is_not_ours_is_let_go)
{
    w.not_recorded_yet = true;
    cr_assert_eq(event_once(INBOUND_VOTE, "m1", 1), ERR_NONE);
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_votes_heard, 2);
    cr_assert_eq(w.n_live, 0);
}

Test(modes, regenerate_asks_the_last_question_anew)
{
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    say("e2", "/regenerate");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 2);
    cr_assert_str_eq(w.asked, "one");
    cr_assert_eq(n_finished(), 2);
}

Test(modes, regenerate_without_a_question_says_so)
{
    say("e1", "/regenerate");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 0);
    cr_assert_eq(n_shown("There is no question yet"), 1);
}

Test(modes, a_late_answer_says_so)
{
    w.late_ms = 12 * 60000;
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("_(a late answer: you wrote this 12 min before I saw it)_"), 1);
}

/* Else "is thinking" would stand there for ever. */
Test(modes, a_message_with_a_ticket_is_never_refused_in_silence)
{
    w.n_refusals = 2;
    w.ticket = STR("sealed");
    say("e1", "one");
    say("e2", "two");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(n_shown("You are writing faster"), 2);
}

/* ---- the next model ---- */

/* One question to a route of two models, whose first fails after some pieces. */
static void fail_over(enum err_kind error, int n_pieces_, int midway)
{
    route.n = 2;
    route.midway = midway;
    w.n_pieces = n_pieces_;
    w.n_model_errors = 1;
    w.model_error = error;
    say("e1", "one");
    loop_run_for(&w.loop, 60000);
    all_is_over();
    route.n = 1;
    route.midway = ROUTE_REPLACE;
}

Test(modes, the_next_model_answers)
{
    static const enum err_kind errors[] = { ERR_IO,    ERR_TIMEOUT, ERR_PROTO,    ERR_UNKNOWN,
                                            ERR_LIMIT, ERR_AUTH,    ERR_NOT_FOUND };
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if (errors[i] == ERR_LIMIT) second_model.context_tokens = 16000;
        fail_over(errors[i], 0, ROUTE_REPLACE);
        cr_assert_str_eq(w.last_model, "second", "%zu", i);
        cr_assert_eq(n_shown("The answer."), 1, "%zu", i);
        second_model.context_tokens = 8000;
        world_close();
        world_open(NO_TROUBLE, 0, 0);
    }
}

Test(modes, what_is_too_long_goes_to_a_larger_window_only)
{
    fail_over(ERR_LIMIT, 0, ROUTE_REPLACE);
    cr_assert_str_eq(w.last_model, "fake");
    cr_assert_eq(
        n_shown("I could not get an answer from the model fake. That is more than I may do "
                "right now. Please try later. You can also choose another with /model."),
        1);
}

Test(modes, a_refusal_is_no_failure)
{
    fail_over(ERR_REFUSED, 0, ROUTE_REPLACE);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("I could not get an answer"), 1);
}

Test(modes, half_an_answer_is_replaced_in_its_message)
{
    show_previews(6);
    fail_over(ERR_UNKNOWN, 6, ROUTE_REPLACE);
    cr_assert_eq(w.n_screen, 1, "one message");
    cr_assert_eq(n_shown("Well, Well, Well, Well, Well, Well, The answer."), 1);
}

Test(modes, half_an_answer_is_gone_on_with)
{
    show_previews(3);
    fail_over(ERR_UNKNOWN, 3, ROUTE_CONTINUE);
    cr_assert_eq(w.n_screen, 1, "one message");
    cr_assert_eq(n_shown("Well, Well, Well, Well, Well, Well, The answer."), 1);
    cr_assert(str_starts(str_of(w.asked), STR("Your answer broke off")));
}

Test(modes, half_an_answer_is_kept)
{
    show_previews(3);
    fail_over(ERR_UNKNOWN, 3, ROUTE_KEEP);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("Well, Well, Well, \n\n_(the connection"), 1);
}

/* ---- money ---- */

static void with_budget(void)
{
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
    w.settled = -1;
}

Test(modes, money_is_set_aside_and_settled)
{
    with_budget();
    w.n_alerts = 1;
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.set_aside, 24 + 1000, "115 %% of 20 tokens and one, and the longest answer");
    cr_assert_geq(w.settled, 0);
    cr_assert_eq(
        n_shown("The answer.\n\n_(Your budget for today is nearly used up: $0.800 of $1.00)_"), 1);
}

Test(modes, no_money_no_question)
{
    with_budget();
    w.no_money = true;
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    all_is_over();
    cr_assert_eq(w.n_asked, 0);
    cr_assert_eq(w.settled, -1, "there is nothing to settle");
    cr_assert_eq(n_shown("Your budget for today is used up: $0.800 of $1.00 are spent"), 1);
}

Test(modes, every_model_of_a_route_needs_a_price_under_a_budget)
{
    with_budget();
    route.n = 2;
    w.second_unpriced = true;
    say("e1", "one");
    loop_run_for(&w.loop, 10000);
    route.n = 1;
    cr_assert_eq(w.n_asked, 0);
    cr_assert_eq(n_shown("There is a budget here, but the model second has no price"), 1);
}

Test(modes, pictures_go_to_models_that_see)
{
    w.pictures = STR("[\"https://cdn.example/a.png\", \"https://cdn.example/b.png\"]");
    say("e1", "what is on them?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_pictures_asked, 0);
    model.sees = true;
    say("e2", "and now?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_pictures_asked, 2);
    model.sees = false;
}

Test(modes, pictures_that_are_kept_here_are_loaded)
{
    model.sees = true;
    w.pictures = STR("[\"attachment:" KEPT_PICTURE "\", \"https://cdn.example/b.png\"]");
    say("e1", "what is on them?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_pictures_asked, 2);
    cr_assert_str_eq(w.picture_asked, "image/png QUJD");
    w.pictures = STR("[\"attachment:" KEPT_PICTURE "\", \"attachment:../etc\","
                     " \"attachment:01890000-0000-7000-8000-000000000002\"]");
    say("e2", "and the others?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_pictures_asked, 1, "what is gone is left out");
    model.sees = false;
}

#define PNG_DATA "image/png iVBORw0KGgo="

/* What the model reads and sees when these are sent along. */
static const struct {
    const char *pictures, *asked, *first;
    size_t n_seen;
    int n_fetched;
} sendings[] = {
    { "\"https://x/a.png?key=1\"", "look", PNG_DATA, 1, 1 },
    { "\"https://x/gone.png\", \"https://x/b.png\"",
      "look\n[picture gone.png could not be loaded: its server answered 404]", PNG_DATA, 1, 2 },
    { "\"https://x/moved.png\"",
      "look\n[picture moved.png could not be loaded: its server sends one elsewhere]", "", 0, 1 },
    { "\"https://x/page.png\"", "look\n[picture page.png could not be loaded: it is no picture]",
      "", 0, 1 },
    { "\"https://x/big.png\"", "look\n[picture big.png could not be loaded: it is too large]", "",
      0, 1 },
    { "\"https://x/private.png\"",
      "look\n[picture private.png could not be loaded: its address is not a public one]", "", 0,
      1 },
    { "\"https://x/away.png\"",
      "look\n[picture away.png could not be loaded: its server could not be reached]", "", 0, 1 },
    { "\"https://x/slow.png\", \"https://x/b.png\"",
      "look\n[picture slow.png could not be loaded: it took too long]", PNG_DATA, 1, 2 },
    { "\"http://x/a.png\"",
      "look\n[picture a.png could not be loaded: its address is none that is fetched]", "", 0, 0 },
    { "\"file:///etc/passwd\"",
      "look\n[picture 1 could not be loaded: its address is none that is fetched]", "", 0, 0 },
    { "\"channel:cat\", \"channel:dog\"", "look\n[picture 2 could not be loaded: no such file]",
      "image/gif R0lGODlh", 1, 0 },
    { "\"channel:cat\", \"https://x/2\", \"https://x/3\", \"https://x/4\", \"https://x/5\","
      " \"https://x/6\", \"https://x/7\", \"https://x/8\", \"https://x/9\"",
      "look\n[picture 9 could not be loaded: there are too many]", "image/gif R0lGODlh", 8, 7 },
};

Test(modes, pictures_are_fetched_and_what_cannot_be_had_is_named)
{
    model.sees = true;
    for (size_t i = 0; i < sizeof sendings / sizeof *sendings; i++) {
        char event[16], pictures[1024];
        snprintf(event, sizeof event, "p%zu", i);
        snprintf(pictures, sizeof pictures, "[%s]", sendings[i].pictures);
        w.pictures = str_of(pictures);
        w.n_fetched = w.n_rq = w.n_screen = 0;
        w.picture_asked[0] = 0;
        say(event, "look");
        loop_run_for(&w.loop, 30000);
        cr_expect_str_eq(w.asked, sendings[i].asked);
        cr_expect_str_eq(w.picture_asked, sendings[i].first);
        cr_expect_eq(w.n_pictures_asked, sendings[i].n_seen, "%s", pictures);
        cr_expect_eq(w.n_fetched, sendings[i].n_fetched, "%s", pictures);
        cr_expect_eq(n_shown("The answer."), 1, "%s", pictures);
    }
    cr_expect_not(w.fetched_unguarded);
    model.sees = false;
}

Test(modes, only_hosts_that_are_named_may_be_private)
{
    const char *hosts[] = { "files.test:8080" };
    w.chat.conf.picture_hosts = (struct conf_list){ 1, hosts };
    model.sees = true;
    w.pictures = STR("[\"http://files.test:8080@10.0.0.1/a.png\", \"http://files.test:80/a.png\","
                     " \"https://files.test/a.png\"]");
    say("e1", "look");
    loop_run_for(&w.loop, 10000);
    cr_expect_eq(w.n_fetched, 1);
    cr_expect_not(w.fetched_unguarded);
    w.pictures = STR("[\"http://files.test:8080/a.png\"]");
    say("e2", "look");
    loop_run_for(&w.loop, 10000);
    cr_expect(w.fetched_unguarded);
    cr_expect_eq(w.n_pictures_asked, 1);
    model.sees = false;
}

Test(modes, stopping_while_pictures_are_fetched)
{
    model.sees = true;
    w.pictures = STR("[\"https://x/slow.png\", \"channel:cat\"]");
    say("e1", "look");
    loop_run_for(&w.loop, 2000);
    cr_assert_eq(w.n_fetched, 1);
    chat_hand_over(&w.chat);
    loop_run_for(&w.loop, 1000);
    cr_expect_eq(w.n_asked, 0);
    model.sees = false;
}

Test(modes, a_code_from_here_is_taken_there)
{
    say("e1", "/link");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("Write `/link "), 1);
    cr_assert_eq(strlen(w.code_hash), 64, "the database has the hash only");
    char typed[32];
    snprintf(typed, sizeof typed, "/link %.9s", strchr(w.screen[0].text, '`') + 7);
    for (char *c = typed + 6; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c += 'a' - 'A';
    say("e2", typed);
    say("e3", "/link 0000-0000");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("Done: from now on"), 1);
    cr_assert_eq(n_shown("I do not know this code"), 1);
}
