/*
 * json_scan - one pass over the bytes before json-c sees them.
 *
 * json-c 0.16 with JSON_TOKENER_STRICT and JSON_TOKENER_VALIDATE_UTF8 still takes single quotes,
 * NaN, Infinity, leading zeros, "1.", raw control characters, lone surrogates, overlong and
 * surrogate UTF-8, and cuts a key at \u0000; and 0.18, of Debian 13, refuses every byte that is not
 * ASCII when it is strict. So it is never told to be, and what that would refuse is refused here.
 */
#include "core/base/json_scan.h"

#include "core/base/utf8.h"

struct scan {
    const char *at, *end;
    unsigned depth;
    bool after_comma;
};

/* Eight bytes of ASCII without control characters, quotes and backslashes? A subtraction borrows,
   and so sets a high bit, where a byte is what it looks for; a hit too many costs only time. */
static bool is_plain_word(const char *p)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    uint64_t quote = (w ^ ones * '"') - ones, backslash = (w ^ ones * '\\') - ones;
    return ((w | (w - ones * 0x20) | quote | backslash) & highs) == 0;
}

static int peek(const struct scan *s)
{
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct scan *s)
{
    while (is_space(peek(s))) s->at++;
}

static size_t skip_digits(struct scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return (size_t)(s->at - from);
}

/* Four hex digits, or -1. */
static int32_t hex4(struct scan *s)
{
    int32_t v = 0;
    if (s->end - s->at < 4) return -1;
    for (int i = 0; i < 4; i++, s->at++) {
        int digit = str_hex_digit(*s->at);
        if (digit < 0) return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* Behind a backslash. */
static const char *scan_escape(struct scan *s, bool *ret_nul)
{
    int c = peek(s);
    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) return "unknown escape";
    s->at++;
    if (c != 'u') return NULL;

    int32_t unit = hex4(s);
    if (unit < 0) return "bad \\u escape";
    if (unit == 0) *ret_nul = true;
    if (unit < 0xD800 || unit > 0xDFFF) return NULL;
    if (unit > 0xDBFF || s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
        return "lone surrogate";
    s->at += 2;
    unit = hex4(s);
    return unit < 0xDC00 || unit > 0xDFFF ? "lone surrogate" : NULL;
}

/* Behind the opening quote. */
static const char *scan_string(struct scan *s)
{
    bool has_nul = false;
    for (;;) {
        s->at += json_plain(str_from(s->at, (size_t)(s->end - s->at)));
        int c = peek(s);
        if (c < 0) return "string without an end";
        if (c < 0x20) return "control character in a string";
        if (c >= 0x80) return "invalid UTF-8";
        s->at++;
        if (c == '"') break;
        const char *wrong = scan_escape(s, &has_nul);
        if (wrong) return wrong;
    }
    skip_space(s);
    /* json-c has keys as C strings: "id\u0000x" would pass for "id". */
    return has_nul && peek(s) == ':' ? "U+0000 in a key" : NULL;
}

static const char *scan_number(struct scan *s)
{
    bool ok = true;
    if (peek(s) == '-') s->at++;
    if (peek(s) == '0')
        s->at++;
    else
        ok = skip_digits(s) > 0;
    if (ok && peek(s) == '.') {
        s->at++;
        ok = skip_digits(s) > 0;
    }
    if (ok && (peek(s) == 'e' || peek(s) == 'E')) {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') s->at++;
        ok = skip_digits(s) > 0;
    }
    return ok ? NULL : "bad number";
}

static const char *scan_word(struct scan *s)
{
    static const struct str words[] = { { "true", 4 }, { "false", 5 }, { "null", 4 } };
    struct str rest = str_from(s->at, (size_t)(s->end - s->at));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_starts(rest, words[i])) {
            s->at += words[i].n;
            return NULL;
        }
    }
    return "unexpected character";
}

static const char *scan_token(struct scan *s)
{
    const char *wrong;
    char c = *s->at;
    bool after_comma = s->after_comma;
    s->after_comma = c == ',';
    switch (c) {
    case '{':
    case '[': s->at++; return ++s->depth > JSON_DEPTH_MAX ? "nested too deep" : NULL;
    case '}':
    case ']':
        if (after_comma) return "unexpected end of a list";
        s->at++;
        return s->depth-- == 0 ? "nothing to close" : NULL;
    case ',':
    case ':': s->at++; return NULL;
    case '"': s->at++; return scan_string(s);
    default: wrong = c == '-' || (c >= '0' && c <= '9') ? scan_number(s) : scan_word(s);
    }
    if (wrong) return wrong;
    int next = peek(s);
    bool ends = next < 0 || next == ',' || next == ']' || next == '}' || is_space(next);
    return ends ? NULL : "unexpected character";
}

size_t json_plain(struct str s)
{
    size_t n = 0, more;
    uint32_t point;
    while (n < s.n) {
        unsigned char c = (unsigned char)s.p[n];
        if (s.n - n >= 8 && is_plain_word(s.p + n))
            n += 8;
        else if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\')
            n++;
        else if (c >= 0x80 && (more = utf8_decode(str_skip(s, n), &point)) > 0)
            n += more;
        else
            break;
    }
    return n;
}

const char *json_scan(struct str text, size_t *ret_at)
{
    struct scan s = { .at = text.p, .end = text.p + text.n };
    for (skip_space(&s); s.at < s.end; skip_space(&s)) {
        const char *wrong = scan_token(&s);
        if (wrong) {
            *ret_at = (size_t)(s.at - text.p);
            return wrong;
        }
    }
    return NULL;
}
