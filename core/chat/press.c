/* press: "tool+" or "tool-", the request that asks, ":", the person. */
#include "core/chat/press.h"
#include <stdio.h>

#define YES "tool+"
#define NO  "tool-"

bool press_write(const struct outbound *out, bool yes, char ret[PRESS_MAX])
{
    char id[UUID_TEXT_MAX];
    uuid_text(&out->request, id);
    int n = snprintf(ret, PRESS_MAX, "%s%s:%.*s", yes ? YES : NO, id, STR_ARG(out->person));
    return n < PRESS_MAX;
}

bool press_asks(const struct outbound *out)
{
    char data[PRESS_MAX];
    return out->asks && out->person.n && !out->preview && out->part + 1 == out->n_parts &&
           press_write(out, true, data);
}

enum press press_read(struct str data, struct str from, struct arena *a, struct str *ret)
{
    bool yes = str_starts(data, STR(YES));
    struct uuid request;
    if (!yes && !str_starts(data, STR(NO))) return PRESS_NONE;
    struct str person = str_skip(data, STR(YES).n);
    struct str id = str_cut(&person, ':');
    if (!uuid_parse(id, &request)) return PRESS_NONE;
    if (!str_eq(person, from)) return PRESS_OTHERS;
    *ret = arena_printf(a, "/tool %s %.*s", yes ? "yes" : "no", STR_ARG(id));
    return PRESS_TAKEN;
}
