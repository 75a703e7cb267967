/*
 * A template and JSON, with a NUL between: what is made of them is valid. And all of it as one
 * value: no Markdown comes out of it but text, and addresses that show themselves.
 */
#include "core/base/utf8.h"
#include "core/chat/markdown.h"
#include "core/hook/template.h"
#include <stdlib.h>

static void render_both_ways(struct str text, struct str json)
{
    struct arena arena;
    struct template *t;
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    arena_init(&arena);
    bool good = !template_parse(&arena, text, &t, &why) && !json_parse(json, &doc, NULL);
    for (int whom = TEMPLATE_MARKDOWN; good && whom <= TEMPLATE_PLAIN; whom++) {
        _cleanup_(buf_done) struct buf out = BUF_INIT(2000);
        enum err_kind kind = template_render(t, (enum template_for)whom, doc, &out, &why);
        if (!utf8_valid(buf_str(&out))) abort();
        if (kind != ERR_NONE && kind != ERR_NOT_FOUND && kind != ERR_PROTO && kind != ERR_LIMIT)
            abort();
    }
    json_free(doc);
    arena_done(&arena);
}

/* wanted: what the template itself makes of the value. */
static bool is_text(const struct md_event *e, enum md_type wanted)
{
    if (e->type == wanted) return true;
    switch (e->type) {
    case MD_DOCUMENT:
    case MD_PARAGRAPH:
    case MD_TEXT:
    case MD_SOFT_BREAK:
    case MD_HARD_BREAK: return true;
    case MD_LINK: /* recognised in bare text */
        return str_starts_nocase(e->url, STR("http")) || str_starts_nocase(e->url, STR("ftp")) ||
               str_starts(e->url, STR("mailto:")) || str_starts(e->url, STR("xmpp:"));
    default: return false;
    }
}

static void stay_text(const char *text, struct str value, enum md_type wanted)
{
    struct arena arena;
    struct template *t;
    struct json *doc = NULL;
    struct markdown *md;
    struct md_event e;
    int n_wanted = 0;
    _cleanup_(buf_done) struct buf json = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    struct json_out o = JSON_OUT(&json);
    json_open(&o, '[');
    json_put_str(&o, value);
    json_close(&o, ']');
    arena_init(&arena);
    if (template_parse(&arena, str_of(text), &t, NULL) || json_parse(buf_str(&json), &doc, NULL))
        abort();
    template_render(t, TEMPLATE_MARKDOWN, doc, &out, NULL);
    if (markdown_parse(buf_str(&out), &md, NULL) == ERR_NONE) {
        while (markdown_next(md, &e))
            if (!is_text(&e, wanted) || (n_wanted += e.enter && e.type == wanted) > 1) abort();
        markdown_free(md);
    }
    json_free(doc);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str json = str_from((const char *)data, size), value = json;
    struct str text = str_cut(&json, '\0');
    render_both_ways(text, json);
    stay_text("{{ 0 }}", value, MD_DOCUMENT);
    stay_text("a {{ 0 }}\nb", value, MD_DOCUMENT);
    stay_text("a {{ 0 | code }} b", value, MD_CODE);
    stay_text("a {{ 0 | block }}", value, MD_CODE_BLOCK);
    stay_text("[a]({{ 0 }})", value, MD_LINK);
    return 0;
}
