/*
 * log - builds a line, hides what must not be seen in it, holds back what repeats, writes it to
 * standard error.
 *
 * For the loop's thread only: the line, the ring of log_quote and the table of repeats are static.
 */
#include "core/base/log.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/json_scan.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define FIELDS_MAX   8192
#define LINE_BYTES   (8 * FIELDS_MAX) /* U+FFFD takes three bytes for one, escapes double them */
#define QUOTE_MAX    200
#define QUOTE_RING   8
#define SECRET_MIN   6
#define REPEAT_TABLE 256 /* a power of two */
#define REPEAT_PROBE 4

struct repeat {
    uint64_t hash, since_ms;
    unsigned n, n_held;
};

enum log_level log_level_now = LOG_INFO;

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum log_format line_format = LOG_TEXT;
static void (*sink_write)(struct str line, void *ctx);
static void *sink_ctx;

/* Longest first, so that one inside another does not save the rest of it. */
static struct str *secrets;
static size_t n_secrets;

static struct repeat repeats[REPEAT_TABLE];

/* Replace every secret in b. In place, as none is shorter than the stars. */
static void redact(struct buf *b)
{
    for (size_t i = 0; i < n_secrets; i++) {
        struct str secret = secrets[i];
        for (size_t at = 0, found; at < b->n; at += found + 3) {
            struct str rest = str_skip(buf_str(b), at);
            found = str_find(rest, secret);
            if (found == SIZE_MAX) break;
            char *hit = b->p + at + found;
            size_t behind = rest.n - found - secret.n;
            memcpy(hit, "***", 3);
            memmove(hit + 3, hit + secret.n, behind);
            buf_cut(b, at + found + 3 + behind);
        }
    }
}

static size_t longest_secret(void)
{
    return n_secrets ? secrets[0].n : 0;
}

/* The same for a text that was cut off at its end, where the first half of a secret may stand. */
static void redact_cut(struct buf *b, bool was_cut)
{
    redact(b);
    if (was_cut) buf_cut(b, b->n > longest_secret() ? b->n - longest_secret() : 0);
}

/*
 * Append text as it may stand in a line: valid UTF-8, without the control characters (C0, DEL, C1)
 * that fake lines or colours.
 */
static void add_tame(struct buf *to, struct str s)
{
    size_t from = to->n;
    utf8_clean(to, s);
    for (size_t i = from; i < to->n; i++) {
        unsigned char *p = (unsigned char *)to->p + i;
        if (*p < 0x20 || *p == 0x7F) *p = ' ';
        if (*p == 0xC2 && p[1] < 0xA0) p[0] = p[1] = ' ';
    }
}

static void keep_secret(struct str secret)
{
    size_t at = 0;
    for (; at < n_secrets && secrets[at].n >= secret.n; at++)
        if (str_eq(secrets[at], secret)) return;
    secrets = mem_grow(secrets, (n_secrets + 1) * sizeof(*secrets));
    memmove(secrets + at + 1, secrets + at, (n_secrets - at) * sizeof(*secrets));
    secrets[at] = str_from(mem_dup(secret), secret.n);
    n_secrets++;
}

static struct repeat *repeat_of(const char *who, const char *message)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a; 0 marks a free place */
    for (const char *p = who; *p; p++) hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    hash = (hash ^ 0xFF) * 0x100000001b3;
    for (const char *p = message; *p; p++) hash = (hash ^ (unsigned char)*p) * 0x100000001b3;

    struct repeat *oldest = NULL;
    for (size_t i = 0; i < REPEAT_PROBE; i++) {
        struct repeat *r = &repeats[(hash + i) % REPEAT_TABLE];
        if (r->hash == hash) return r;
        if (!oldest || r->since_ms < oldest->since_ms) oldest = r;
    }
    *oldest = (struct repeat){ .hash = hash, .since_ms = clock_ms() };
    return oldest;
}

/* May the line pass? Then *ret_held is how many before it did not. */
static bool repeat_passes(const char *who, const char *message, unsigned *ret_held)
{
    struct repeat *r = repeat_of(who, message);
    uint64_t now = clock_ms();
    if (now - r->since_ms >= 1000) {
        r->since_ms = now;
        r->n = 0;
    }
    if (++r->n > LOG_REPEAT_MAX) {
        r->n_held++;
        return false;
    }
    *ret_held = r->n_held;
    r->n_held = 0;
    return true;
}

/* The key=value text, tame and redacted, in a buffer that the next line uses again. */
static struct str fields_text(unsigned held, const char *fmt, va_list args)
{
    static struct buf raw = BUF_INIT(FIELDS_MAX), tame = BUF_INIT(4 * FIELDS_MAX);
    buf_clear(&raw);
    buf_clear(&tame);
    int n = vsnprintf(buf_room(&raw, FIELDS_MAX), FIELDS_MAX, fmt, args);
    bool cut = n >= FIELDS_MAX;
    buf_grew(&raw, n < 0 ? 0 : cut ? FIELDS_MAX - 1 : (size_t)n);
    redact_cut(&raw, cut);
    add_tame(&tame, buf_str(&raw));
    if (cut) buf_add_cstr(&tame, " cut=true");
    if (held) buf_addf(&tame, " held=%u", held);
    return str_trim(buf_str(&tame));
}

/* The length of the value at the start of `s`: to the closing quote, or to the next space. */
static size_t value_length(struct str s)
{
    if (s.n == 0 || s.p[0] != '"') {
        size_t space = str_find_char(s, ' ');
        return space == SIZE_MAX ? s.n : space;
    }
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return s.n;
}

static void json_fields(struct json_out *o, struct str fields)
{
    while ((fields = str_trim(fields)).n) {
        size_t key_n = 0, at;
        while (key_n < fields.n && fields.p[key_n] != '=' && fields.p[key_n] != ' ') key_n++;
        char key[64];
        snprintf(key, sizeof(key), "%.*s", STR_ARG(str_head(fields, key_n)));
        fields = str_skip(fields, key_n);
        if (fields.n && fields.p[0] == '=') fields = str_skip(fields, 1);

        struct str value = str_head(fields, value_length(fields));
        fields = str_skip(fields, value.n);
        json_key(o, key);
        /* What log_quote wrote is a JSON string already. */
        if (value.n > 1 && value.p[0] == '"' && !json_scan(value, &at))
            json_put_raw(o, value);
        else
            json_put_str(o, value);
    }
}

static void put_json(struct buf *line, const char *head[4], struct str fields)
{
    static const char *const names[] = { "time", "level", "who", "message" };
    struct json_out o = JSON_OUT(line);
    json_open(&o, '{');
    for (size_t i = 0; i < 4; i++) json_field_str(&o, names[i], str_of(head[i]));
    json_fields(&o, fields);
    json_close(&o, '}');
}

static void put_text(struct buf *line, const char *head[4], struct str fields)
{
    buf_addf(line, "%s %s ", head[0], head[1]);
    add_tame(line, str_of(head[2]));
    buf_add_cstr(line, " \"");
    add_tame(line, str_of(head[3]));
    buf_add_char(line, '"');
    if (fields.n) buf_add_char(line, ' ');
    buf_add(line, fields);
}

static void write_all(struct str s)
{
    while (s.n) {
        ssize_t n = write(STDERR_FILENO, s.p, s.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* nobody reads: there is nowhere left to say so */
        s = str_skip(s, (size_t)n);
    }
}

void log_setup(enum log_level level, enum log_format format)
{
    log_level_now = level;
    line_format = format;
}

bool log_level_parse(struct str s, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (str_eq(s, str_of(level_names[i]))) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_secret(struct str secret)
{
    if (secret.n < SECRET_MIN) return;
    keep_secret(secret);

    /* As it looks in a quoted value, and in a URL. */
    _cleanup_(buf_done) struct buf form = BUF_INIT(SIZE_MAX / 2);
    struct json_out o = JSON_OUT(&form);
    json_put_str(&o, secret);
    keep_secret(str_from(form.p + 1, form.n - 2));
    buf_clear(&form);
    for (size_t i = 0; i < secret.n; i++) {
        unsigned char c = (unsigned char)secret.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     (c && strchr("-._~", c));
        buf_addf(&form, plain ? "%c" : "%%%02X", c);
    }
    keep_secret(buf_str(&form));
}

void log_sink(void (*sink)(struct str line, void *ctx), void *ctx)
{
    sink_write = sink;
    sink_ctx = ctx;
}

void log_write(enum log_level level, const char *who, const char *message, const char *fmt, ...)
{
    static struct buf line = BUF_INIT(LINE_BYTES);
    unsigned held;
    if (level > log_level_now || !repeat_passes(who, message, &held)) return;

    va_list args;
    va_start(args, fmt);
    struct str fields = fields_text(held, fmt, args);
    va_end(args);

    char time[CLOCK_TEXT_MAX];
    clock_text(clock_wall_ms(), time);
    const char *head[4] = { time, level_names[level], who, message };
    buf_clear(&line);
    if (line_format == LOG_JSON)
        put_json(&line, head, fields);
    else
        put_text(&line, head, fields);
    redact(&line);
    if (sink_write) {
        sink_write(buf_str(&line), sink_ctx);
        return;
    }
    buf_add_char(&line, '\n');
    write_all(buf_str(&line));
}

const char *log_quote(struct str s)
{
    static struct buf raw = BUF_INIT(SIZE_MAX / 2), ring[QUOTE_RING];
    static size_t turn;

    buf_clear(&raw);
    size_t window = QUOTE_MAX + longest_secret();
    buf_add(&raw, str_head(s, window));
    redact_cut(&raw, s.n > window);
    size_t n = utf8_prefix(buf_str(&raw), QUOTE_MAX, TEXT_BYTES);
    if (n < raw.n || s.n > window) {
        buf_cut(&raw, n);
        buf_add_cstr(&raw, "\xE2\x80\xA6");
    }

    struct buf *quoted = &ring[turn++ % QUOTE_RING];
    quoted->max = SIZE_MAX / 2;
    buf_clear(quoted);
    struct json_out o = JSON_OUT(quoted);
    json_put_str(&o, buf_str(&raw));
    return quoted->p;
}
