#include "channels/telegram/format.h"

#include "telegram_html.h"

#include <criterion/criterion.h>
#include <time.h>

static const struct {
    const char *markdown, *html; /* NULL: must go as plain text */
} cases[] = {
    { "Hello", "Hello" },
    { "a < b && c > d \"q\"", "a &lt; b &amp;&amp; c &gt; d \"q\"" },
    { "**b** *i* ~~s~~ `c<` <u>u</u>", "<b>b</b> <i>i</i> <s>s</s> <code>c&lt;</code> <u>u</u>" },
    { "***both***", "<i><b>both</b></i>" },
    { "**a **b** c**", "<b>a b c</b>" },
    { "one\ntwo  \nthree", "one\ntwo\nthree" },
    { "one\n\n\n\ntwo", "one\n\ntwo" },
    { "# T *i* **b**\ntext", "<b>T <i>i</i> b</b>\n\ntext" },
    { "```c\nif (a < b)\n    x;\n```",
      "<pre><code class=\"language-c\">if (a &lt; b)\n    x;</code></pre>" },
    { "```\nx\n```\n", "<pre>x</pre>" },
    { "```<b>\nx\n```", "<pre>x</pre>" },
    { "```c++ title=x\nx\n```", "<pre><code class=\"language-c++\">x</code></pre>" },
    { "```\nnever closed", "<pre>never closed</pre>" },
    { "```\n```", NULL },
    { "    indented\n", "<pre>indented</pre>" },
    { "[t](https://a.b/?x=1&y=\"2\")", "<a href=\"https://a.b/?x=1&amp;y=&quot;2&quot;\">t</a>" },
    { "[t](javascript:alert(1))", "t (javascript:alert(1))" },
    { "[t](data:text/html,x)", "t (data:text/html,x)" },
    { "[t](./rel/path)", "t (./rel/path)" },
    { "[](https://a.b)", "<a href=\"https://a.b\">https://a.b</a>" },
    { "[**t** `c`](tg://user?id=1)", "<a href=\"tg://user?id=1\"><b>t</b> c</a>" },
    { "![alt](https://a.b/p.png)", "<a href=\"https://a.b/p.png\">alt</a>" },
    { "[![alt](https://a.b/p.png)](https://c.d)", "<a href=\"https://c.d\">alt</a>" },
    { "https://a.b/c", "<a href=\"https://a.b/c\">https://a.b/c</a>" },
    { "x@example.org", "<a href=\"mailto:x@example.org\">x@example.org</a>" },
    { "- a\n- b\n  - c\n    - d\n- e", "• a\n• b\n  ◦ c\n    ▪ d\n• e" },
    { "1. a\n2. b\n\n   more\n", "1. a\n\n2. b\n\n   more" },
    { "7) a\n8) b", "7. a\n8. b" },
    { "Intro:\n- a\n\nEnd", "Intro:\n\n• a\n\nEnd" },
    { "- a\n  ```c\n  x\n  ```\n- b", "• a\n<pre><code class=\"language-c\">x</code></pre>\n• b" },
    { "- ```\n  x\n  ```", "• \n<pre>x</pre>" },
    { "- one\n  two", "• one\n  two" },
    { "> a\n> b\n>\n> > c\n\nd", "<blockquote>a\nb\n\nc</blockquote>\n\nd" },
    { "> - a\n> - **b**", "<blockquote>• a\n• <b>b</b></blockquote>" },
    { "a\n\n---\n\nb", "a\n\n———\n\nb" },
    { "| a | bb |\n|---|---:|\n| 1 | 22222 |", "<pre>a |    bb\n--+------\n1 | 22222</pre>" },
    { "| a |\n|---|", "<pre>a\n-</pre>" },
    { "|a|b|\n|-|-|\n|**x**<br>y|[l](https://a.b)|",
      "<pre>a   | b\n----+----------------\nx y | l (https://a.b)</pre>" },
    { "<b>bold <i>both</i></b> <script>x</script>",
      "<b>bold <i>both</i></b> &lt;script&gt;x&lt;/script&gt;" },
    { "*a <u>b* c</u>", "<i>a <u>b</u></i> c" },
    { "<b>never closed", "<b>never closed</b>" },
    { "a</b>", "a" },
    { "a<br>b<br/>c", "a\nb\nc" },
    { "<div>\nblock\n</div>", "&lt;div&gt;\nblock\n&lt;/div&gt;" },
    { "&lt;b&gt; &copy; &#0;", "&lt;b&gt; \xC2\xA9 \xEF\xBF\xBD" },
    { "\\*not\\* 2*3*4 a_b_c", "*not* 2<i>3</i>4 a_b_c" },
    { "", NULL },
    { " \n\n ", NULL },
    { "[x]: https://a.b", NULL },
    { "- [ ] open\n- [x] done", "• [ ] open\n• [x] done" },
};

Test(telegram_format, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
        bool ok = telegram_format(str_of(cases[i].markdown), &b);
        cr_expect_eq(ok, cases[i].html != NULL, "%s", cases[i].markdown);
        if (!ok || !cases[i].html) continue;
        cr_expect_str_eq(b.p, cases[i].html, "%s\n got %s", cases[i].markdown, b.p);
        const char *problem = html_problem(buf_str(&b));
        cr_expect_null(problem, "%s: %s", problem, b.p);
    }
}

Test(telegram_format, appends_and_restores)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    buf_add_cstr(&b, "before");
    cr_assert(telegram_format(STR("*x*"), &b));
    cr_expect_str_eq(b.p, "before<i>x</i>");
    cr_assert(!telegram_format(STR(""), &b));
    cr_expect_str_eq(b.p, "before<i>x</i>");
    cr_expect(!b.full);
}

Test(telegram_format, too_long)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    for (int i = 0; i < 4096; i++) buf_add_char(&in, 'x');
    cr_expect(telegram_format(buf_str(&in), &out));
    buf_add_char(&in, 'x');
    cr_expect(!telegram_format(buf_str(&in), &out));

    buf_clear(&in);
    for (int i = 0; i < 2048; i++) buf_add_cstr(&in, "\xF0\x9F\x98\x80");
    cr_expect(telegram_format(buf_str(&in), &out));
    buf_add_char(&in, 'x');
    cr_expect(!telegram_format(buf_str(&in), &out));
}

Test(telegram_format, a_table_that_padding_would_blow_up_is_not_padded)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    buf_add_cstr(&in, "|a|b|\n|-|-|\n|0123456789012345678901234567890123456789|x|\n");
    for (int i = 0; i < 200; i++) buf_addf(&in, "|%d|x|\n", i);
    cr_assert(telegram_format(buf_str(&in), &out));
    cr_expect(str_find(buf_str(&out), STR("\n42 | x\n")) != SIZE_MAX);
    cr_expect_null(html_problem(buf_str(&out)));
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A model may write anything; whatever it is, it becomes something that Telegram takes, soon. */
Test(telegram_format, nasty)
{
    static const char *const pieces[] = {
        "*",
        "_",
        "**a",
        "`",
        "```",
        "[",
        "![",
        "[a](",
        "](",
        ">",
        "> ",
        "- ",
        "1. ",
        "#",
        "~~",
        "<",
        "&",
        "<u>",
        "</u>",
        "<b><i>",
        "|",
        "|a",
        "\n|",
        "\n",
        "\\",
        "www.",
        "http://",
        "a@b.",
        "<!--",
        "***a**",
        "[a][",
        "[^1]",
        "*a_",
        "\t",
        "<br>",
        "![[",
        "[a](b)",
        "`a``",
        "   > - 1. ",
        "\n> ",
        "\n- ",
        "\n\n    x",
        "&#x10FFFF;",
        "\xF0\x9F\x98\x80",
        "e\xCC\x81",
        "~~~c\n",
        "_a __b ",
        "a\n-\n",
        "x|y\n-|-\n",
        "|x|y|\n",
        "[](",
        "<a href=\"",
        "http://a.b/(",
        "___a",
        "\n   1) ",
    };
    size_t n = sizeof(pieces) / sizeof(pieces[0]);
    double worst = 0;
    for (size_t i = 0; i < n * (n + 1); i += i < n ? 1 : 7) { /* each alone, then pairs */
        const char *a = pieces[i % n], *b = i < n ? "" : pieces[i / n - 1];
        _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 16), out = BUF_INIT(1 << 20);
        if (i % 3 == 0) buf_add_cstr(&in, "|a|b|\n|-|-|\n");
        while (utf8_utf16_units(buf_str(&in)) < 3900) buf_addf(&in, "%s%s", a, b);
        double before = cpu_ms();
        bool ok = telegram_format(buf_str(&in), &out);
        double took = cpu_ms() - before;
        if (took > worst) worst = took;
        cr_expect_lt(took, 1000, "\"%s%s\" took %.0f ms", a, b, took);
        const char *problem = ok ? html_problem(buf_str(&out)) : NULL;
        cr_expect_null(problem, "\"%s%s\": %s", a, b, problem);
    }
    cr_log_info("worst: %.1f ms", worst);
}
