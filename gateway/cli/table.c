/*
 * table: answers for people. What stands in them was written by anybody: nothing of it reaches the
 * terminal that is more than a visible character.
 */
#include "core/base/clock.h"
#include "core/base/grapheme.h"
#include "core/base/utf8.h"
#include "gateway/cli/cli.h"
#include <stdio.h>
#include <time.h>

#define CELL_MAX  (8u << 20)
#define TIME_MAX  40
#define GAP       2
#define WIDTH_MIN 12 /* to which a column is cut where others need the room */

/* ---- texts ---- */

/* Controls, and what turns the direction of text or cannot be seen. */
static bool is_unsafe(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x61c ||
           (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0xfeff ||
           (point >= 0xe0000 && point <= 0xe007f);
}

static void put_escaped(struct buf *to, uint32_t point)
{
    if (point == '\n')
        buf_add_cstr(to, "\\n");
    else if (point == '\t')
        buf_add_cstr(to, "\\t");
    else if (point < 0x100)
        buf_addf(to, "\\x%02x", (unsigned)point);
    else
        buf_addf(to, "\\u{%x}", (unsigned)point);
}

void cli_put_safe(struct buf *to, struct str s)
{
    while (s.n) {
        uint32_t point = 0;
        size_t n = utf8_decode(s, &point);
        if (!n) {
            n = utf8_bad_length(s);
            buf_add_cstr(to, "\xef\xbf\xbd");
        } else if (is_unsafe(point)) {
            put_escaped(to, point);
        } else {
            buf_add(to, str_head(s, n));
        }
        s = str_skip(s, n);
    }
}

/* Only strings can hold such characters, apart from white space. */
void cli_put_json(struct buf *to, struct str json)
{
    uint32_t point = 0;
    for (size_t n; (n = utf8_decode(json, &point)) > 0; json = str_skip(json, n)) {
        uint32_t rest = point - 0x10000;
        if (point < 0x20 || !is_unsafe(point))
            buf_add(to, str_head(json, n));
        else if (point < 0x10000)
            buf_addf(to, "\\u%04x", (unsigned)point);
        else
            buf_addf(to, "\\u%04x\\u%04x", 0xd800 + (unsigned)(rest >> 10),
                     0xdc00 + (unsigned)(rest & 0x3ff));
    }
}

/* ---- times ---- */

static bool two_digits(struct str s, size_t at, int *ret)
{
    int64_t v;
    if (at + 2 > s.n || !str_i64(str_from(s.p + at, 2), &v)) return false;
    *ret = (int)v;
    return true;
}

/* RFC 3339 to ms since 1970. */
static bool time_parse(struct str s, int64_t *ret_ms)
{
    struct tm tm = { 0 };
    int64_t year;
    int off_h = 0, off_m = 0;
    if (s.n < 20 || !str_i64(str_head(s, 4), &year) || !two_digits(s, 5, &tm.tm_mon) ||
        !two_digits(s, 8, &tm.tm_mday) || !two_digits(s, 11, &tm.tm_hour) ||
        !two_digits(s, 14, &tm.tm_min) || !two_digits(s, 17, &tm.tm_sec))
        return false;
    tm.tm_year = (int)year - 1900;
    tm.tm_mon--;
    char sign = s.p[s.n - 1] == 'Z' ? 'Z' : s.p[s.n - 6];
    if (sign != 'Z' && ((sign != '+' && sign != '-') || !two_digits(s, s.n - 5, &off_h) ||
                        !two_digits(s, s.n - 2, &off_m)))
        return false;
    int64_t off_s = (off_h * 60 + off_m) * 60;
    *ret_ms = ((int64_t)timegm(&tm) - (sign == '-' ? -off_s : off_s)) * 1000;
    return true;
}

/* "2026-11-27 04:17", where we are. */
static void put_time(struct buf *to, struct str s, const struct cli_view *view, bool age)
{
    int64_t at_ms;
    struct tm tm;
    char text[TIME_MAX], span[CLOCK_SPAN_MAX];
    if (!time_parse(s, &at_ms)) {
        cli_put_safe(to, s);
        return;
    }
    time_t at = (time_t)(at_ms / 1000);
    localtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
    buf_add_cstr(to, text);
    if (!age) return;
    bool past = at_ms <= view->now_ms;
    clock_span((uint64_t)(past ? view->now_ms - at_ms : at_ms - view->now_ms), span);
    buf_addf(to, past ? " (%s ago)" : " (in %s)", span);
}

/* ---- values ---- */

static void put_json(struct buf *to, struct json *v)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CELL_MAX);
    json_write(v, &text);
    cli_put_safe(to, buf_str(&text));
}

static void put_texts(struct buf *to, struct json *v)
{
    struct str s;
    for (size_t i = 0; i < json_length(v); i++) {
        if (i) buf_add_cstr(to, ", ");
        if (json_str(json_at(v, i), &s))
            cli_put_safe(to, s);
        else
            put_json(to, json_at(v, i));
    }
}

static bool all_texts(struct json *v)
{
    struct str s;
    for (size_t i = 0; i < json_length(v); i++)
        if (!json_str(json_at(v, i), &s)) return false;
    return json_is_array(v);
}

/* f NULL: a member that the table does not know. */
static void put_value(struct buf *to, const struct admin_field *f, struct json *v,
                      const struct cli_view *view, bool age)
{
    struct str s;
    bool yes;
    if (!v)
        buf_add_char(to, '-');
    else if (json_str(v, &s) && f && f->kind == ADMIN_TIME)
        put_time(to, s, view, age);
    else if (json_str(v, &s))
        cli_put_safe(to, s);
    else if (json_flag(v, &yes))
        buf_add_cstr(to, yes ? "yes" : "no");
    else if (all_texts(v))
        put_texts(to, v);
    else
        put_json(to, v);
}

/* ---- one object ---- */

static const struct admin_field *field_of(const struct admin_type *type, struct str name)
{
    for (const struct admin_field *f = type->fields; f && f->name; f++)
        if (str_eq(str_of(f->name), name)) return f;
    return NULL;
}

static void put_spaces(struct buf *to, size_t n)
{
    while (n--) buf_add_char(to, ' ');
}

/* A text keeps its lines, each under the first. */
static void put_member(struct buf *to, const struct admin_field *f, struct str name, struct json *v,
                       size_t width, const struct cli_view *view)
{
    struct str s;
    _cleanup_(buf_done) struct buf key = BUF_INIT(1000);
    cli_put_safe(&key, name);
    buf_addf(to, "%.*s:", STR_ARG(buf_str(&key)));
    size_t taken = grapheme_columns(buf_str(&key));
    put_spaces(to, taken < width ? width - taken + 1 : 1);
    if (!json_str(v, &s) || str_find_char(s, '\n') == SIZE_MAX) {
        put_value(to, f, v, view, true);
        buf_add_char(to, '\n');
        return;
    }
    for (bool first = true; s.n; first = false) {
        if (!first) put_spaces(to, width + 2);
        cli_put_safe(to, str_cut(&s, '\n'));
        buf_add_char(to, '\n');
    }
}

void cli_show_object(struct buf *to, const struct admin_type *type, struct json *row,
                     const struct cli_view *view)
{
    size_t width = 0;
    struct json_member m = { 0 };
    while (json_next(row, &m)) {
        size_t n = grapheme_columns(m.key);
        if (n > width && n < 40) width = n;
    }
    for (const struct admin_field *f = type->fields; f && f->name; f++) {
        m = (struct json_member){ 0 };
        while (json_next(row, &m))
            if (str_eq(m.key, str_of(f->name))) put_member(to, f, m.key, m.value, width, view);
    }
    m = (struct json_member){ 0 };
    while (json_next(row, &m)) /* a newer gateway's */
        if (!field_of(type, m.key)) put_member(to, NULL, m.key, m.value, width, view);
}

/* ---- rows ---- */

/* The required ones at the beginning of the type's table; or its first one. */
void cli_table_init(struct cli_table *t, const struct admin_type *type, const struct cli_view *view)
{
    *t = (struct cli_table){ .type = type, .view = *view };
    for (const struct admin_field *f = type->fields; f && f->name; f++) {
        bool more = (f->flags & ADMIN_REQUIRED) || t->n_columns == 0;
        if (!more || t->n_columns == CLI_COLUMNS_MAX) break;
        t->widths[t->n_columns] = strlen(f->name);
        t->columns[t->n_columns++] = f;
    }
}

static bool to_the_right(const struct admin_field *f)
{
    return f->kind == ADMIN_INT || f->kind == ADMIN_NUMBER;
}

static void cell_of(const struct cli_table *t, struct json *row, size_t column, struct buf *cell)
{
    const struct admin_field *f = t->columns[column];
    buf_clear(cell);
    put_value(cell, f, json_get(row, f->name), &t->view, false);
}

static void measure(struct cli_table *t, struct json *rows)
{
    _cleanup_(buf_done) struct buf cell = BUF_INIT(CELL_MAX);
    for (size_t i = 0; i < json_length(rows); i++)
        for (size_t c = 0; c < t->n_columns; c++) {
            cell_of(t, json_at(rows, i), c, &cell);
            size_t n = grapheme_columns(buf_str(&cell));
            if (n > t->widths[c]) t->widths[c] = n;
        }
}

static size_t total(const struct cli_table *t)
{
    size_t n = t->n_columns ? (t->n_columns - 1) * GAP : 0;
    for (size_t c = 0; c < t->n_columns; c++) n += t->widths[c];
    return n;
}

/* An id that is cut names nothing. */
static size_t least(const struct cli_table *t, size_t column)
{
    enum admin_kind kind = t->columns[column]->kind;
    size_t width = t->widths[column];
    return kind == ADMIN_UUID || kind == ADMIN_TIME || width < WIDTH_MIN ? width : WIDTH_MIN;
}

static size_t total_least(const struct cli_table *t)
{
    size_t n = t->n_columns ? (t->n_columns - 1) * GAP : 0;
    for (size_t c = 0; c < t->n_columns; c++) n += least(t, c);
    return n;
}

/* The last columns are left out until the others have room; then the widest are cut. */
static void fit(struct cli_table *t)
{
    if (!t->view.width) return;
    while (t->n_columns > 1 && total_least(t) > t->view.width) t->n_columns--;
    for (size_t c = 0; c < t->n_columns; c++)
        if (t->widths[c] > t->view.width) t->widths[c] = t->view.width;
    while (total(t) > t->view.width) {
        size_t widest = t->n_columns;
        for (size_t c = 0; c < t->n_columns; c++)
            if (t->widths[c] > least(t, c) &&
                (widest == t->n_columns || t->widths[c] > t->widths[widest]))
                widest = c;
        if (widest == t->n_columns) return;
        t->widths[widest]--;
    }
}

static void put_cell(struct buf *to, const struct cli_table *t, size_t column, struct str text)
{
    size_t width = t->widths[column], n = grapheme_columns(text);
    bool right = to_the_right(t->columns[column]), last = column + 1 == t->n_columns;
    if (n > width && t->view.width) {
        size_t keep = 0, columns = 0, next;
        while ((next = grapheme_next(str_skip(text, keep))) > 0) {
            columns += grapheme_columns(str_from(text.p + keep, next));
            if (columns >= width) break;
            keep += next;
        }
        buf_add(to, str_head(text, keep));
        buf_add_cstr(to, "\xe2\x80\xa6");
        n = grapheme_columns(str_head(text, keep)) + 1;
        right = false;
    } else {
        if (right && n < width) put_spaces(to, width - n);
        buf_add(to, text);
    }
    if (!right && n < width && !last) put_spaces(to, width - n);
    if (!last) put_spaces(to, GAP);
}

static void put_names(struct cli_table *t, struct buf *to)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        char name[CLI_TITLE_MAX];
        snprintf(name, sizeof name, "%s", t->columns[c]->name);
        for (char *p = name; *p; p++)
            if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
        put_cell(to, t, c, str_of(name));
    }
    buf_add_char(to, '\n');
}

void cli_table_add(struct cli_table *t, struct json *rows, struct buf *to)
{
    _cleanup_(buf_done) struct buf cell = BUF_INIT(CELL_MAX);
    if (!t->begun) {
        measure(t, rows);
        fit(t);
        put_names(t, to);
    }
    t->begun = true;
    for (size_t i = 0; i < json_length(rows); i++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            cell_of(t, json_at(rows, i), c, &cell);
            put_cell(to, t, c, buf_str(&cell));
        }
        buf_add_char(to, '\n');
    }
}
