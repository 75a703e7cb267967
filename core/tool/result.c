/* result - see result.h. */
#include "core/tool/result.h"
#include "core/base/utf8.h"
#include "core/tool/visible.h"
#include <stdio.h>

#define LABEL_MAX 300 /* of a name, type or address that a server gives */

/* A text while it grows up to its maximum. */
struct text {
    struct buf *to;
    size_t left;      /* bytes that still fit */
    size_t n_dropped; /* bytes that did not */
    size_t n_parts;
};

static void add(struct text *t, struct str s)
{
    size_t fits = s.n <= t->left ? s.n : utf8_prefix(s, t->left, TEXT_BYTES);
    buf_add(t->to, str_head(s, fits));
    t->left -= fits;
    t->n_dropped += s.n - fits;
    if (fits < s.n) t->left = 0; /* nothing may follow behind a gap */
}

/*
 * Somebody else's text. A mark of ours inside it would end the fence: its bracket is written
 * otherwise.
 */
static void add_foreign(struct text *t, struct str s)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(s.n * 3 + 1);
    visible_add(&clean, s);
    s = buf_str(&clean);
    while (s.n) {
        size_t n = 0;
        while (n < s.n && !str_starts_nocase(str_skip(s, n), STR("<tool_result")) &&
               !str_starts_nocase(str_skip(s, n), STR("</tool_result"))) {
            size_t next = str_find_char(str_skip(s, n + 1), '<');
            n = next == SIZE_MAX ? s.n : n + 1 + next;
        }
        add(t, str_head(s, n));
        s = str_skip(s, n);
        if (s.n) add(t, STR("&lt;"));
        s = str_skip(s, 1);
    }
}

static void add_label(struct text *t, struct json *obj, const char *key)
{
    struct str value = STR_NONE;
    if (!json_get_str(obj, key, &value) || !value.n) return;
    struct str head = str_head(value, LABEL_MAX);
    add(t, STR(" "));
    add_foreign(t, str_head(head, head.n - utf8_partial_tail(head)));
}

static void part(struct text *t)
{
    if (t->n_parts++) add(t, STR("\n"));
}

/* Base64 of so many bytes. */
static void add_bytes(struct text *t, struct json *obj, const char *key)
{
    struct str data = STR_NONE;
    char text[48];
    json_get_str(obj, key, &data);
    while (str_ends(data, STR("="))) data.n--;
    int n = snprintf(text, sizeof(text), ", %zu bytes, not shown]", data.n * 3 / 4);
    add(t, str_from(text, (size_t)n));
}

static void add_resource(struct text *t, struct json *resource)
{
    struct str text;
    add(t, STR("[resource"));
    add_label(t, resource, "uri");
    add_label(t, resource, "mimeType");
    if (!json_get_str(resource, "text", &text)) {
        add_bytes(t, resource, "blob");
        return;
    }
    add(t, STR("]\n"));
    add_foreign(t, text);
}

static void add_content(struct text *t, struct json *content)
{
    struct str type = STR_NONE, text;
    json_get_str(content, "type", &type);
    part(t);
    if (str_eq(type, STR("text")) && json_get_str(content, "text", &text)) {
        add_foreign(t, text);
    } else if (str_eq(type, STR("image")) || str_eq(type, STR("audio"))) {
        add(t, str_eq(type, STR("image")) ? STR("[picture") : STR("[sound"));
        add_label(t, content, "mimeType");
        add_bytes(t, content, "data");
    } else if (str_eq(type, STR("resource_link"))) {
        add(t, STR("[link"));
        add_label(t, content, "uri");
        add_label(t, content, "name");
        add_label(t, content, "description");
        add(t, STR("]"));
    } else if (str_eq(type, STR("resource"))) {
        add_resource(t, json_get(content, "resource"));
    } else {
        add(t, STR("[something of an unknown type]"));
    }
}

static void add_structured(struct text *t, struct json *value)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(16 * 1024 * 1024);
    if (!value) return;
    part(t);
    json_write(value, &text);
    add_foreign(t, buf_str(&text));
}

enum err_kind result_format(struct json *result, const struct result_how *how, struct buf *to,
                            bool *ret_failed, struct err *why)
{
    struct str type = STR_NONE;
    struct text t = { .to = to, .left = how->max };
    struct json *content = json_get(result, "content");
    bool failed = false;
    json_get_str(result, "resultType", &type);
    if (str_eq(type, STR("input_required")))
        return err_set(why, ERR_REFUSED, "the tool asks for input, which nobody here can give it");
    json_get_bool(result, "isError", &failed);

    if (how->fenced)
        buf_addf(to, "<tool_result name=\"%.*s\" trust=\"none\">\n", STR_ARG(how->tool));
    for (size_t i = 0; i < json_length(content); i++) add_content(&t, json_at(content, i));
    if (!t.n_parts) add_structured(&t, json_get(result, "structuredContent"));
    if (!t.n_parts) add(&t, STR("(nothing)"));
    if (t.n_dropped) buf_addf(to, "\n[cut here: %zu more bytes]", t.n_dropped);
    if (how->fenced) buf_add_cstr(to, "\n</tool_result>");
    *ret_failed = failed;
    return to->full ? err_set(why, ERR_LIMIT, "the result is too long") : ERR_NONE;
}
