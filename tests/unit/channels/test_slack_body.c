#include "channels/slack/body.h"

#include "channels/slack/parse.h"
#include <criterion/criterion.h>

#define ID "01a21694-fee0-7436-804c-7a08df49e6d0"

static struct str blocks(const struct outbound *out, bool buttons, struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    const struct slack_face face = { STR("May I?"), STR_NONE, buttons };
    buf_clear(to);
    slack_put_blocks(&o, out, &face);
    return buf_str(to);
}

Test(slack_body, a_question_has_two_buttons)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 16);
    struct outbound out = { .where = { STR("T1"), STR("C1"), STR("1.2") },
                            .person = STR("U1"),
                            .n_parts = 1,
                            .notice = true,
                            .asks = true };
    cr_assert(uuid_parse(STR(ID), &out.request));
    struct str got = blocks(&out, true, &b);
    cr_expect_str_eq(
        got.p,
        "[{\"type\":\"section\",\"expand\":true,\"text\":{\"type\":\"mrkdwn\",\"text\":\"May I?\"}},"
        "{\"type\":\"actions\",\"elements\":["
        "{\"type\":\"button\",\"action_id\":\"parley_allow\",\"style\":\"primary\",\"value\":\"tool+" ID
        ":U1\",\"text\":{\"type\":\"plain_text\",\"text\":\"Allow\",\"emoji\":true}},"
        "{\"type\":\"button\",\"action_id\":\"parley_deny\",\"style\":\"danger\",\"value\":\"tool-" ID
        ":U1\",\"text\":{\"type\":\"plain_text\",\"text\":\"Refuse\",\"emoji\":true}}]}]");
    out.where.thread = STR_NONE;
    got = blocks(&out, true, &b);
    cr_expect(str_find(got, STR("\"block_id\":\"" SLACK_BLOCK_ROOT "\"")) != SIZE_MAX);
    cr_expect_str_eq(blocks(&out, false, &b).p, "[]", "they are switched off");
    out.asks = false;
    cr_expect_str_eq(blocks(&out, true, &b).p, "[]", "it was decided");
}
