/* Flags in a real PostgreSQL and a real Redis: what admins may set, and how a process hears of it.
 */
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/flag/flags.h"
#include "core/flag/rule.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/store_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define POLLED_MS 20000 /* at most; it is asked every five seconds */

static struct store_fixture fx;
static struct redis_fixture r;
static struct flags *flags;

/* A function that an admin calls, as gateway/admin does; its failure in short: "PA422 percent". */
static const char try_sql[] =
    "CREATE FUNCTION try(f text, args jsonb) RETURNS text LANGUAGE plpgsql AS $$\n"
    "DECLARE r jsonb; state text; field text;\n"
    "BEGIN\n"
    "  EXECUTE format('SELECT admin_flags_%s($1, $2)', f) INTO r USING '{\"name\": \"root\"}'::jsonb, args;\n"
    "  RETURN 'version ' || (r ->> 'version');\n"
    "EXCEPTION WHEN OTHERS THEN\n"
    "  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, field = COLUMN_NAME;\n"
    "  RETURN state || ' ' || field;\n"
    "END $$; SELECT 1";

static enum err_kind start(void)
{
    struct waiter w;
    waiter_init(&w, &r.loop);
    flags_start(flags, &w.op);
    return waiter_run(&w, 30000);
}

static double look(const char *name)
{
    static struct buf text = BUF_INIT(1 << 20);
    buf_clear(&text);
    cr_assert(metric_render(&text));
    const char *at = strstr(text.p, name);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

static double n_pushed; /* in the setup */

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as app_open does */
    log_setup(LOG_ERROR, LOG_TEXT);
    sign_setup();
    fixture_open(&r);
    store_fixture_open(&fx, &r.loop);
    pg_server_sql(&fx.server, try_sql);
    flags = flags_open(&r.loop, &fx.store, r.redis);
    cr_assert_eq(start(), ERR_NONE);
    /* Whether it hears this or not: when it knows, it is subscribed. */
    int64_t before = flags_revision(flags);
    pg_server_sql(&fx.server, "SELECT flags_touch()");
    redis_publish(r.redis, FLAGS_CHANNEL, STR("x"));
    while (flags_revision(flags) == before) loop_run_for(&r.loop, 2);
    do { /* it may have heard of this twice: by what was said, and by having begun to listen */
        n_pushed = look("parley_flags_loads_total{cause=\"push\"} ");
        loop_run_for(&r.loop, 50);
    } while (look("parley_flags_loads_total{cause=\"push\"} ") != n_pushed);
}

static void teardown(void)
{
    flags_close(flags);
    store_fixture_close(&fx);
    fixture_close(&r);
}

TestSuite(flags, .init = setup, .fini = teardown, .timeout = 60);

#define SQL(text) pg_server_sql(&fx.server, text)

static const char *try(const char *function, const char *args)
{
    char sql[1024];
    snprintf(sql, sizeof sql, "SELECT try('%s', $j$%s$j$)", function, args);
    return SQL(sql);
}

static void told(void)
{
    redis_publish(r.redis, FLAGS_CHANNEL, STR("x"));
}

/* Run the loop until the flag is on or off. */
static bool becomes(enum flag_id id, bool on)
{
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    while (flag_bool_or(flags, id, NULL, false) != on && uv_hrtime() / 1000000 < give_up)
        loop_run_for(&r.loop, 2);
    return flag_bool_or(flags, id, NULL, false) == on;
}

Test(flags, the_registry_is_in_the_database)
{
    char n[16];
    snprintf(n, sizeof n, "%d", FLAG_N);
    cr_expect_str_eq(SQL("SELECT count(*) FROM flag_registry"), n);
    cr_expect_str_eq(SQL("SELECT type, def, reach FROM flag_registry WHERE name = 'votes'"),
                     "boolean|true|place");
    cr_expect_str_eq(
        SQL("SELECT def IS NULL, words FROM flag_registry WHERE name = 'response_cache'"),
        "t|[\"off\", \"person\", \"channel\"]");
    /* a newer program's words stay; an older one's are replaced, and its flags are kept */
    SQL("UPDATE flag_registry SET help = 'of tomorrow', program = '99.10.0' WHERE name = 'votes'");
    SQL("UPDATE flag_registry SET help = 'of yesterday', program = '0.0.9' WHERE name = 'tools'");
    SQL("INSERT INTO flag_registry SELECT 'gone', type, def, help, words, min, max, reach, '0.0.9'"
        " FROM flag_registry WHERE name = 'tools'");
    flags_close(flags);
    flags = flags_open(&r.loop, &fx.store, r.redis);
    cr_assert_eq(start(), ERR_NONE);
    cr_expect_str_eq(SQL("SELECT help FROM flag_registry WHERE name = 'votes'"), "of tomorrow");
    cr_expect_str_eq(SQL("SELECT count(*) FROM flag_registry WHERE help = 'of yesterday'"), "1");
    cr_expect_str_eq(SQL("SELECT count(*) FROM flag_registry WHERE name = 'gone'"), "1");
}

Test(flags, what_an_admin_may_say)
{
    static const struct {
        const char *function, *args, *result;
    } cases[] = {
        { "set", "{\"name\": \"no_such\", \"value\": true}", "PA404 name" },
        { "set", "{\"name\": \"streaming\"}", "PA422 value" },
        { "set", "{\"name\": \"streaming\", \"value\": \"off\"}", "PA422 value" },
        { "set", "{\"name\": \"streaming\", \"value\": 1}", "PA422 value" },
        { "set", "{\"name\": \"streaming\", \"value\": false}", "version 1" },
        { "set", "{\"name\": \"streaming\", \"value\": null, \"if_match\": \"0\"}",
          "PA412 if_match" },
        { "set", "{\"name\": \"streaming\", \"value\": null, \"if_match\": \"1\"}", "version 2" },
        { "set", "{\"name\": \"streaming\", \"value\": true, \"if_match\": \"*\"}", "version 3" },
        { "set", "{\"name\": \"max_conversation_length\", \"value\": -1}", "PA422 value" },
        { "set", "{\"name\": \"max_conversation_length\", \"value\": 1.5}", "PA422 value" },
        { "set", "{\"name\": \"max_conversation_length\", \"value\": 1e30}", "PA422 value" },
        { "set", "{\"name\": \"max_conversation_length\", \"value\": 40.0}", "version 1" },
        { "set", "{\"name\": \"response_cache\", \"value\": \"everybody\"}", "PA422 value" },
        { "set", "{\"name\": \"response_cache\", \"value\": \"person\"}", "version 1" },
        { "set", "{\"name\": \"model\", \"value\": \"\"}", "PA422 value" },
        { "kill", "{\"name\": \"streaming\"}", "version 4" },
        { "revive", "{\"name\": \"streaming\", \"if_match\": \"3\"}", "PA412 if_match" },
        { "revive", "{\"name\": \"streaming\"}", "version 5" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": false, \"percent\": 150}",
          "PA422 percent" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": false, \"percent\": -1}",
          "PA422 percent" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": false, \"percent\": 0.005}",
          "PA422 percent" },
        { "rules_add", "{\"name\": \"streaming\", \"percent\": 5}", "PA422 value" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": 3, \"percent\": 5}", "PA422 value" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": false, \"thread\": \"1\"}",
          "PA422 place" },
        { "rules_add",
          "{\"name\": \"streaming\", \"value\": false, \"person\": \"01890000-0000-7000-8000-00000000000a\"}",
          "PA422 person" },
        { "rules_add",
          "{\"name\": \"streaming\", \"value\": false, \"starts_at\": \"2026-01-02T00:00:00Z\", \"ends_at\": "
          "\"2026-01-01T00:00:00Z\"}",
          "PA422 ends_at" },
        { "rules_add",
          "{\"name\": \"enable_mcp_security\", \"value\": false, \"channel\": \"web\"}",
          "PA422 name" },
        { "rules_add",
          "{\"name\": \"votes\", \"value\": false, \"percent\": 5, \"unit\": \"person\"}",
          "PA422 unit" },
        { "rules_add", "{\"name\": \"votes\", \"value\": false, \"percent\": 5}", "version 1" },
        { "rules_add", "{\"name\": \"streaming\", \"value\": false, \"percent\": 12.34}",
          "version 6" },
        { "rules_change", "{\"name\": \"streaming\", \"rule\": 999}", "PA404 rule" },
        { "rules_drop", "{\"name\": \"votes\", \"rule\": 999}", "PA404 rule" },
        { "reset", "{\"name\": \"streaming\"}", "version 7" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(try(cases[i].function, cases[i].args), cases[i].result, "%s %s",
                         cases[i].function, cases[i].args);
    cr_expect_str_eq(SQL("SELECT value FROM feature_flags WHERE name = 'max_conversation_length'"),
                     "40");
    cr_expect_str_eq(
        SQL("SELECT count(*), max(f.value::text) FROM feature_flag_rules r JOIN feature_flags f"
            " ON f.name = r.flag WHERE f.name = 'streaming'"),
        "0|");
    /* each change and no refusal is in the record */
    cr_expect_str_eq(
        SQL("SELECT string_agg(event_type, ' ' ORDER BY seq) FROM audit_logs"
            " WHERE resource_type = 'flag' AND resource_id = 'streaming' AND actor = 'root'"),
        "flag.changed flag.changed flag.changed flag.killed flag.revived flag.rule_added"
        " flag.reset");
    cr_expect_str_eq(SQL("SELECT old_values ->> 'value', new_values ->> 'value' FROM audit_logs"
                         " WHERE resource_id = 'streaming' ORDER BY seq OFFSET 1 LIMIT 1"),
                     "false|");
}

Test(flags, a_rule_changes_in_parts)
{
    try("rules_add",
        "{\"name\": \"streaming\", \"value\": false, \"percent\": 30, \"channel\": \"web\","
        " \"ends_at\": \"2999-01-01T00:00:00Z\"}");
    cr_expect_str_eq(try("rules_change", "{\"name\": \"streaming\", \"rule\": 1, \"percent\": 40}"),
                     "version 2");
    cr_expect_str_eq(SQL("SELECT percent, value, ends_at IS NULL, channel FROM feature_flag_rules"),
                     "40.00|false|f|web");
    try("rules_change",
        "{\"name\": \"streaming\", \"rule\": 1, \"ends_at\": null, \"value\": true}");
    cr_expect_str_eq(SQL("SELECT percent, value, ends_at IS NULL, channel FROM feature_flag_rules"),
                     "40.00|true|t|web");
    cr_expect_str_eq(
        try("rules_change", "{\"name\": \"streaming\", \"rule\": 1, \"percent\": 150}"),
        "PA422 percent");
    cr_expect_str_eq(try("rules_change", "{\"name\": \"votes\", \"rule\": 1, \"percent\": 1}"),
                     "PA404 rule", "it is another flag's");
    cr_expect_str_eq(try("rules_drop", "{\"name\": \"streaming\", \"rule\": 1}"), "version 4");
}

Test(flags, a_change_that_is_told_is_in_force_at_once)
{
    cr_assert(flag_bool(flags, FLAG_STREAMING, NULL));
    try("set", "{\"name\": \"streaming\", \"value\": false}");
    told();
    cr_expect(becomes(FLAG_STREAMING, false));
    cr_expect_eq(look("parley_flags_loads_total{cause=\"push\"} "), n_pushed + 1);
    try("kill", "{\"name\": \"tools\"}");
    told();
    cr_expect(becomes(FLAG_TOOLS, false));
    cr_expect_not(flag_bool(flags, FLAG_STREAMING, NULL), "the other one is as it was");
    try("revive", "{\"name\": \"tools\"}");
    told();
    cr_expect(becomes(FLAG_TOOLS, true));
}

Test(flags, what_nobody_told_is_found_by_looking)
{
    try("set", "{\"name\": \"streaming\", \"value\": false}");
    cr_expect(becomes(FLAG_STREAMING, false));
    cr_expect_eq(look("parley_flags_loads_total{cause=\"push\"} "), n_pushed);
}

Test(flags, redis_away)
{
    redis_server_kill(&r.server);
    while (r.up) loop_run_for(&r.loop, 2);
    try("set", "{\"name\": \"streaming\", \"value\": false}");
    cr_expect(becomes(FLAG_STREAMING, false));
}

Test(flags, postgresql_away)
{
    try("set", "{\"name\": \"streaming\", \"value\": false}");
    told();
    cr_assert(becomes(FLAG_STREAMING, false));
    pg_server_shut(&fx.server, SIGQUIT);
    told();
    loop_run_for(&r.loop, 200);
    cr_expect_not(flag_bool(flags, FLAG_STREAMING, NULL), "what is known stays in force");
    pg_server_start(&fx.server);
    try("reset", "{\"name\": \"streaming\"}");
    cr_expect(becomes(FLAG_STREAMING, true));
}

static bool redis_says(const char *command, const char *text)
{
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    bool same = false;
    while (!same && uv_hrtime() / 1000000 < give_up) {
        struct redis_reply reply = { .type = REDIS_NIL };
        cr_assert_eq(fixture_cmd(&r, command, &reply), ERR_NONE);
        same = str_eq(reply.type == REDIS_NIL ? STR("nil") : reply.s, str_of(text));
        redis_reply_done(&reply);
    }
    return same;
}

Test(flags, other_programs_read_them_in_redis)
{
    cr_expect(redis_says("HGET features:global streaming", "true"));
    cr_expect(redis_says("HGET features:global compaction", "nil"), "as configured");
    try("set", "{\"name\": \"max_conversation_length\", \"value\": 40}");
    try("rules_add", "{\"name\": \"streaming\", \"value\": false, \"channel_type\": \"slack\"}");
    try("rules_add",
        "{\"name\": \"tools\", \"value\": false, \"channel_type\": \"slack\", \"percent\": 50}");
    try("rules_add",
        "{\"name\": \"response_cache\", \"value\": \"channel\", \"channel_type\": \"discord\"}");
    told();
    cr_expect(redis_says("HGET features:global max_conversation_length", "40"));
    cr_expect(redis_says("HGET features:global streaming", "true"));
    cr_expect(redis_says("HGET features:channel:slack streaming", "false"));
    cr_expect(redis_says("HGET features:channel:slack tools", "nil"), "that depends on the person");
    cr_expect(redis_says("HGET features:channel:discord response_cache", "channel"));
    try("reset", "{\"name\": \"response_cache\"}");
    told();
    cr_expect(redis_says("TYPE features:channel:discord", "none"));
    /* it heals: emptied, or with something else under the key */
    cr_assert_eq(fixture_cmd(&r, "DEL features:global", NULL), ERR_NONE);
    cr_assert_eq(fixture_cmd(&r, "SET features:global x", NULL), ERR_NONE);
    told();
    cr_expect(redis_says("TYPE features:global", "none"));
    told();
    cr_expect(redis_says("HGET features:global max_conversation_length", "40"));
}

/* The rule follows the person who was linked with another. */
Test(flags, a_linked_person_keeps_their_rules)
{
    SQL("INSERT INTO users (id) VALUES ('01890000-0000-7000-8000-00000000000a'),"
        " ('01890000-0000-7000-8000-00000000000b')");
    try("rules_add", "{\"name\": \"streaming\", \"value\": false, \"person\":"
                     " \"01890000-0000-7000-8000-00000000000a\"}");
    SQL("UPDATE users SET merged_into = '01890000-0000-7000-8000-00000000000b'"
        " WHERE id = '01890000-0000-7000-8000-00000000000a'");
    told();
    struct flag_who who = { .channel = STR("web") };
    uuid_parse(STR("01890000-0000-7000-8000-00000000000b"), &who.person);
    flag_who_ready(&who);
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    while (flag_bool(flags, FLAG_STREAMING, &who) && uv_hrtime() / 1000000 < give_up)
        loop_run_for(&r.loop, 2);
    cr_expect_not(flag_bool(flags, FLAG_STREAMING, &who));
    SQL("DELETE FROM users WHERE id = '01890000-0000-7000-8000-00000000000b'");
    cr_expect_str_eq(SQL("SELECT count(*) FROM feature_flag_rules"), "0",
                     "who is forgotten has none");
}

/* Longer than what is read where it arrives. */
Test(flags, thousands_of_rules)
{
    SQL("INSERT INTO users (id) SELECT gen_random_uuid() FROM generate_series(1, 2000)");
    SQL("SELECT admin_flags_rules_add('{}', jsonb_build_object('name', 'streaming', 'value', false, 'person', id))"
        " FROM (SELECT id FROM users LIMIT 1) u");
    SQL("INSERT INTO feature_flag_rules (flag, person, value) SELECT 'streaming', id, 'false' FROM users LIMIT 1999");
    cr_expect_str_eq(try("rules_add", "{\"name\": \"streaming\", \"value\": false}"), "PA409 name");
    cr_expect_str_eq(try("set", "{\"name\": \"streaming\", \"value\": false}"), "version 2");
    told();
    cr_expect(becomes(FLAG_STREAMING, false));
}
