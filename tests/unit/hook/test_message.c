/* What of a webhook is news, and what becomes of it. */
#include "core/hook/github.h"
#include "core/hook/message.h"
#include <criterion/criterion.h>

static struct buf out;
static struct err why;

static void setup(void)
{
    buf_init(&out, 200);
}

static void teardown(void)
{
    buf_done(&out);
}

TestSuite(message, .init = setup, .fini = teardown);

#define HOOK(template_, events_)                                               \
    {                                                                          \
        .kind = STR("github"), .mode = STR("say"), .template = STR(template_), \
        .events = STR(events_)                                                 \
    }

static enum hook_outcome make(const struct hook_row *hook, const char *event, const char *json)
{
    struct json *doc;
    buf_clear(&out);
    cr_assert_eq(json_parse(str_of(json), &doc, NULL), ERR_NONE);
    enum hook_outcome outcome = hook_message(hook, str_of(event), doc, &out, &why);
    json_free(doc);
    return outcome;
}

static void expect(const struct hook_row *hook, const char *event, const char *json,
                   enum hook_outcome outcome, const char *says)
{
    cr_expect_eq(make(hook, event, json), outcome, "%s %s", event, json);
    cr_expect_str_eq(outcome == HOOK_MESSAGE ? out.p : why.msg, says, "%s %s", event, json);
}

Test(message, events_that_are_taken)
{
    const struct hook_row all = HOOK("{{ action }}", "[]");
    const struct hook_row some = HOOK("{{ action }}", "[\"issues.opened\", \"push\", 5]");
    static const char not_taken[] = "this hook does not take this event";
    expect(&all, "issues", "{\"action\": \"closed\"}", HOOK_MESSAGE, "closed");
    expect(&all, "ping", "{\"action\": \"x\"}", HOOK_DROPPED, not_taken);
    expect(&some, "issues", "{\"action\": \"opened\"}", HOOK_MESSAGE, "opened");
    expect(&some, "issues", "{\"action\": \"closed\"}", HOOK_DROPPED, not_taken);
    expect(&some, "issues", "{}", HOOK_DROPPED, not_taken);
    expect(&some, "issues.", "{\"action\": \"opened\"}", HOOK_DROPPED, not_taken);
    expect(&some, "push", "{\"action\": \"x\"}", HOOK_MESSAGE, "x");
    expect(&some, "pushed", "{\"action\": \"x\"}", HOOK_DROPPED, not_taken);
    /* Standard Webhooks name it inside. */
    expect(&some, "", "{\"type\": \"push\", \"action\": \"x\"}", HOOK_MESSAGE, "x");
    expect(&some, "", "{\"type\": \"pull\", \"action\": \"x\"}", HOOK_DROPPED, not_taken);
    expect(&some, "", "null", HOOK_DROPPED, not_taken);
}

Test(message, ready_templates)
{
    const struct hook_row ready = HOOK("", "[]");
    expect(&ready, "star", "{}", HOOK_DROPPED, "there is no ready template for this event");
    expect(&ready, "issues", "{\"action\": \"labeled\"}", HOOK_DROPPED, "this action is no news");
    expect(&ready, "issues", "[]", HOOK_DROPPED, "this action is no news");
    expect(&ready, "check_run",
           "{\"action\": \"completed\", \"check_run\": {\"conclusion\": \"success\"}}",
           HOOK_DROPPED, "a check that went well is no news");
    expect(&ready, "issues", "{\"action\": \"opened\"}", HOOK_BROKEN, "sender.login: missing");
    expect(&ready, "ping", "{\"organization\": {\"login\": \"x_y\"}}", HOOK_MESSAGE,
           "x\\_y sends its news here from now on.");
    expect(
        &ready, "push",
        "{\"pusher\": {\"name\": \"a\"}, \"ref\": \"refs/heads/b\", \"commits\": [], \"forced\": true,"
        " \"repository\": {\"full_name\": \"c/d\", \"html_url\": \"https://e\"}}",
        HOOK_MESSAGE, "**a** moved ` b ` of [c/d](https://e)");
}

Test(message, texts)
{
    const struct hook_row one = HOOK("  {{ a }}\n\n", "[]");
    struct hook_row asks = one;
    asks.mode = STR("ask");
    expect(&one, "x", "{\"a\": \"*b*\"}", HOOK_MESSAGE, "  \\*b\\*");
    expect(&asks, "x", "{\"a\": \"*b*\"}", HOOK_MESSAGE, "  *b*");
    expect(&one, "x", "{\"a\": \" \"}", HOOK_DROPPED, "the template makes no text of it");
    expect(&one, "x", "{}", HOOK_BROKEN, "a: missing");
    out.max = 20;
    expect(&one, "x", "{\"a\": \"12345678901234567\"}", HOOK_MESSAGE, "  123456789\n\n_(cut)_");
}

Test(message, templates_are_checked)
{
    struct json *sample;
    cr_assert_eq(json_parse(STR("{\"a\": 1}"), &sample, NULL), ERR_NONE);
    cr_expect_eq(hook_template_check(STR("{{ a }}"), sample, &why), ERR_NONE);
    cr_expect_eq(hook_template_check(STR("{{ b }}"), NULL, &why), ERR_NONE);
    cr_expect_eq(hook_template_check(STR("{{ b }}"), sample, &why), ERR_NOT_FOUND);
    cr_expect_str_eq(why.msg, "b: missing");
    cr_expect_eq(hook_template_check(STR("{{ b "), sample, &why), ERR_PROTO);
    json_free(sample);
}
