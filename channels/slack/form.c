/*
 * form - bodies as JSON. Slash commands come as a form over HTTP and as JSON over a socket: here
 * the first becomes the second.
 */
#include "channels/slack/parse.h"
#include "core/net/http_form.h"

#define KEY_MAX    64
#define FIELDS_MAX 64

bool slack_form_json(struct str form, struct buf *to)
{
    _cleanup_(buf_done) struct buf key = BUF_INIT(KEY_MAX);
    _cleanup_(buf_done) struct buf value = BUF_INIT(form.n);
    struct json_out o = JSON_OUT(to);
    size_t n = 0;
    json_open(&o, '{');
    while (form.n) {
        if (n++ == FIELDS_MAX || !http_form_next(&form, &key, &value)) return false;
        if (key.n) json_field_str(&o, key.p, buf_str(&value));
    }
    json_close(&o, '}');
    return !to->full;
}

enum err_kind slack_json(struct str text, struct json **ret, struct err *why)
{
    _cleanup_(buf_done) struct buf mended = BUF_INIT(2 * text.n + 64);
    enum err_kind kind = json_parse(text, ret, why);
    if (kind == ERR_NONE || !json_mend_halves(text, &mended, NULL)) return kind;
    return json_parse(buf_str(&mended), ret, why);
}
