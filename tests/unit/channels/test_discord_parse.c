/*
 * Events of Discord's gateway after its documentation (or as they should never be), with what we
 * must make of them.
 */
#include "discord_fixture.h"

#include "core/base/utf8.h"

static void check_case(struct json *c)
{
    const char *name = get(c, "name").p;
    struct lists lists;
    struct discord_reader reader = reader_of(json_get(c, "reader"), &lists);
    struct discord_event e;
    struct arena arena;
    int64_t i = 0;
    arena_init(&arena);
    json_get_i64(c, "i", &i);
    discord_parse(&reader, get(c, "type"), json_get(c, "data"), (size_t)i, &arena, &e);
    size_t verdict = index_of(get(c, "verdict"), verdicts);
    cr_expect_eq((size_t)e.verdict, verdict, "%s: %s, %s", name, verdicts[e.verdict], e.reason);
    if (e.verdict == DISCORD_TAKE && (size_t)e.verdict == verdict) {
        expect_event(name, json_get(c, "event"), &e.in);
    } else if (e.verdict == DISCORD_PARENT) {
        expect_str(name, "channel", json_get(c, "event"), e.in.where.channel);
        cr_expect_eq(e.in.event_id.n, 0, "%s: decided", name);
    } else if (get(c, "reason").n) {
        expect_str(name, "reason", c, str_of(e.reason));
    }
    arena_done(&arena);
}

static void check_cases(const char *file)
{
    struct json *doc = fixture(file);
    for (size_t i = 0; i < json_length(doc); i++) check_case(json_at(doc, i));
    json_free(doc);
}

Test(discord_parse, messages)
{
    check_cases("messages.json");
}

Test(discord_parse, who_is_answered_on_servers)
{
    check_cases("servers.json");
}

Test(discord_parse, events_about_messages)
{
    check_cases("events.json");
}

Test(discord_parse, bad_events)
{
    check_cases("bad.json");
}

/* Adding, removing and adding again are three things that happened; a repeat is none. */
Test(discord_parse, votes_have_names_of_their_own)
{
    const char *const votes[][3] = {
        { "MESSAGE_REACTION_ADD", "7", "👍" },    { "MESSAGE_REACTION_ADD", "7", "👎" },
        { "MESSAGE_REACTION_REMOVE", "7", "👍" }, { "MESSAGE_REACTION_REMOVE", "7", "👎" },
        { "MESSAGE_REACTION_ADD", "8", "👍" },
    };
    const size_t n = sizeof(votes) / sizeof(votes[0]);
    struct str names[sizeof(votes) / sizeof(votes[0])];
    struct discord_reader reader = { .user = STR("9") };
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < n; i++) {
        struct discord_event e;
        struct json *doc = NULL;
        struct str text = arena_printf(
            &arena,
            "{\"user_id\":\"%s\",\"channel_id\":\"1\",\"message_id\":\"2\",\"emoji\":{\"name\":\"%s\"}}",
            votes[i][1], votes[i][2]);
        cr_assert_eq(json_parse(text, &doc, NULL), ERR_NONE);
        discord_parse(&reader, str_of(votes[i][0]), doc, 0, &arena, &e);
        cr_assert_eq(e.verdict, DISCORD_TAKE);
        names[i] = e.in.event_id;
        for (size_t j = 0; j < i; j++) cr_expect(!str_eq(names[i], names[j]), "%zu, %zu", i, j);
        json_free(doc);
    }
    arena_done(&arena);
}

static void parse_text(const struct buf *b, struct arena *a, struct discord_event *ret,
                       struct json **ret_doc)
{
    struct discord_reader reader = { .user = STR("9") };
    struct err why = ERR_INIT;
    cr_assert_eq(json_parse(buf_str(b), ret_doc, &why), ERR_NONE, "%s", why.msg);
    discord_parse(&reader, STR("MESSAGE_CREATE"), *ret_doc, 0, a, ret);
}

/* A hostile event may not keep the loop: many mentions of many people, many of all else. */
Test(discord_parse, much_of_everything, .timeout = 20)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(16 << 20);
    struct discord_event e;
    struct json *doc;
    struct arena arena;
    arena_init(&arena);
    buf_add_cstr(&b, "{\"id\":\"1\",\"channel_id\":\"2\",\"author\":{\"id\":\"3\"},\"content\":\"");
    for (int i = 0; i < 200000; i++) buf_addf(&b, "<@%d><<", i);
    buf_add_cstr(&b, "\",\"mentions\":[");
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "%s{\"id\":\"%d\",\"username\":\"u%d\"}", i ? "," : "", i, i);
    buf_add_cstr(&b, "],\"attachments\":[");
    for (int i = 0; i < 20000; i++) buf_addf(&b, "%s{\"filename\":\"f\"}", i ? "," : "");
    buf_add_cstr(&b, "],\"message_snapshots\":[");
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "%s{\"message\":{\"content\":\"x\"}}", i ? "," : "");
    buf_add_cstr(&b, "],\"poll\":{\"question\":{\"text\":\"q\"},\"answers\":[");
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "%s{\"poll_media\":{\"text\":\"answer\"}}", i ? "," : "");
    buf_add_cstr(&b, "]}}");
    cr_assert(!b.full);
    parse_text(&b, &arena, &e, &doc);
    cr_expect_eq(e.verdict, DISCORD_TAKE, "%s", e.reason);
    cr_expect(str_starts(e.in.text, STR("@u0<<@u1<<@u2<<")));
    cr_expect(str_find(e.in.text, STR("<@199999><<")) != SIZE_MAX, "nothing of it is lost");
    cr_expect(e.in.n_attachments > 9 && e.in.n_attachments < 100);
    cr_expect(utf8_valid(e.in.text));
    json_free(doc);
    arena_done(&arena);
}

/* Names are as long as whoever sends them likes; what is written does not get lost for it. */
Test(discord_parse, long_names_are_cut)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(16 << 20);
    struct discord_event e;
    struct json *doc;
    struct arena arena;
    arena_init(&arena);
    buf_add_cstr(&b, "{\"id\":\"1\",\"channel_id\":\"2\",\"author\":{\"id\":\"3\"},\"content\":\"");
    for (int i = 0; i < 1024; i++) buf_add_cstr(&b, "<@4>");
    buf_add_cstr(&b, "end\",\"mentions\":[{\"id\":\"4\",\"username\":\"");
    for (int i = 0; i < 10000; i++) buf_add_cstr(&b, "\xC3\xA4");
    buf_add_cstr(&b, "\"}]}");
    parse_text(&b, &arena, &e, &doc);
    cr_expect_eq(e.verdict, DISCORD_TAKE);
    cr_expect(str_ends(e.in.text, STR("end")) && utf8_valid(e.in.text));
    cr_expect_eq(e.in.text.n, 1024 * 201 + 3, "%zu", e.in.text.n);
    json_free(doc);
    arena_done(&arena);
}

/* --- ids --- */

Test(discord_id, shapes)
{
    const char *const good[] = { "0", "1", "175928847299117063", "18446744073709551615" };
    const char *const bad[] = { "",     "-1",  "+1",  " 1",
                                "1 ",   "1.0", "1e3", "18446744073709551616",
                                "0x10", "１",  "x",   "000000000000000000001" };
    uint64_t id = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(discord_id(str_of(good[i]), &id), "%s", good[i]);
    cr_expect_eq(id, UINT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(!discord_id(str_of(bad[i]), &id), "%s", bad[i]);
}

/* The example of docs.discord.com/developers/reference#snowflakes. */
Test(discord_id, times)
{
    cr_expect_eq(discord_id_ms(UINT64_C(175928847299117063)), INT64_C(1462015105796));
    uint64_t at = discord_id_at(INT64_C(1462015105796));
    cr_expect(at <= UINT64_C(175928847299117063));
    cr_expect_eq(discord_id_ms(at), INT64_C(1462015105796));
    cr_expect_eq(discord_id_ms(at - 1), INT64_C(1462015105795), "the lowest of that time");
    cr_expect_eq(discord_id_at(INT64_C(1420070400000)), 0);
    cr_expect_eq(discord_id_at(-5), 0);
    cr_expect_eq(discord_id_at(INT64_MIN), 0);
    cr_expect_eq(discord_id_at(INT64_MAX), UINT64_MAX);
    cr_expect_eq(discord_id_ms(UINT64_MAX), INT64_C(1420070400000) + (INT64_C(1) << 42) - 1);
}
