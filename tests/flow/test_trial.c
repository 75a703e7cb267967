/*
 * Turns with experiments, over the fakes of the turn's world: what is kept with the reply of what
 * was really used, and what the receipt says.
 */
#include "core/net/sign.h"
#include "tests/flow/turn_world.h"

static struct experiment experiment;
static struct experiment_set set = { .v = &experiment, .n = 1 };

/* One that asks other people's prompt; everybody's variant is the wanted one. */
static void open_with(const char *variant)
{
    static char kept[64];
    struct err why = ERR_INIT;
    sign_setup();
    world_open(NO_TROUBLE, 0, 0);
    arena_init(&set.arena);
    cr_assert_eq(
        experiment_read(
            &set.arena, STR("x"), STR("salt"), false,
            STR("[{\"name\": \"a\", \"weight\": 1, \"flags\": {}}, {\"name\": \"b\", \"weight\": 1,"
                " \"flags\": {\"system_prompt\": \"Be long.\", \"enable_slash_commands\": false}}]"),
            &experiment, &why),
        ERR_NONE, "%s", why.msg);
    snprintf(kept, sizeof kept, "{\"x\": \"%s\"}", variant);
    w.variants = kept;
    w.chat.experiments = &set;
}

static void close_all(void)
{
    world_close();
    arena_done(&set.arena);
}

static void ask(const char *event, const char *text)
{
    say(event, text);
    loop_run_for(&w.loop, 10000);
    cr_assert(list_empty(&w.chat.turns));
}

#define USED(variant, fresh, failed, stopped)                                              \
    "[{\"experiment\":\"x\",\"variant\":\"" variant "\",\"person\":false,\"fresh\":" fresh \
    ",\"failed\":" failed ",\"stopped\":" stopped ",\"first_token_ms\":0}]"

Test(trial, an_answer_brings_what_was_used)
{
    open_with("b");
    ask("e1", "What is it?");
    cr_expect_str_eq(w.exposures, USED("b", "false", "false", "false"));
    cr_expect(strstr(w.receipt, "\"experiments\":[{\"name\":\"x\",\"variant\":\"b\"}]"));
    close_all();
}

Test(trial, a_variant_is_in_force_in_the_turn)
{
    open_with("b");
    ask("e1", "/models");
    cr_expect(strstr(w.screen[0].text, "switched off"), "%s", w.screen[0].text);
    close_all();
    open_with("a");
    ask("e1", "/models");
    cr_expect(strstr(w.screen[0].text, "models that I can ask"), "%s", w.screen[0].text);
    close_all();
}

Test(trial, who_has_no_variant_yet_gets_one)
{
    open_with("b");
    w.variants = NULL;
    ask("e1", "What is it?");
    cr_expect(strstr(w.exposures, "\"fresh\":true"), "%s", w.exposures);
    close_all();
}

Test(trial, a_failure_counts)
{
    open_with("b");
    w.n_model_errors = 1;
    w.model_error = ERR_REFUSED;
    ask("e1", "What is it?");
    cr_expect_str_eq(w.exposures, USED("b", "false", "true", "false"));
    cr_expect(strstr(w.receipt, "\"failed\":true"), "%s", w.receipt);
    close_all();
}

Test(trial, half_an_answer_is_a_failure)
{
    open_with("a");
    w.n_pieces = 1;
    w.n_model_errors = 1;
    w.model_error = ERR_UNKNOWN;
    ask("e1", "What is it?");
    cr_expect_str_eq(w.exposures, USED("a", "false", "true", "false"));
    close_all();
}

Test(trial, a_stopped_answer_is_none)
{
    open_with("b");
    w.n_pieces = 9;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 3000);
    say("e2", "/stop");
    loop_run_for(&w.loop, 3000);
    cr_expect_str_eq(w.exposures, USED("b", "false", "false", "true"));
    close_all();
}

Test(trial, where_no_model_is_asked_nothing_was_used)
{
    open_with("a");
    ask("e1", "/help");
    cr_expect_str_eq(w.exposures, "[]");
    w.n_refusals = 1;
    ask("e2", "What is it?");
    cr_expect_str_eq(w.exposures, "[]", "it was refused by the limit");
    w.chat.experiments = NULL;
    ask("e3", "What is it?");
    cr_expect_str_eq(w.exposures, "[]", "none runs");
    cr_expect_null(strstr(w.receipt, "experiments"));
    close_all();
}

Test(trial, an_old_answer_given_again_counts)
{
    open_with("a");
    w.chat.conf.cache = REUSE_PERSON;
    ask("e1", "What is it?");
    ask("e2", "What is it?");
    cr_assert_eq(w.n_asked, 1);
    cr_expect_str_eq(w.exposures, USED("a", "false", "false", "false"));
    close_all();
}
