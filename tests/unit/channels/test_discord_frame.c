/* Payloads of the gateway, whole, in pieces, huge and broken; and what each close code means. */
#include "channels/discord/close.h"
#include "channels/discord/frame.h"
#include "core/base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool wanted(struct str type)
{
    return str_eq(type, STR("MESSAGE_CREATE"));
}

/* Fed in pieces of `piece` bytes. The text lives until the next call. */
static struct discord_frame read_in(struct str text, size_t piece, enum err_kind *ret_kind)
{
    static struct discord_frames f;
    static bool open;
    struct discord_frame frame;
    if (!open) discord_frames_init(&f, wanted); /* payload after payload, as on a connection */
    open = true;
    for (size_t at = 0; at < text.n; at += piece)
        discord_frames_feed(&f, str_head(str_skip(text, at), piece));
    *ret_kind = discord_frames_end(&f, &frame, NULL);
    return frame;
}

static const struct {
    const char *text;
    int64_t op, seq;
    const char *type;
    bool skipped, broken;
    const char *data;
} cases[] = {
    { "{\"t\":null,\"s\":null,\"op\":10,\"d\":{\"heartbeat_interval\":41250}}", 10, 0, "", false,
      false, "{\"heartbeat_interval\":41250}" },
    { "{\"t\":\"MESSAGE_CREATE\",\"s\":7,\"op\":0,\"d\":{\"content\":\"\\\"d\\\":{}\"}}", 0, 7,
      "MESSAGE_CREATE", false, false, "{\"content\":\"\\\"d\\\":{}\"}" },
    { "{\"t\":\"TYPING_START\",\"s\":8,\"op\":0,\"d\":{\"a\":[1,{\"b\":2}]}}", 0, 8, "TYPING_START",
      true, false, "" },
    /* Another order, blanks: nothing can be left out early, all the same is understood. */
    { " { \"d\" : {\"x\":[\"}\"]} , \"op\" : 0 ,\"s\":9,\"t\":\"TYPING_START\" } ", 0, 9,
      "TYPING_START", false, false, "{\"x\":[\"}\"]}" },
    { "{\"op\":11}", 11, 0, "", false, false, "" },
    { "{\"op\":11,\"d\":null}", 11, 0, "", false, false, "null" },
    { "{\"op\":7,\"d\":null,\"new\":{\"op\":3}}", 7, 0, "", false, false, "null" },
    { "{\"op\":\"7\"}", -1, 0, "", false, true, "" },
    { "{\"op\":-7}", -1, 0, "", false, true, "" },
    { "{\"s\":-5,\"op\":0,\"t\":\"X\",\"d\":1}", 0, 0, "X", false, false, "1" },
    { "{\"op\":99999999999999999999}", -1, 0, "", false, true, "" },
    { "[]", -1, 0, "", false, true, "" },
    { "", -1, 0, "", false, true, "" },
    { "{", -1, 0, "", false, true, "" },
    { "null", -1, 0, "", false, true, "" },
    { "{\"op\":1,\"d\":251}", 1, 0, "", false, false, "251" },
    /* A name that is too long is no event of ours, and not cut into one. */
    { "{\"t\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"s\":3,\"op\":0,\"d\":{}}",
      0, 3, "", false, false, "{}" },
};

Test(discord_frame, whatever_the_pieces)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_of(cases[i].text);
        for (size_t piece = 1; piece <= text.n + 1; piece++) {
            enum err_kind kind;
            struct discord_frame f = read_in(text, piece, &kind);
            cr_assert_eq(kind == ERR_PROTO, cases[i].broken, "case %zu piece %zu", i, piece);
            if (cases[i].broken) continue;
            cr_assert_eq(f.op, cases[i].op, "case %zu piece %zu: op %lld", i, piece,
                         (long long)f.op);
            cr_assert_eq(f.seq, cases[i].seq, "case %zu", i);
            cr_assert_str_eq(f.type, cases[i].type, "case %zu", i);
            cr_assert_eq(f.skipped, cases[i].skipped, "case %zu piece %zu", i, piece);
            cr_assert(str_eq(discord_frame_data(f.text), str_of(cases[i].data)), "case %zu", i);
        }
    }
}

Test(discord_frame, what_nobody_wants_is_not_kept)
{
    struct discord_frames f;
    struct discord_frame frame;
    static char piece[65536];
    memset(piece, 'x', sizeof(piece));
    discord_frames_init(&f, wanted);
    discord_frames_feed(&f, STR("{\"t\":\"GUILD_CREATE\",\"s\":3,\"op\":0,\"d\":{\"name\":\""));
    for (int i = 0; i < 160; i++) { /* 10 MB */
        discord_frames_feed(&f, str_from(piece, sizeof(piece)));
        cr_assert_eq(f.text.cap, 0);
    }
    discord_frames_feed(&f, STR("\"}}"));
    cr_assert_eq(discord_frames_end(&f, &frame, NULL), ERR_NONE);
    cr_assert(frame.skipped);
    cr_assert_eq(frame.seq, 3);
    discord_frames_feed(&f, STR("{\"op\":11}"));
    cr_assert_eq(discord_frames_end(&f, &frame, NULL), ERR_NONE);
    cr_assert_eq(frame.op, 11, "the next one is read as ever");
    discord_frames_done(&f);
}

Test(discord_frame, too_large_for_us_is_skipped_and_counted)
{
    struct discord_frames f;
    struct discord_frame frame;
    static char piece[65536];
    memset(piece, 'x', sizeof(piece));
    discord_frames_init(&f, wanted);
    discord_frames_feed(&f,
                        STR("{\"t\":\"MESSAGE_CREATE\",\"s\":3,\"op\":0,\"d\":{\"content\":\""));
    for (int i = 0; i < 80; i++) discord_frames_feed(&f, str_from(piece, sizeof(piece)));
    cr_assert_eq(discord_frames_end(&f, &frame, NULL), ERR_NONE);
    cr_assert(frame.skipped);
    cr_assert_eq(frame.seq, 3);
    cr_assert_str_eq(frame.type, "MESSAGE_CREATE");

    /* Nothing is known of it: no outline. */
    for (int i = 0; i < 80; i++) discord_frames_feed(&f, str_from(piece, sizeof(piece)));
    cr_assert_eq(discord_frames_end(&f, &frame, NULL), ERR_PROTO);
    discord_frames_done(&f);
}

Test(discord_frame, keys_count_at_the_top_only)
{
    struct str data =
        STR("{\"message_reference\":{\"guild_id\":\"1\"},\"content\":\"\\\"guild_id\\\":\"}");
    cr_assert_not(discord_has_key(data, "guild_id"));
    cr_assert(discord_has_key(data, "content"));
    cr_assert(discord_has_key(STR("{\"a\":[{}],\"guild_id\":\"1\"}"), "guild_id"));
    cr_assert_not(discord_has_key(STR("{\"a\":[{}"), "guild_id"));
    cr_assert_not(discord_has_key(STR(""), "guild_id"));
}

/* The table of the documentation, with what experience adds. */
Test(discord_frame, close_codes)
{
    static const struct {
        int code;
        enum discord_next next;
        enum err_kind kind;
        const char *text;
    } codes[] = {
        { 0, DISCORD_RESUME, ERR_IO, "lost" },
        { 1000, DISCORD_IDENTIFY, ERR_IO, "1000" },
        { 1001, DISCORD_IDENTIFY, ERR_IO, "1001" },
        { 1006, DISCORD_RESUME, ERR_IO, "1006" },
        { 4000, DISCORD_RESUME, ERR_IO, "4000" },
        { 4001, DISCORD_RESUME, ERR_PROTO, "4001" },
        { 4002, DISCORD_RESUME, ERR_PROTO, "4002" },
        { 4003, DISCORD_IDENTIFY, ERR_PROTO, "4003" },
        { 4004, DISCORD_STOP, ERR_AUTH, "Reset Token" },
        { 4005, DISCORD_IDENTIFY, ERR_PROTO, "4005" },
        { 4006, DISCORD_IDENTIFY, ERR_IO, "4006" },
        { 4007, DISCORD_IDENTIFY, ERR_PROTO, "4007" },
        { 4008, DISCORD_RESUME, ERR_LIMIT, "4008" },
        { 4009, DISCORD_RESUME, ERR_IO, "4009" },
        { 4010, DISCORD_STOP, ERR_CONF, "shards" },
        { 4011, DISCORD_STOP, ERR_CONF, "shards" },
        { 4012, DISCORD_STOP, ERR_CONF, "version" },
        { 4013, DISCORD_STOP, ERR_CONF, "intents" },
        { 4014, DISCORD_STOP, ERR_AUTH, "Message Content Intent" },
        { 4999, DISCORD_RESUME, ERR_IO, "4999" },
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct err why;
        cr_assert_eq(discord_close_rule(codes[i].code, &why), codes[i].next, "%d", codes[i].code);
        cr_assert_eq(why.kind, codes[i].kind, "%d", codes[i].code);
        cr_assert(strstr(why.msg, codes[i].text), "%d: %s", codes[i].code, why.msg);
    }
}
