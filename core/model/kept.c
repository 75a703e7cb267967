/* kept: see kept.h. */
#include "core/model/kept.h"
#include "core/base/utf8.h"

void kept_init(struct kept *k)
{
    buf_init(&k->json, KEPT_MAX);
    k->out = (struct json_out)JSON_OUT(&k->json);
    k->said = 0;
}

void kept_done(struct kept *k)
{
    buf_done(&k->json);
}

struct json_out *kept_part(struct kept *k, size_t said)
{
    if (!k->json.n) json_open(&k->out, '[');
    if (said > k->said) json_put_i64(&k->out, (int64_t)(said - k->said));
    k->said = said;
    return &k->out;
}

void kept_end(struct kept *k, struct model_sink *sink)
{
    if (!k->json.n) return;
    json_close(&k->out, ']');
    if (sink->keep && !k->json.full) sink->keep(sink, buf_str(&k->json));
    kept_done(k);
    kept_init(k);
}

void kept_open(struct kept_walk *w, struct str kept, struct str text)
{
    *w = (struct kept_walk){ .text = text };
    if (kept.n) json_parse(kept, &w->doc, NULL);
}

void kept_close(struct kept_walk *w)
{
    json_free(w->doc);
}

struct json *kept_next(struct kept_walk *w, struct str *ret_text)
{
    size_t before = 0;
    struct json *part = NULL;
    while (!part && w->at < json_length(w->doc)) {
        int64_t n;
        struct json *v = json_at(w->doc, w->at++);
        if (json_is_object(v)) part = v;
        if (json_i64(v, &n) && n > 0) before = (size_t)n;
    }
    size_t n = part ? utf8_prefix(w->text, before, TEXT_BYTES) : w->text.n;
    *ret_text = str_head(w->text, n);
    w->text = str_skip(w->text, n);
    return part;
}

void kept_skip(struct kept_walk *w, size_t n)
{
    w->text = str_skip(w->text, n);
}

void kept_copy(struct json_out *o, struct json *v)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(KEPT_MAX);
    if (json_write(v, &text))
        json_put_raw(o, buf_str(&text));
    else
        o->to->full = true;
}
