/*
 * err - the table of what each error kind means, and the texts that explain one occurrence.
 */
#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_rule rules[ERR_N] = {
    [ERR_NONE] = { "none", false, "" },
    [ERR_TIMEOUT] = { "timeout", true, "That took too long. Please try again." },
    [ERR_CANCELLED] = { "cancelled", false, "Stopped." },
    [ERR_IO] = { "io", true, "I cannot reach a service I need. Please try again in a moment." },
    [ERR_UNKNOWN] = { "unknown", false,
                      "I lost the connection and cannot tell whether that worked. "
                      "Please check before you repeat it." },
    [ERR_PROTO] = { "proto", false, "I got an answer I do not understand. Please try again." },
    [ERR_AUTH] = { "auth", false, "I am not set up correctly. My operator has to look at it." },
    [ERR_REFUSED] = { "refused", false, "That was refused. Please try it in another way." },
    [ERR_LIMIT] = { "limit", true, "That is more than I may do right now. Please try later." },
    [ERR_NOT_FOUND] = { "not_found", false, "I cannot find that." },
    [ERR_CONF] = { "conf", false, "I am not set up correctly. My operator has to look at it." },
    [ERR_BUG] = { "bug", false, "Something went wrong on my side. I have noted it." },
};

const struct err_rule *err_rule(enum err_kind kind)
{
    return &rules[(unsigned)kind < ERR_N ? kind : ERR_BUG];
}

/* snprintf may have cut inside a code point; the text goes to logs and chats as UTF-8. */
static void drop_cut_point(char *s)
{
    size_t n = strlen(s), back = 0;
    if (n < ERR_MSG_MAX - 1) return;
    while (back < 3 && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80) back++;
    unsigned char lead = (unsigned char)s[n - 1 - back];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (need > back + 1) s[n - 1 - back] = '\0';
}

enum err_kind err_set(struct err *why, enum err_kind kind, const char *fmt, ...)
{
    if (!why) return kind;

    /* The old text may be among the arguments, so it is overwritten last. */
    char text[ERR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    drop_cut_point(text);

    why->kind = kind;
    why->retry_after_ms = 0;
    memcpy(why->msg, text, sizeof(text));
    return kind;
}

enum err_kind err_add(struct err *why, const char *fmt, ...)
{
    if (!why) return ERR_NONE;

    char text[ERR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(text) - 1)
        snprintf(text + n, sizeof(text) - (size_t)n, "%s", why->msg);
    drop_cut_point(text);
    memcpy(why->msg, text, sizeof(text));
    return why->kind;
}
