/*
 * Any bytes as a configuration: every value that is accepted is within its bounds.
 */
#include "core/base/conf.h"
#include "core/base/utf8.h"

#include <stdlib.h>

struct all {
    bool b;
    int64_t i, duration, size;
    double f;
    const char *s, *secret;
    int word;
    struct conf_list list;
};

static const char *const words[] = { "wait", "merge", NULL };
static const struct conf_field fields[] = {
    { "b", CONF_BOOL, offsetof(struct all, b) },
    { "i", CONF_INT, offsetof(struct all, i), .min = -5, .max = 5 },
    { "duration", CONF_DURATION, offsetof(struct all, duration), .max = 100000 },
    { "size", CONF_SIZE, offsetof(struct all, size), .max = 100000 },
    { "f", CONF_FLOAT, offsetof(struct all, f), .max = 1 },
    { "s", CONF_STR, offsetof(struct all, s) },
    { "secret", CONF_SECRET, offsetof(struct all, secret) },
    { "word", CONF_ENUM, offsetof(struct all, word), .words = words },
    { "list", CONF_LIST, offsetof(struct all, list) },
    CONF_END,
};

/* libconfig 1.5 loses a string that a syntax error follows: a few bytes, and only then. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

static void must(bool ok)
{
    if (!ok) abort();
}

static void check(const struct all *a)
{
    must(a->i >= -5 && a->i <= 5);
    must(a->duration >= 0 && a->duration <= 100000 && a->size >= 0 && a->size <= 100000);
    must(a->f >= 0 && a->f <= 1 && (a->word == 0 || a->word == 1));
    must(utf8_valid(str_of(a->s)) && a->secret);
    for (size_t i = 0; i < a->list.n; i++) must(utf8_valid(str_of(a->list.v[i])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const known[] = { "a", "list", NULL };
    struct str text = str_from((const char *)data, n);
    struct err why = ERR_INIT;
    struct conf_doc *doc;
    struct conf_group *g;
    struct all a;

    /* These would make the fuzzer read whatever file it names. */
    if (str_find(text, STR("include")) != SIZE_MAX || str_find(text, STR("file:")) != SIZE_MAX ||
        str_find(text, STR("\\x")) != SIZE_MAX)
        return 0;
    if (conf_open_text(text, "fuzz", &doc, &why)) return 0;
    if (!conf_known(doc, known, &why) && !conf_section(doc, "a", &g, &why) &&
        !conf_read(doc, g, "a", fields, NULL, &a, &why))
        check(&a);
    for (size_t i = 0; i < conf_groups(doc, "list"); i++)
        if (!conf_read(doc, conf_group_at(doc, "list", i), "list", fields, known, &a, &why))
            check(&a);
    conf_close(doc);
    return 0;
}
