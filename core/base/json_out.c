/*
 * json_out - writing JSON straight into a buf: plain bytes are copied in runs, commas come by
 * themselves.
 */
#include "core/base/json.h"
#include "core/base/json_scan.h"
#include "core/base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 31 /* one bit of `first` a level */

/* Before each value: the comma it needs, if it needs one. */
static void separate(struct json_out *o)
{
    uint32_t bit = UINT32_C(1) << o->depth;
    if (o->after_key)
        o->after_key = false;
    else if (o->first & bit)
        o->first &= ~bit;
    else
        buf_add_char(o->to, ',');
}

static void add_escaped(struct buf *to, unsigned char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    if (c == 0 || c >= 0x80) {
        buf_add(to, STR("\xEF\xBF\xBD"));
        return;
    }
    for (const char *l = letters; *l; l += 2) {
        if ((unsigned char)*l == c) {
            buf_add(to, str_from((char[]){ '\\', l[1] }, 2));
            return;
        }
    }
    buf_addf(to, "\\u%04x", c);
}

static void add_string(struct buf *to, struct str s)
{
    buf_add_char(to, '"');
    while (s.n) {
        size_t n = json_plain(s);
        buf_add(to, str_head(s, n));
        s = str_skip(s, n);
        if (s.n == 0) break;
        unsigned char c = (unsigned char)s.p[0];
        add_escaped(to, c);
        s = str_skip(s, c < 0x80 ? 1 : utf8_bad_length(s));
    }
    buf_add_char(to, '"');
}

void json_open(struct json_out *o, char bracket)
{
    assert(o->depth < DEPTH_MAX);
    separate(o);
    buf_add_char(o->to, bracket);
    o->depth++;
    o->first |= UINT32_C(1) << o->depth;
}

void json_close(struct json_out *o, char bracket)
{
    assert(o->depth > 0 && !o->after_key);
    buf_add_char(o->to, bracket);
    o->depth--;
}

void json_key(struct json_out *o, const char *key)
{
    separate(o);
    add_string(o->to, str_of(key));
    buf_add_char(o->to, ':');
    o->after_key = true;
}

void json_put_str(struct json_out *o, struct str s)
{
    separate(o);
    add_string(o->to, s);
}

void json_put_i64(struct json_out *o, int64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0) digits[--at] = '-';
    json_put_raw(o, str_from(digits + at, sizeof(digits) - at));
}

void json_put_f64(struct json_out *o, double v)
{
    char text[32];
    if (!isfinite(v)) {
        json_put_null(o);
        return;
    }
    /* The shorter form, unless it would read back as another number. */
    snprintf(text, sizeof(text), "%.15g", v);
    if (strtod(text, NULL) != v) snprintf(text, sizeof(text), "%.17g", v);
    json_put_raw(o, str_of(text));
}

void json_put_bool(struct json_out *o, bool v)
{
    json_put_raw(o, v ? STR("true") : STR("false"));
}

void json_put_null(struct json_out *o)
{
    json_put_raw(o, STR("null"));
}

void json_put_raw(struct json_out *o, struct str json)
{
    separate(o);
    buf_add(o->to, json);
}

void json_field_str(struct json_out *o, const char *key, struct str v)
{
    json_key(o, key);
    json_put_str(o, v);
}

void json_field_str_or_null(struct json_out *o, const char *key, struct str v)
{
    json_key(o, key);
    if (v.n)
        json_put_str(o, v);
    else
        json_put_null(o);
}

void json_field_i64(struct json_out *o, const char *key, int64_t v)
{
    json_key(o, key);
    json_put_i64(o, v);
}

void json_field_bool(struct json_out *o, const char *key, bool v)
{
    json_key(o, key);
    json_put_bool(o, v);
}
