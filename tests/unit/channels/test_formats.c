/*
 * What holds for the formatters of all channels: whatever the Markdown, the platform takes the
 * result and no text is lost. CommonMark's own examples are the proof that is not ours;
 * scripts/test fetches them.
 */
#include "discord_text.h"
#include "slack_text.h"
#include "telegram_html.h"

#include "core/chat/split.h"

#include <cmark-gfm.h>
#include <criterion/criterion.h>
#include <stdio.h>

#define SPEC SOURCE_DIR "/build/npm/node_modules/commonmark-spec/spec.txt"

/* --- what a person sees --- */

/* HTML without tags and with its entities read. */
static void telegram_shown(struct str s, struct buf *to)
{
    static const char *const entities[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    while (s.n) {
        size_t n = s.p[0] == '<' ? str_find_char(s, '>') + 1 : 0;
        for (size_t i = 0; i < 4 && !n; i++)
            if (str_starts(s, str_of(entities[i]))) {
                buf_add_char(to, "&<>\""[i]);
                n = strlen(entities[i]);
            }
        if (!n) {
            buf_add_char(to, s.p[0]);
            n = 1;
        }
        s = str_skip(s, n);
    }
}

/* Escapes stand before signs only: they do no harm where letters are compared. */
static void discord_shown(struct str s, struct buf *to)
{
    buf_add(to, s);
}

static void slack_shown(struct str s, struct buf *to)
{
    struct slack_eyes eyes = { .shown = to };
    slack_read(s, &eyes);
}

static const struct platform {
    const char *name;
    bool (*format)(struct str markdown, struct buf *to);
    const char *(*problem)(struct str s);
    void (*shown)(struct str s, struct buf *to);
    struct split_rule rule;
} platforms[] = {
    { "telegram", telegram_format, html_problem, telegram_shown, { 4000, TEXT_UTF16, 0, { 0 } } },
    { "discord", discord_format, discord_problem, discord_shown, { 1900, TEXT_UTF16, 0, { 0 } } },
    { "slack", slack_format, slack_problem, slack_shown, { 3500, TEXT_UTF16, 0, { 0 } } },
};
#define N_PLATFORMS (sizeof(platforms) / sizeof(platforms[0]))

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

/* The first letter or digit of `text` that is not in `shown`, in order; NULL = all are. */
static const char *lost(struct str text, struct str shown)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!is_letter(text.p[i])) continue;
        size_t at = str_find_char(shown, text.p[i]);
        if (at == SIZE_MAX) return text.p + i;
        shown = str_skip(shown, at + 1);
    }
    return NULL;
}

/* --- CommonMark's examples --- */

/* The library's own idea of the text: neither our parser's options nor our walk. */
static char *plain_text(struct str markdown)
{
    cmark_node *root = cmark_parse_document(markdown.p, markdown.n, CMARK_OPT_DEFAULT);
    char *text = cmark_render_plaintext(root, CMARK_OPT_DEFAULT, 0);
    cmark_node_free(root);
    return text;
}

static void check_example(const struct platform *p, struct str markdown, const char *text)
{
    _cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20), shown = BUF_INIT(1 << 20);
    if (!p->format(markdown, &out)) {
        cr_expect_null(lost(str_of(text), STR_NONE), "%s cannot format\n%.*s", p->name,
                       STR_ARG(markdown));
        return;
    }
    const char *problem = p->problem(buf_str(&out));
    cr_expect_null(problem, "%s: %s\n%.*s\n -> %s", p->name, problem, STR_ARG(markdown), out.p);
    p->shown(buf_str(&out), &shown);
    const char *missing = lost(str_of(text), buf_str(&shown));
    cr_expect_null(missing, "%s lost %s\n%.*s\n -> %s", p->name, missing, STR_ARG(markdown), out.p);
}

static void read_spec(struct buf *to)
{
    FILE *file = fopen(SPEC, "r");
    cr_assert_not_null(file, "no %s: scripts/test fetches it", SPEC);
    for (size_t n = 1; n;) {
        char *room = buf_room(to, 65536);
        cr_assert_not_null(room);
        n = fread(room, 1, 65536, file);
        buf_grew(to, n);
    }
    fclose(file);
}

/* "→" stands for a tab there. */
static void untab(struct str s, struct buf *to)
{
    for (size_t at; (at = str_find(s, STR("→"))) != SIZE_MAX; s = str_skip(s, at + 3)) {
        buf_add(to, str_head(s, at));
        buf_add_char(to, '\t');
    }
    buf_add(to, s);
}

#define FENCE "````````````````````````````````"

Test(formats, examples_of_commonmark_are_valid_and_whole)
{
    _cleanup_(buf_done) struct buf spec = BUF_INIT(1 << 20);
    read_spec(&spec);
    struct str rest = buf_str(&spec);
    int n_examples = 0;
    for (size_t at; (at = str_find(rest, STR(FENCE " example\n"))) != SIZE_MAX; n_examples++) {
        rest = str_skip(rest, at + sizeof(FENCE " example\n") - 1);
        size_t n = str_starts(rest, STR(".\n")) ? 0 : str_find(rest, STR("\n.\n"));
        cr_assert_neq(n, SIZE_MAX);
        _cleanup_(buf_done) struct buf markdown = BUF_INIT(1 << 16), slack = BUF_INIT(1 << 16);
        untab(str_head(rest, n ? n + 1 : 0), &markdown);
        char *text = plain_text(buf_str(&markdown));
        for (size_t i = 0; i < N_PLATFORMS; i++)
            check_example(&platforms[i], buf_str(&markdown), text);
        cr_expect(slack_markdown(buf_str(&markdown), &slack));
        cr_expect_null(slack_markdown_problem(buf_str(&slack)), "%s", slack.p);
        free(text);
        rest = str_skip(rest, n + str_find(str_skip(rest, n), STR("\n" FENCE "\n")) + 1 + 33);
    }
    cr_expect_eq(n_examples, 652);
}

/* --- whatever is split --- */

static size_t check_parts(const struct platform *p, struct str text)
{
    _cleanup_(buf_done) struct buf joined = BUF_INIT(1 << 20);
    struct text_part *parts;
    struct arena arena;
    arena_init(&arena);
    size_t n = split_text(&arena, text, &p->rule, &parts), n_formatted = 0;
    for (size_t i = 0; i < n; i++) {
        _cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
        cr_assert_leq(utf8_length(parts[i].text, p->rule.unit), p->rule.max, "%s", p->name);
        cr_assert(utf8_valid(parts[i].text), "%s: cut in a code point", p->name);
        bool ok = p->format(parts[i].text, &out);
        const char *problem = ok ? p->problem(buf_str(&out)) : NULL;
        cr_assert_null(problem, "%s: %s\n%.*s\n -> %s", p->name, problem, STR_ARG(parts[i].text),
                       out.p);
        cr_assert(ok || !out.n);
        n_formatted += ok;
    }
    split_join(&joined, parts, n);
    struct str whole = buf_str(&joined);
    /* Blanks at its ends are not sent. */
    cr_assert(str_eq(str_trim(whole), str_trim(text)), "%s: %zu bytes became %zu", p->name, text.n,
              whole.n);
    arena_done(&arena);
    return n_formatted * 100 / (n ? n : 1);
}

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static void random_markdown(struct buf *to, size_t n)
{
    static const char *const pieces[] = {
        "*",
        "_",
        "**",
        "`",
        "~~",
        "[",
        "](",
        ")",
        "\n> ",
        "\n- ",
        "\n   1. ",
        "\n# ",
        "<",
        "<b>",
        "|",
        "\n\n",
        "\n",
        "\n```c\n",
        "\n```\n",
        "\n~~~\n",
        "\n    x\n",
        "\n|a|b|\n|-|-|\n|c|d|\n",
        "&amp;",
        "\\",
        "word ",
        "https://a.b/c_d ",
        "e\xCC\x81",
        "\xF0\x9F\x98\x80",
        "ä",
        "日本",
        "[a](https://b.c)",
        "![a](https://b.c)",
        "*i* ",
        "**b** ",
        "`c` ",
        "<!channel> ",
        "<@1> ",
    };
    while (to->n < n) {
        buf_add_cstr(to, pieces[draw(sizeof(pieces) / sizeof(pieces[0]))]);
        for (uint32_t k = draw(12); k; k--) buf_add_cstr(to, draw(9) ? "Some words. " : "word\n");
    }
}

Test(formats, parts_of_random_markdown_fit_and_join)
{
    size_t percent[N_PLATFORMS] = { 0 };
    for (int round = 0; round < 150; round++) {
        _cleanup_(buf_done) struct buf in = BUF_INIT(1 << 20);
        random_markdown(&in, 1 + draw(20000));
        for (size_t i = 0; i < N_PLATFORMS; i++)
            percent[i] += check_parts(&platforms[i], buf_str(&in));
    }
    for (size_t i = 0; i < N_PLATFORMS; i++)
        cr_expect_gt(percent[i] / 150, 75, "%s: %zu %%", platforms[i].name, percent[i] / 150);
}

Test(formats, parts_of_a_long_document_fit_and_join)
{
    _cleanup_(buf_done) struct buf spec = BUF_INIT(1 << 20);
    read_spec(&spec);
    for (size_t i = 0; i < N_PLATFORMS; i++)
        cr_expect_gt(check_parts(&platforms[i], buf_str(&spec)), 75, "%s", platforms[i].name);
}
