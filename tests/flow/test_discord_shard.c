/*
 * A shard over a gateway that behaves as Discord's does: sessions begin, are resumed, end; events
 * are stored before Discord may forget them, whatever fails. Invariants 1, 2, 8.
 */
#include "discord_fakes.h"

TestSuite(discord_shard, .init = fakes_open, .fini = fakes_close, .timeout = 60);

static void run_s(uint64_t seconds)
{
    loop_run_for(&fx.loop, seconds * 1000);
}

static void expect_messages(size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < fx.n_accepted; i++) found += fx.in[i].kind == INBOUND_MESSAGE;
    cr_expect_eq(found, n, "%zu messages stored, not %zu", found, n);
}

static void open_live(void)
{
    shard_open();
    run_s(1);
    cr_assert_eq(fx.n_identifies, 1);
    cr_assert(fx.bot.channel.up, "%s", fx.log);
}

Test(discord_shard, identifies_as_the_documentation_says)
{
    open_live();
    cr_expect_str_eq(fx.dialled, "wss://gateway.test/?v=10&encoding=json&compress=zlib-stream");
    struct json *doc;
    int64_t intents = 0, n = -1;
    struct str token = STR_NONE;
    cr_assert_eq(json_parse(str_of(fx.identify), &doc, NULL), ERR_NONE);
    struct json *d = json_get(doc, "d");
    json_get_i64(d, "intents", &intents);
    json_get_str(d, "token", &token);
    cr_expect_eq(intents, 46593);
    cr_expect(str_eq(token, STR("TOKEN.secret")), "without \"Bot \"");
    cr_expect(json_i64(json_at(json_get(d, "shard"), 1), &n) && n == 1);
    json_free(doc);
    cr_expect_str_eq(fx.bot.id, ME);
    cr_expect_str_eq(fx.bot.application, APP);
    cr_expect(strstr(fx.lease_state, "session-1"), "a session is kept at once: %s", fx.lease_state);
}

Test(discord_shard, without_message_content_the_intent_is_not_asked_for)
{
    fx.bot.message_content = false;
    open_live();
    cr_expect(strstr(fx.identify, "\"intents\":13825"), "%s", fx.identify);
}

Test(discord_shard, stores_what_comes_and_says_how_far)
{
    open_live();
    for (int i = 0; i < 5; i++) message("hello");
    dispatch("TYPING_START", "{}");
    run_s(1);
    expect_messages(5);
    cr_expect_str_eq(fx.texts[0], "hello");
    run_s(60);
    cr_expect_geq(fx.n_beats, 1);
    cr_expect_eq(fx.beat_seq, fx.n_events);
    cr_expect_eq(saved("seq"), fx.n_events);
    cr_expect_eq(fx.n_dials, 1);
}

/* Invariant 1: what hangs on its way into the database is not confirmed, nor is what came after. */
Test(discord_shard, confirms_only_what_is_stored)
{
    open_live();
    message("one");
    run_s(1);
    fx.slow_accepts = true;
    message("two");
    dispatch("TYPING_START", "{}");
    message("three");
    run_s(50);
    cr_expect_eq(fx.beat_seq, 2);
    cr_expect_eq(saved("seq"), 2);
    accepts_go();
    run_s(45);
    cr_expect_eq(fx.beat_seq, fx.n_events);
    expect_messages(3);
}

Test(discord_shard, tries_again_while_the_database_is_away)
{
    open_live();
    fx.db_away = true;
    for (int i = 0; i < 3; i++) message("hello");
    run_s(30);
    cr_expect_eq(fx.n_accepted, 0);
    fx.db_away = false;
    run_s(15);
    expect_messages(3);
    run_s(45);
    cr_expect_eq(fx.beat_seq, fx.n_events);
}

Test(discord_shard, what_can_never_be_stored_does_not_stop_the_rest)
{
    fx.refuse_event = "m:2000000000000000003";
    open_live();
    for (int i = 0; i < 4; i++) message("hello");
    run_s(60);
    expect_messages(3);
    cr_expect_eq(fx.beat_seq, fx.n_events);
    cr_expect(strstr(fx.log, "cannot be stored, dropped"));
}

/* --- the connection ends --- */

Test(discord_shard, resumes_where_it_was_after_a_lost_socket)
{
    open_live();
    message("before");
    run_s(1);
    wire_end(fx.wire, 0);
    message("meanwhile");
    run_s(5);
    cr_expect_eq(fx.n_resumes, 1);
    cr_expect_eq(fx.resumed_from, 2);
    cr_expect_eq(fx.n_identifies, 1);
    cr_expect_str_eq(fx.dialled, "wss://resume.test/?v=10&encoding=json&compress=zlib-stream",
                     "at the session's own address, with the same query");
    message("after");
    run_s(1);
    expect_messages(3);
    cr_expect_str_eq(fx.texts[1], "meanwhile");
}

Test(discord_shard, op_7_is_obeyed_at_once_and_keeps_the_session)
{
    open_live();
    wire_say(fx.wire, "{\"t\":null,\"s\":null,\"op\":7,\"d\":null}");
    message("meanwhile");
    run_s(1);
    cr_expect_eq(fx.closed_with, 4000);
    cr_expect_eq(fx.n_resumes, 1);
    expect_messages(1);
}

Test(discord_shard, op_9_true_resumes_and_false_begins_anew)
{
    open_live();
    wire_say(fx.wire, "{\"t\":null,\"s\":null,\"op\":9,\"d\":true}");
    run_s(10);
    cr_expect_eq(fx.n_resumes, 1);
    cr_expect_eq(fx.n_identifies, 1);
    fx.session = 0;
    wire_say(fx.wire, "{\"t\":null,\"s\":null,\"op\":9,\"d\":false}");
    run_s(20);
    cr_expect_eq(fx.n_resumes, 1);
    cr_expect_eq(fx.n_identifies, 2);
    message("after");
    run_s(1);
    expect_messages(1);
}

Test(discord_shard, every_close_code)
{
    static const struct {
        int code;
        unsigned resumes, identifies;
    } codes[] = {
        { 0, 1, 0 },    { 1000, 0, 1 }, { 1001, 0, 1 }, { 1006, 1, 0 }, { 4000, 1, 0 },
        { 4001, 1, 0 }, { 4002, 1, 0 }, { 4003, 0, 1 }, { 4004, 0, 0 }, { 4005, 0, 1 },
        { 4006, 0, 1 }, { 4007, 0, 1 }, { 4008, 1, 0 }, { 4009, 1, 0 }, { 4010, 0, 0 },
        { 4011, 0, 0 }, { 4012, 0, 0 }, { 4013, 0, 0 }, { 4014, 0, 0 }, { 4321, 1, 0 },
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (i) {
            fakes_close();
            fakes_open();
        }
        open_live();
        wire_end(fx.wire, codes[i].code);
        run_s(30);
        cr_expect_eq(fx.n_resumes, codes[i].resumes, "%d: %u resumes", codes[i].code, fx.n_resumes);
        cr_expect_eq(fx.n_identifies - 1, codes[i].identifies, "%d: %u identifies", codes[i].code,
                     fx.n_identifies - 1);
        bool stopped = !codes[i].resumes && !codes[i].identifies;
        cr_expect_eq(fx.bot.channel.up, !stopped, "%d", codes[i].code);
        cr_expect_eq(fx.wire == NULL, stopped, "%d", codes[i].code);
    }
}

Test(discord_shard, a_zombie_is_left_and_resumed)
{
    open_live();
    fx.no_acks = true;
    message("before");
    run_s(2 * BEAT_MS / 1000 + 5);
    fx.no_acks = false;
    run_s(20);
    cr_expect_geq(fx.n_resumes, 1);
    cr_expect_eq(fx.n_identifies, 1);
    message("after");
    run_s(1);
    expect_messages(2);
}

Test(discord_shard, op_1_is_answered_at_once)
{
    open_live();
    unsigned before = fx.n_beats;
    wire_say(fx.wire, "{\"t\":null,\"s\":null,\"op\":1,\"d\":null}");
    cr_expect_eq(fx.n_beats, before + 1);
}

Test(discord_shard, a_hello_that_never_comes)
{
    fx.no_hello = true;
    shard_open();
    run_s(30);
    fx.no_hello = false;
    run_s(60);
    cr_expect_geq(fx.n_dials, 2);
    cr_expect(fx.bot.channel.up);
}

Test(discord_shard, a_ready_that_never_comes_does_not_burn_sessions)
{
    fx.no_ready = true;
    shard_open();
    run_s(3600);
    cr_expect_leq(fx.n_identifies, 5 + 5 * 6, "at most 5 in 10 minutes: %u", fx.n_identifies);
    cr_expect_geq(fx.n_identifies, 2);
    cr_expect_not(fx.bot.channel.up);
    fx.no_ready = false;
    run_s(700);
    cr_expect(fx.bot.channel.up);
}

Test(discord_shard, a_resume_that_is_never_confirmed_ends_in_a_new_session)
{
    open_live();
    fx.no_resumed = true;
    wire_end(fx.wire, 0);
    run_s(240);
    cr_expect_eq(fx.n_resumes, 3);
    cr_expect_eq(fx.n_identifies, 2);
    cr_expect(fx.bot.channel.up);
}

Test(discord_shard, dials_that_fail_back_off)
{
    fx.refuse_dials = true;
    shard_open();
    run_s(600);
    cr_expect_leq(fx.n_dials, 40, "%u", fx.n_dials);
    cr_expect_not(fx.bot.channel.up);
    cr_expect_geq(fx.n_down, 1);
    fx.refuse_dials = false;
    run_s(700);
    cr_expect(fx.bot.channel.up);
}

Test(discord_shard, the_day_s_sessions_are_used_up)
{
    fx.remaining = 0;
    fx.reset_after = 3600000;
    shard_open();
    run_s(3000);
    cr_expect_eq(fx.n_dials, 0);
    cr_expect_eq(fx.n_identifies, 0);
    cr_expect_eq(fx.last_down.kind, ERR_LIMIT);
    fx.remaining = 1000;
    run_s(700);
    cr_expect_eq(fx.n_identifies, 1);
}

/* --- several processes --- */

Test(discord_shard, another_process_resumes_the_session)
{
    open_live();
    message("one");
    run_s(20);
    struct discord_shard *killed = fx.shard; /* kill -9: nothing is saved, the socket is gone */
    int64_t before = saved("seq");
    cr_assert_eq(before, 2);
    message("two"); /* stored by the dead one, after its last save */
    op_cancel(&killed->save);
    timer_clear(&fx.loop, &killed->save_timer);
    killed->fence = 0;
    discord_shard_stop(killed);
    fx.host.owner = "host:2:bb";
    message("three");
    shard_open();
    run_s(5);
    cr_expect_eq(fx.n_resumes, 1);
    cr_expect_eq(fx.resumed_from, before);
    cr_expect_eq(fx.n_identifies, 1, "a resume costs nothing");
    expect_messages(3);
    cr_expect_eq(fx.n_accepts, 4, "the second one comes again, and is known");
}

Test(discord_shard, a_stop_saves_the_session_and_gives_the_lease_back)
{
    open_live();
    message("one");
    run_s(1);
    shard_close();
    cr_expect_eq(saved("seq"), 2);
    cr_expect_str_eq(fx.lease_owner, "");
    cr_expect_neq(fx.session, 0, "the session lives");
    message("two");
    fx.host.owner = "host:2:bb";
    shard_open();
    run_s(5);
    cr_expect_eq(fx.n_resumes, 1);
    expect_messages(2);
}

Test(discord_shard, stands_by_while_another_process_has_the_lease)
{
    fx.lease_taken = true;
    shard_open();
    run_s(60);
    cr_expect_eq(fx.n_dials, 0);
    cr_expect(fx.bot.channel.up);
    fx.lease_taken = false;
    run_s(10);
    cr_expect_eq(fx.n_identifies, 1);
}

Test(discord_shard, who_lost_the_lease_hangs_up)
{
    open_live();
    fx.lease_taken = true;
    run_s(10);
    cr_expect_eq(fx.wire, NULL);
    cr_expect_neq(fx.session, 0, "without ending the session of the other one");
    run_s(60);
    cr_expect_eq(fx.n_dials, 1);
}

/* --- what is about other messages, threads, interactions --- */

Test(discord_shard, a_deletion_waits_for_its_message)
{
    open_live();
    fx.slow_accepts = true;
    message("one");
    dispatch("MESSAGE_DELETE", "{\"id\":\"2000000000000000002\",\"channel_id\":\"" CHANNEL "\"}");
    run_s(1);
    cr_expect_eq(fx.n_accepts, 1);
    fx.slow_accepts = false;
    accepts_go();
    run_s(1);
    cr_expect_eq(fx.n_accepts, 2);
    cr_expect_eq(fx.in[1].kind, INBOUND_DELETE);
}

Test(discord_shard, deletions_of_what_was_never_taken_cost_nothing)
{
    open_live();
    for (int i = 0; i < 20; i++)
        dispatch("MESSAGE_DELETE",
                 "{\"id\":\"%d00000000000000000\",\"channel_id\":\"" CHANNEL "\"}", 30 + i);
    run_s(60);
    cr_expect_eq(fx.n_accepts, 0);
    cr_expect_eq(fx.beat_seq, fx.n_events);
}

static void in_thread(int id)
{
    dispatch("MESSAGE_CREATE",
             "{\"id\":\"20000000000000000%02d\",\"channel_id\":\"" THREAD "\",\"guild_id\":\"" GUILD
             "\",\"channel_type\":11,\"type\":0,\"author\":{\"id\":\"" ALICE
             "\",\"username\":\"alice\"},\"content\":\"in a thread\",\"mentions\":[]}",
             id);
}

Test(discord_shard, threads_belong_to_their_channel)
{
    static const char *ours[] = { CHANNEL };
    fx.bot.channels = (struct conf_list){ 1, ours };
    open_live();
    in_thread(50);
    in_thread(51);
    run_s(1);
    cr_expect_eq(fx.n_accepted, 2);
    in_thread(52);
    run_s(1);
    cr_expect_eq(fx.n_accepted, 3);
    size_t asked = 0;
    for (size_t i = 0; i < fx.n_calls; i++) asked += !strcmp(fx.calls[i], "/channels/" THREAD);
    cr_expect_leq(asked, 2, "it is remembered");
}

Test(discord_shard, other_threads_are_not_ours)
{
    static const char *ours[] = { CHANNEL };
    fx.bot.channels = (struct conf_list){ 1, ours };
    fx.parent = "1000000000000000999";
    open_live();
    in_thread(50);
    run_s(60);
    cr_expect_eq(fx.n_accepted, 0);
    cr_expect_eq(fx.beat_seq, fx.n_events);
}

Test(discord_shard, an_interaction_is_acknowledged_once_it_is_stored)
{
    open_live();
    fx.slow_accepts = true;
    dispatch("INTERACTION_CREATE",
             "{\"id\":\"2000000000000000090\",\"application_id\":\"" APP
             "\",\"type\":2,\"token\":\"INTERACTION-token\",\"version\":1,\"channel_id\":\"" CHANNEL
             "\",\"guild_id\":\"" GUILD "\",\"member\":{\"user\":{\"id\":\"" ALICE
             "\",\"username\":\"alice\"}},\"data\":{\"id\":\"1\",\"name\":\"chat\",\"type\":1,"
             "\"options\":[{\"name\":\"text\",\"type\":3,\"value\":\"hello\"}]}}");
    run_s(1);
    cr_expect_eq(fx.n_acks, 0);
    fx.slow_accepts = false;
    accepts_go();
    run_s(1);
    cr_expect_eq(fx.n_acks, 1);
    cr_expect_eq(fx.last_ack, DISCORD_ACK_DEFER);
    cr_expect_str_eq(fx.texts[0], "hello");
    cr_expect_not(strstr(fx.log, "INTERACTION-token"));
}

Test(discord_shard, half_a_surrogate_pair_costs_no_message)
{
    open_live();
    message("broken \\ud83d here");
    run_s(1);
    expect_messages(1);
    cr_expect_str_eq(fx.texts[0], "broken \xEF\xBF\xBD here");
}

Test(discord_shard, what_is_not_known_is_passed_over)
{
    open_live();
    wire_say(fx.wire, "{\"t\":null,\"s\":null,\"op\":99,\"d\":{}}");
    wire_say(fx.wire, "{\"op\":\"x\"}");
    wire_say(fx.wire, "nonsense");
    wire_say(fx.wire, "{\"t\":\"MESSAGE_CREATE\",\"s\":2,\"op\":0,\"d\":[]}");
    wire_say(fx.wire, "{\"t\":\"MESSAGE_CREATE\",\"s\":3,\"op\":0,\"d\":{\"id\":7}}");
    wire_say(fx.wire, "{\"t\":\"NEW_THING\",\"s\":4,\"op\":0,\"d\":{}}");
    fx.n_events = 4;
    message("still here");
    run_s(60);
    expect_messages(1);
    cr_expect_eq(fx.beat_seq, 5);
    cr_expect_eq(fx.n_dials, 1);
}

/* --- a gap --- */

#define OLD(id, text)                                                                           \
    "{\"id\":\"" id "\",\"channel_id\":\"" CHANNEL "\",\"type\":0,\"author\":{\"id\":\"" ALICE  \
    "\",\"username\":\"alice\"},\"content\":\"<@" ME "> " text "\",\"mentions\":[{\"id\":\"" ME \
    "\"}]}"

Test(discord_shard, what_no_session_remembers_is_looked_for)
{
    open_live();
    message("before");
    run_s(20);
    fx.session = 0; /* Discord has forgotten it */
    wire_end(fx.wire, 4009);
    fx.pages[0] =
        "[" OLD("2000000000000000052", "second") "," OLD("2000000000000000051", "first") "]";
    fx.n_pages = 1;
    run_s(30);
    cr_expect_eq(fx.n_identifies, 2);
    cr_assert_eq(fx.n_accepted, 3);
    cr_expect_str_eq(fx.accepted[1], "m:2000000000000000051");
    cr_expect_str_eq(fx.texts[1], "first");
    cr_expect_str_eq(fx.texts[2], "second");
    cr_expect_eq(fx.in[0].late_ms, 0);
    cr_expect_gt(fx.in[1].late_ms, 120000, "who reads the answer is told why it comes now");
    cr_expect_eq(saved("gap"), 0, "it is closed");
    cr_expect(strstr(fx.log, "gap looked through"));
}

Test(discord_shard, a_first_start_has_no_gap)
{
    open_live();
    for (size_t i = 0; i < fx.n_calls; i++) cr_expect_str_eq(fx.calls[i], "/gateway/bot");
}

/* --- whatever fails --- */

static void scenario(void)
{
    shard_open();
    run_s(1);
    for (int i = 0; i < 3; i++) message("a");
    run_s(12);
    if (fx.wire) wire_end(fx.wire, 0);
    for (int i = 0; i < 3; i++) message("b");
    run_s(90);
}

static unsigned ops_of_a_good_run(void)
{
    scenario();
    unsigned n = fx.n_ops;
    expect_messages(6);
    fakes_close();
    fakes_open();
    return n;
}

Test(discord_shard, each_call_fails_once)
{
    static const enum err_kind kinds[] = { ERR_IO, ERR_UNKNOWN, ERR_TIMEOUT, ERR_LIMIT };
    unsigned n = ops_of_a_good_run();
    cr_assert_geq(n, 10);
    for (unsigned at = 1; at <= n; at++) {
        for (size_t k = 0; k < 8; k++) {
            fx.fail_at = at;
            fx.fail_kind = kinds[k % 4];
            fx.fail_after = k >= 4;
            scenario();
            cr_assert(fx.bot.channel.up, "call %u", at);
            for (int64_t s = 1; s <= fx.n_events; s++) {
                char event[64];
                snprintf(event, sizeof(event), "m:%lld", 2000000000000000000LL + s);
                if (fx.events[s] && strstr(fx.events[s], event + 2))
                    cr_assert(is_accepted(event), "call %u kind %zu: %s is lost", at, k, event);
            }
            fakes_close();
            fakes_open();
        }
    }
}

Test(discord_shard, stopping_at_every_wait_leaves_nothing)
{
    for (uint64_t ms = 0; ms < 14000; ms += ms < 500 ? 3 : 211) {
        fx.slow_accepts = ms % 2;
        shard_open();
        loop_run_for(&fx.loop, ms);
        message("hello");
        loop_run_for(&fx.loop, 2);
        fakes_close();
        cr_assert(list_empty(&fx.hanging));
        fakes_open();
    }
}
