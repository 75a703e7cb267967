/* Frames of the page: what is taken, and what is said about what is not. */
#include "channels/web/protocol.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define ID     "0123abcd-0000-4000-8000-00000000000f"
#define THREAD "ffffffff-0000-4000-8000-000000000001"

static const struct {
    const char *frame, *why;
} bad[] = {
    { "", "bad JSON" },
    { "hello", "bad JSON" },
    { "{\"type\":\"ping\"}x", "bad JSON" },
    { "{\"type\":\"ping\"", "bad JSON" },
    { "null", "not a JSON object" },
    { "[]", "not a JSON object" },
    { "\"ping\"", "not a JSON object" },
    { "{}", "type: a string is missing" },
    { "{\"type\":1}", "type: a string is missing" },
    { "{\"type\":null}", "type: a string is missing" },
    { "{\"type\":\"\"}", "type: unknown" },
    { "{\"type\":\"Ping\"}", "type: unknown" },
    { "{\"type\":\"send\\u0000\"}", "type: unknown" },
    { "{\"type\":\"send\",\"thread\":\"" THREAD "\",\"text\":\"x\"}", "id: a UUID is missing" },
    { "{\"type\":\"send\",\"id\":7,\"thread\":\"" THREAD "\",\"text\":\"x\"}", "id: not a UUID" },
    { "{\"type\":\"send\",\"id\":\"" ID "0\",\"thread\":\"" THREAD "\",\"text\":\"x\"}",
      "id: not a UUID" },
    { "{\"type\":\"send\",\"id\":\"00000000-0000-0000-0000-000000000000\",\"thread\":\"" THREAD
      "\",\"text\":\"x\"}",
      "nil UUID" },
    { "{\"type\":\"send\",\"id\":\"" ID "\",\"text\":\"x\"}", "thread: a UUID is missing" },
    { "{\"type\":\"send\",\"id\":\"" ID "\",\"thread\":\"../x\",\"text\":\"x\"}",
      "thread: not a UUID" },
    { "{\"type\":\"send\",\"id\":\"" ID "\",\"thread\":\"" THREAD "\"}",
      "text: a string is missing" },
    { "{\"type\":\"send\",\"id\":\"" ID "\",\"thread\":\"" THREAD "\",\"text\":[\"x\"]}",
      "text: a string is missing" },
    { "{\"type\":\"send\",\"id\":\"" ID "\",\"thread\":\"" THREAD "\",\"text\":\" \\n\\t\"}",
      "text: it is empty" },
    { "{\"type\":\"history\"}", "thread: a UUID is missing" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"limit\":0}", "limit: not between" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"limit\":-1}", "limit: not between" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"limit\":101}", "limit: not between" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"limit\":\"9\"}", "limit: not an integer" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"limit\":1e99}", "limit: not an integer" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"before\":\"yesterday\"}",
      "before: not a UUID" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"after\":{}}", "after: not a UUID" },
    { "{\"type\":\"history\",\"thread\":\"" THREAD "\",\"before\":\"" ID "\",\"after\":\"" ID "\"}",
      "exclude each other" },
    { "{\"type\":\"rename\",\"thread\":\"" THREAD "\"}", "title: a string is missing" },
    { "{\"type\":\"rename\",\"thread\":\"" THREAD "\",\"title\":\"a\\u0000b\"}", "U+0000" },
    { "{\"type\":\"pin\",\"thread\":\"" THREAD "\",\"pinned\":1}", "pinned: true or false" },
    { "{\"type\":\"hide\"}", "thread: a UUID is missing" },
    { "{\"type\":\"vote\",\"thread\":\"" THREAD "\",\"vote\":1}", "message: a UUID is missing" },
    { "{\"type\":\"vote\",\"thread\":\"" THREAD "\",\"message\":\"" THREAD "\",\"vote\":2}",
      "vote: neither 1 nor -1" },
    { "{\"type\":\"list\",\"id\":\"x\"}", "id: not a UUID" },
};

Test(web_protocol, says_what_is_wrong)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct web_in in;
        struct json *doc = (struct json *)&in;
        struct err why = ERR_INIT;
        cr_assert_eq(web_in_parse(str_of(bad[i].frame), &in, &doc, &why), ERR_PROTO, "%s",
                     bad[i].frame);
        cr_assert(doc == NULL);
        cr_assert(strstr(why.msg, bad[i].why) != NULL, "%s: %s", bad[i].frame, why.msg);
    }
}

Test(web_protocol, names_the_frame_that_is_wrong)
{
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    web_in_parse(STR("{\"id\":\"" ID "\",\"type\":\"send\",\"text\":\"\"}"), &in, &doc, &why);
    cr_assert_str_eq(in.id, ID);
    web_in_parse(STR("{\"id\":\"" ID "\",\"type\":\"dance\"}"), &in, &doc, &why);
    cr_assert_str_eq(in.id, ID);
}

Test(web_protocol, takes_a_message)
{
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    struct str frame = STR(
        "{\"type\":\"send\",\"id\":\"0123ABCD-0000-4000-8000-00000000000F\",\"thread\":\"" THREAD
        "\",\"text\":\" a\\u00e9\\n\",\"more\":{}}");
    cr_assert_eq(web_in_parse(frame, &in, &doc, &why), ERR_NONE, "%s", why.msg);
    cr_assert_eq(in.verb, WEB_SEND);
    cr_assert_str_eq(in.id, ID); /* in one spelling: it makes the event's id */
    cr_assert_str_eq(in.thread, THREAD);
    cr_assert(str_eq(in.text, STR(" a\xc3\xa9\n")));
    json_free(doc);
}

Test(web_protocol, takes_the_other_frames)
{
    static const struct {
        const char *frame;
        enum web_verb verb;
        int64_t limit;
    } good[] = {
        { "{\"type\":\"list\"}", WEB_LIST, 0 },
        { "{\"type\":\"ping\",\"id\":null}", WEB_PING, 0 },
        { "{\"type\":\"history\",\"thread\":\"" THREAD "\"}", WEB_HISTORY, 50 },
        { "{\"type\":\"history\",\"thread\":\"" THREAD
          "\",\"limit\":100,\"before\":null,\"after\":\"" ID "\"}",
          WEB_HISTORY, 100 },
        { "{\"type\":\"rename\",\"thread\":\"" THREAD "\",\"title\":\" \"}", WEB_RENAME, 0 },
        { "{\"type\":\"pin\",\"thread\":\"" THREAD "\",\"pinned\":true}", WEB_PIN, 0 },
        { "{\"type\":\"hide\",\"thread\":\"" THREAD "\"}", WEB_HIDE, 0 },
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct web_in in;
        struct json *doc;
        struct err why = ERR_INIT;
        cr_assert_eq(web_in_parse(str_of(good[i].frame), &in, &doc, &why), ERR_NONE, "%s: %s",
                     good[i].frame, why.msg);
        cr_assert_eq(in.verb, good[i].verb);
        cr_assert_eq(in.limit, good[i].limit);
        json_free(doc);
    }
}

Test(web_protocol, a_title_has_an_end)
{
    char frame[1024], title[WEB_TITLE_MAX + 2];
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    memset(title, 'x', sizeof(title));
    title[WEB_TITLE_MAX] = '\0';
    snprintf(frame, sizeof(frame),
             "{\"type\":\"rename\",\"thread\":\"" THREAD "\",\"title\":\"%s\"}", title);
    cr_assert_eq(web_in_parse(str_of(frame), &in, &doc, &why), ERR_NONE);
    json_free(doc);
    title[WEB_TITLE_MAX] = 'x';
    title[WEB_TITLE_MAX + 1] = '\0';
    snprintf(frame, sizeof(frame),
             "{\"type\":\"rename\",\"thread\":\"" THREAD "\",\"title\":\"%s\"}", title);
    cr_assert_eq(web_in_parse(str_of(frame), &in, &doc, &why), ERR_PROTO);
}
