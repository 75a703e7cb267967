/* details: see details.h. */
#include "core/model/details.h"

#define DETAILS_MAX (1024 * 1024)
#define WORD_MAX    (64 * 1024) /* a signature has some kilobytes */

void details_init(struct details *d)
{
    *d = (struct details){ .index = -1 };
    buf_init(&d->list, DETAILS_MAX);
    buf_init(&d->text, DETAILS_MAX);
    buf_init(&d->id, WORD_MAX);
    buf_init(&d->format, WORD_MAX);
    buf_init(&d->signature, WORD_MAX);
}

void details_done(struct details *d)
{
    buf_done(&d->list);
    buf_done(&d->text);
    buf_done(&d->id);
    buf_done(&d->format);
    buf_done(&d->signature);
}

static void put_word(struct json_out *o, const char *key, struct buf *word)
{
    if (word->n) json_field_str(o, key, buf_str(word));
    buf_clear(word);
}

/* A cut signature or text would be refused: then nothing is handed back at all. */
static void finish(struct details *d)
{
    struct json_out o = JSON_OUT(&d->list);
    if (!d->key) return;
    if (d->text.full || d->id.full || d->format.full || d->signature.full) d->list.full = true;
    bool summary = strcmp(d->key, "summary") == 0;
    buf_add_char(&d->list, d->list.n ? ',' : '[');
    json_open(&o, '{');
    json_field_str(&o, "type", summary ? STR("reasoning.summary") : STR("reasoning.text"));
    json_field_str(&o, d->key, buf_str(&d->text));
    buf_clear(&d->text);
    put_word(&o, "signature", &d->signature);
    put_word(&o, "id", &d->id);
    put_word(&o, "format", &d->format);
    if (d->index >= 0) json_field_i64(&o, "index", d->index);
    json_close(&o, '}');
    d->key = NULL;
}

/* Of some the key that grows over several fragments; the others come whole. */
static const char *key_of(struct json *fragment)
{
    struct str type = STR_NONE;
    json_get_str(fragment, "type", &type);
    if (str_eq(type, STR("reasoning.text"))) return "text";
    return str_eq(type, STR("reasoning.summary")) ? "summary" : NULL;
}

static void grow(struct details *d, struct json *fragment, const char *key)
{
    struct str word;
    int64_t index = -1;
    json_get_i64(fragment, "index", &index);
    bool same =
        d->key && strcmp(d->key, key) == 0 && index == d->index && (index >= 0 || !d->signature.n);
    if (!same) finish(d);
    d->key = key;
    d->index = index;
    if (json_get_str(fragment, key, &word)) buf_add(&d->text, word);
    if (json_get_str(fragment, "signature", &word)) buf_add(&d->signature, word);
    if (!d->id.n && json_get_str(fragment, "id", &word)) buf_add(&d->id, word);
    if (!d->format.n && json_get_str(fragment, "format", &word)) buf_add(&d->format, word);
}

void details_add(struct details *d, struct json *fragments)
{
    for (size_t i = 0; i < json_length(fragments); i++) {
        struct json *fragment = json_at(fragments, i);
        const char *key = key_of(fragment);
        if (key) {
            grow(d, fragment, key);
        } else if (json_is_object(fragment)) {
            finish(d);
            buf_add_char(&d->list, d->list.n ? ',' : '[');
            json_write(fragment, &d->list);
        }
    }
}

void details_end(struct details *d, struct model_sink *sink)
{
    finish(d);
    if (d->list.n && buf_add_char(&d->list, ']') && !d->list.full && sink->keep)
        sink->keep(sink, buf_str(&d->list));
    buf_done(&d->list);
}
