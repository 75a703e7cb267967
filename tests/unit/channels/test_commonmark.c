/*
 * The examples of the CommonMark specification (npm: commonmark-spec) through every formatter: what
 * comes out is valid by the platform's rules, and no text is lost. What the text is, the
 * specification's own HTML says.
 */
#include "discord_text.h"
#include "slack_text.h"
#include "telegram_html.h"

#include "channels/telegram/format.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define FENCE "````````````````````````````````"
#define TAB   "\xE2\x86\x92" /* how the specification shows a tab */

static struct buf spec = BUF_INIT(4 << 20);

static void read_spec(void)
{
    char piece[65536];
    FILE *f = fopen(NPM_MODULES "/commonmark-spec/spec.txt", "r");
    cr_assert(f, "commonmark-spec is missing: scripts/test installs it");
    for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;) buf_add(&spec, str_from(piece, n));
    fclose(f);
}

static void add_with_tabs(struct buf *to, struct str s)
{
    while (s.n) {
        size_t at = str_find(s, STR(TAB));
        buf_add(to, str_head(s, at));
        if (at == SIZE_MAX) break;
        buf_add_char(to, '\t');
        s = str_skip(s, at + sizeof(TAB) - 1);
    }
}

/* The next example, cut off *rest. */
static bool next_example(struct str *rest, struct buf *markdown, struct buf *html)
{
    const struct str begin = STR("\n" FENCE " example\n"), end = STR("\n" FENCE "\n");
    size_t at = str_find(*rest, begin);
    if (at == SIZE_MAX) return false;
    *rest = str_skip(*rest, at + begin.n);
    /* An empty HTML ends where it begins. */
    size_t dot = str_starts(*rest, STR(".\n")) ? 0 : str_find(*rest, STR("\n.\n")) + 1;
    struct str source = str_head(*rest, dot);
    *rest = str_skip(*rest, dot + 1);
    size_t stop = str_find(*rest, end);
    cr_assert_neq(stop, SIZE_MAX);
    buf_clear(markdown);
    buf_clear(html);
    add_with_tabs(markdown, source);
    add_with_tabs(html, str_head(*rest, stop));
    *rest = str_skip(*rest, stop + 1);
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static struct str entity_of(struct str s)
{
    static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (str_starts(s, str_of(names[i]))) return str_of(names[i]);
    return STR_NONE;
}

/* Letters and digits of the text between the tags. */
static void words_of_html(struct str html, struct buf *to)
{
    for (size_t i = 0; i < html.n;) {
        struct str rest = str_skip(html, i), entity = entity_of(rest);
        size_t close = html.p[i] == '<' ? str_find_char(rest, '>') : SIZE_MAX;
        if (is_word(html.p[i])) buf_add_char(to, html.p[i]);
        i += close != SIZE_MAX ? close + 1 : entity.n ? entity.n : 1;
    }
}

/* Every one of `words` is in `text`, in the same order. */
static bool holds(struct str text, struct str words)
{
    size_t at = 0;
    for (size_t i = 0; i < text.n && at < words.n; i++) at += text.p[i] == words.p[at];
    return at == words.n;
}

static const struct formatter {
    const char *name;
    bool (*format)(struct str markdown, struct buf *to);
    const char *(*problem)(struct str made);
} formatters[] = {
    { "telegram", telegram_format, NULL }, /* a C string is asked for: below */
    { "discord", discord_format, discord_problem },
    { "slack", slack_format, slack_problem },
    { "slack markdown", slack_markdown, slack_markdown_problem },
};

static const char *problem_of(const struct formatter *f, struct str made)
{
    return f->problem ? f->problem(made) : html_problem(made);
}

/* Entities are Slack's to read in its own Markdown. cmark takes a number of eight digits for one.
 */
static bool is_exempt(const struct formatter *f, struct str markdown)
{
    return str_find(markdown, STR("&#87654321;")) != SIZE_MAX ||
           (f->format == slack_markdown && str_find_char(markdown, '&') != SIZE_MAX);
}

static size_t check(struct str markdown, struct str words)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof(formatters) / sizeof(*formatters); i++) {
        const struct formatter *f = &formatters[i];
        _cleanup_(buf_done) struct buf made = BUF_INIT(1 << 20);
        bool ok = f->format(markdown, &made);
        cr_expect(ok || !words.n, "%s refuses:\n%.*s", f->name, STR_ARG(markdown));
        if (!ok) continue;
        n++;
        const char *problem = problem_of(f, buf_str(&made));
        cr_expect_null(problem, "%s: %s:\n%.*s\nbecomes\n%s", f->name, problem, STR_ARG(markdown),
                       made.p);
        cr_expect(is_exempt(f, markdown) || holds(buf_str(&made), words),
                  "%s loses text of\n%.*s\nmade is\n%s\nwords are %.*s", f->name, STR_ARG(markdown),
                  made.p, STR_ARG(words));
    }
    return n;
}

Test(commonmark, every_example_through_every_formatter)
{
    _cleanup_(buf_done) struct buf markdown = BUF_INIT(1 << 20), html = BUF_INIT(1 << 20),
                                   clean = BUF_INIT(1 << 20), words = BUF_INIT(1 << 20);
    size_t n = 0, n_made = 0;
    read_spec();
    struct str rest = buf_str(&spec);
    while (next_example(&rest, &markdown, &html)) {
        buf_clear(&clean);
        buf_clear(&words);
        utf8_clean(&clean, buf_str(&markdown));
        words_of_html(buf_str(&html), &words);
        n_made += check(buf_str(&clean), buf_str(&words));
        n++;
    }
    cr_expect_gt(n, 640, "%zu examples", n);
    cr_expect_gt(n_made, 3 * n);
    buf_done(&spec);
}
