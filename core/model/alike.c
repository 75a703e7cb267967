/* alike: see alike.h. */
#include "core/model/alike.h"
#include <stdio.h>

#define EVENT_MAX 1024 /* what is longer does not come hundreds of times */
#define KEY_MAX   32

void alike_init(struct alike *a)
{
    a->at = 0;
    buf_init(&a->form, EVENT_MAX);
}

void alike_done(struct alike *a)
{
    buf_done(&a->form);
}

void alike_forget(struct alike *a)
{
    buf_clear(&a->form);
}

/* Behind the key, at the quote where its string begins; SIZE_MAX: there is none. */
static size_t string_begin(struct str event, const char *key)
{
    char text[KEY_MAX];
    struct str quoted = str_from(text, (size_t)snprintf(text, sizeof text, "\"%s\"", key));
    size_t at = str_find(event, quoted);
    if (at == SIZE_MAX) return SIZE_MAX;
    at += quoted.n;
    if (str_find(str_skip(event, at), quoted) != SIZE_MAX) return SIZE_MAX; /* which is it? */
    struct str rest = str_trim(str_skip(event, at));
    if (!str_starts(rest, STR(":"))) return SIZE_MAX;
    rest = str_trim(str_skip(rest, 1));
    return str_starts(rest, STR("\"")) ? (size_t)(rest.p - event.p) : SIZE_MAX;
}

/* Behind its last quote. */
static size_t string_end(struct str event, size_t at)
{
    for (at++; at < event.n && event.p[at] != '"'; at++)
        if (event.p[at] == '\\') at++;
    return at + 1;
}

void alike_keep(struct alike *a, struct str event, const char *key)
{
    alike_forget(a);
    size_t begin = event.n <= EVENT_MAX ? string_begin(event, key) : SIZE_MAX;
    if (begin == SIZE_MAX) return;
    a->at = begin;
    buf_add(&a->form, str_head(event, begin));
    buf_add(&a->form, str_skip(event, string_end(event, begin)));
}

bool alike_fits(const struct alike *a, struct str event, struct str *ret)
{
    struct str form = buf_str(&a->form);
    if (!form.n || event.n <= form.n || !str_starts(event, str_head(form, a->at)) ||
        !str_ends(event, str_skip(form, a->at)))
        return false;
    *ret = str_from(event.p + a->at, event.n - form.n);
    return true;
}
