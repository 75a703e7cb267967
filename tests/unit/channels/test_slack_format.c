/*
 * Markdown in Slack's two dialects: a table of cases, everything that a model could do to a
 * channel, and long texts.
 */
#include "slack_text.h"

#include "core/chat/split.h"
#include <criterion/criterion.h>

#define GAP "\xE2\x80\x8B"

static const struct {
    const char *markdown, *mrkdwn;
} cases[] = {
    { "plain", "plain" },
    { "**bold** *it* _it_ ~~gone~~ `code`", "*bold* _it_ _it_ ~gone~ `code`" },
    { "***both***", "_*both*_" },
    { "**a *b* c**", "*a _b_ c*" },
    { "in**side**word", "in" GAP "*side*" GAP "word" },
    { "# Title\n\ntext", "*Title*\n\ntext" },
    { "## A **b**", "*A b*" },
    { "a\nb", "a\nb" },
    { "a  \nb", "a\nb" },
    { "- a\n- b\n  - c\n    - d", "• a\n• b\n    ◦ c\n        ▪ d" },
    { "3. a\n4. b", "3. a\n4. b" },
    { "- a\n\n- b", "• a\n\n• b" },
    { "- a\n\n  more", "• a\n\n    more" },
    { "> a\n> b", "> a\n> b" },
    { "> a\n>\n> b", "> a\n>\n> b" },
    { "> a\n\nb", "> a\n\nb" },
    { "```python\nx = 1\n```", "```\nx = 1\n```" },
    { "a\n```\n<b> & c\n```\nd", "a\n\n```\n&lt;b&gt; &amp; c\n```\n\nd" },
    { "````\n```\n````", "```\n``" GAP "`\n```" },
    { "- a\n  ```\n  x\n  ```", "• a\n```\nx\n```" },
    { "``a`b``", "`a\xCB\x8B"
                 "b`" },
    { "[label](https://a.example/x)", "<https://a.example/x|label>" },
    { "[**b** `c`](https://a.example)", "<https://a.example|b c>" },
    { "<https://a.example>", "<https://a.example|https://a.example>" },
    { "[x](javascript:alert(1))", "x (javascript:alert(1))" },
    { "[x](https://a.example/?a=1&b=2|3)", "<https://a.example/?a=1&amp;b=2%7C3|x>" },
    { "[https://good.example](https://evil.example)",
      "https://good.example (<https://evil.example>)" },
    { "[good.example](https://evil.example)", "good.example (<https://evil.example>)" },
    { "![a cat](https://a.example/cat.png)", "<https://a.example/cat.png|a cat>" },
    { "|x|y|\n|-|-|\n|1|**2**|", "```\nx | y\n--+--\n1 | 2\n```" },
    { "a\n\n---\n\nb", "a\n\n———\n\nb" },
    { "<b>x</b>", "&lt;b&gt;x&lt;/b&gt;" },
    { "<div>\nx\n</div>", "&lt;div&gt;\nx\n&lt;/div&gt;" },
    { "<!channel> <!here|x> <@U1> <#C1> <!subteam^S1>",
      "&lt;!channel&gt; &lt;!here|x&gt; &lt;@U1&gt; &lt;#C1&gt; &lt;!subteam^S1&gt;" },
    { "`<!channel>`", "`&lt;!channel&gt;`" },
    { "[<!channel>](https://a.example)", "<https://a.example|&lt;!channel&gt;>" },
    { "[x](<https://a.example/> \"t\")", "<https://a.example/|x>" },
    { "&lt;!channel&gt; &amp;amp;", "&lt;!channel&gt; &amp;amp;" },
    { "\\> no quote", GAP "&gt; no quote" },
    { "\\*not bold\\*", "*" GAP "not bold*" },
    { "snake_case 2 * 3 a*b ~/x", "snake_case 2 * 3 a*b ~" GAP "/x" },
};

Test(slack_format, cases)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(65536);
        cr_expect(slack_format(str_of(cases[i].markdown), &b), "%s", cases[i].markdown);
        cr_expect_str_eq(buf_str(&b).p, cases[i].mrkdwn, "%s\nis     %s\nshould %s",
                         cases[i].markdown, buf_str(&b).p, cases[i].mrkdwn);
        const char *problem = slack_problem(buf_str(&b));
        cr_expect_null(problem, "%s: %s", cases[i].markdown, problem);
    }
}

Test(slack_format, too_long_leaves_all_as_it_was)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(65536), b = BUF_INIT(65536);
    buf_add_cstr(&b, "before");
    for (int i = 0; i < 1100; i++) buf_add_cstr(&text, "<<< ");
    cr_expect_not(slack_format(buf_str(&text), &b));
    cr_expect_str_eq(b.p, "before");
    cr_expect_not(slack_format(STR(""), &b));
    cr_expect_not(b.full);
}

static const struct {
    const char *markdown, *made;
} kept[] = {
    { "# as it is\n\n| a | b |\n|---|---|\n| 1 < 2 | x |", NULL },
    { "a < b, <https://a.example> and [x](https://a.example)", NULL },
    { "<!channel>", "<" GAP "!channel>" },
    { "`<@U1>` <#C1>", "`<" GAP "@U1>` <" GAP "#C1>" },
    { "<https://evil.example|https://good.example>",
      "<https://evil.example" GAP "|https://good.example>" },
    { "[https://good.example](https://evil.example)",
      "[https://good.example]" GAP "(https://evil.example)" },
    { "[good.example](https://good.example/path)", NULL },
    { "[a](b\n[x.example](https://y.example)", "[a](b\n[x.example]" GAP "(https://y.example)" },
};

Test(slack_format, markdown_is_made_harmless)
{
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(65536);
        const char *want = kept[i].made ? kept[i].made : kept[i].markdown;
        cr_expect(slack_markdown(str_of(kept[i].markdown), &b));
        cr_expect_str_eq(b.p, want);
        cr_expect_null(slack_markdown_problem(buf_str(&b)));
    }
}

/* What a stream shows is the beginning of what it will show. */
Test(slack_format, markdown_grows)
{
    static const char text[] = "Hello <!channel> and `code <@U1>` [x](https://a.example) | a < b |"
                               "\n\n- one\n- two <https://a.example|b> end of it";
    _cleanup_(buf_done) struct buf all = BUF_INIT(65536);
    cr_assert(slack_markdown(str_of(text), &all));
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        _cleanup_(buf_done) struct buf part = BUF_INIT(65536);
        if (n && text[n - 1] != ' ') continue;
        cr_assert(slack_markdown(str_from(text, n), &part));
        cr_expect(str_starts(buf_str(&all), buf_str(&part)), "cut at %zu", n);
    }
}

Test(slack_format, parts_of_a_long_answer_fit)
{
    static const char *const pieces[] = { "word ",
                                          "<!channel> ",
                                          "**bold** ",
                                          "\n\n",
                                          "- item\n",
                                          "```c\nx<y\n```\n",
                                          "|a|b|\n|-|-|\n|1|2|\n\n",
                                          "\xF0\x9F\x98\x80 ",
                                          "[l](https://a.example) ",
                                          "> q\n" };
    unsigned seed = 7;
    for (int round = 0; round < 60; round++) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(1 << 20), joined = BUF_INIT(1 << 20);
        const struct split_rule rule = { .max = 2700, .unit = TEXT_UTF16 };
        struct text_part *parts;
        struct arena a;
        arena_init(&a);
        while (text.n < 12000) {
            seed = seed * 1103515245u + 12345u;
            buf_add_cstr(&text, pieces[(seed >> 16) % (sizeof(pieces) / sizeof(*pieces))]);
        }
        size_t n = split_text(&a, buf_str(&text), &rule, &parts);
        for (size_t i = 0; i < n; i++) {
            _cleanup_(buf_done) struct buf b = BUF_INIT(65536), m = BUF_INIT(65536);
            cr_expect(utf8_valid(parts[i].text));
            const char *problem =
                slack_format(parts[i].text, &b) ? slack_problem(buf_str(&b)) : NULL;
            cr_expect_null(problem, "%s:\n%.*s", problem, STR_ARG(parts[i].text));
            cr_expect(slack_markdown(parts[i].text, &m));
            cr_expect_null(slack_markdown_problem(buf_str(&m)));
        }
        cr_assert(split_join(&joined, parts, n));
        struct str want = str_trim(buf_str(&text));
        cr_expect(str_eq(str_trim(buf_str(&joined)), want), "joined, it is the text");
        arena_done(&a);
    }
}
