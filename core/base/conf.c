/*
 * Configuration files: libconfig parses, our tables decide what is right. The only file that knows
 * libconfig: a doc is its config_t, a group its setting.
 */
#include "core/base/conf.h"

#include "core/base/arena.h"
#include "core/base/conf_object.h"
#include "core/base/conf_value.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX   (1 << 20)
#define SECRET_BYTES_MAX (64 << 10)

struct conf_doc {
    config_t config;
    struct arena strings;
    struct arena *to;              /* where strings that are read go */
    const struct conf_list *allow; /* of secrets; NULL = all */
    const char *name;              /* as it stands in messages; "" = there is no file */
};

/* One call of conf_read. */
struct reader {
    struct conf_doc *doc;
    const config_setting_t *group; /* NULL: absent */
    const char *section;
    struct err *why;
};

static config_setting_t *setting_of(const struct conf_group *g)
{
    return (config_setting_t *)(uintptr_t)g;
}

static struct conf_group *group_of(const config_setting_t *s)
{
    return (struct conf_group *)(uintptr_t)s;
}

/* ---- the file ---- */

static enum err_kind read_file(const char *path, struct buf *ret, struct err *why)
{
    char piece[4096];
    size_t n;
    FILE *file = fopen(path, "re");

    if (!file) return err_set(why, ERR_CONF, "cannot be read: %m");
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        if (!buf_add(ret, str_from(piece, n))) break;
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    errno = failed;
    if (failed) return err_set(why, ERR_CONF, "cannot be read: %m");
    if (ret->full) return err_set(why, ERR_CONF, "is larger than %zu KB", ret->max >> 10);
    if (str_find_char(buf_str(ret), '\0') != SIZE_MAX)
        return err_set(why, ERR_CONF, "is not a text file");
    return ERR_NONE;
}

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' ||
           c == '*' || c == '.';
}

static bool is_long_integer(struct str word)
{
    bool hex = str_starts_nocase(word, STR("0x"));

    if (hex) word = str_skip(word, 2);
    for (size_t i = 0; i < word.n; i++) {
        int digit = str_hex_digit(word.p[i]);
        if (digit < 0 || digit >= (hex ? 16 : 10)) return false;
    }
    return word.n > (hex ? 7 : 9);
}

/* Where a string or a comment that starts at `s` ends; 0 when neither starts here. */
static size_t opaque_length(struct str s)
{
    size_t n = 1;

    if (s.p[0] == '"') {
        while (n < s.n && s.p[n] != '"') n += s.p[n] == '\\' ? 2 : 1;
        return n + 1;
    }
    if (str_starts(s, STR("/*"))) {
        size_t end = str_find(str_skip(s, 2), STR("*/"));
        return end == SIZE_MAX ? s.n : end + 4;
    }
    if (s.p[0] == '#' || str_starts(s, STR("//"))) {
        size_t end = str_find_char(s, '\n');
        return end == SIZE_MAX ? s.n : end;
    }
    return 0;
}

/*
 * libconfig before 1.7 wraps integers beyond 32 bits around in silence, unless an L marks them:
 * mark them all.
 */
static void mark_long_integers(struct str text, struct buf *ret)
{
    while (text.n) {
        size_t n = opaque_length(text);
        bool is_long = false;
        if (n == 0 && is_word_char(text.p[0])) {
            while (n < text.n && is_word_char(text.p[n])) n++;
            /* A sign is part of the word. */
            size_t sign = text.p[0] == '-';
            is_long = is_long_integer(str_from(text.p + sign, n - sign));
        }
        buf_add(ret, str_head(text, n ? n : 1));
        if (is_long) buf_add_char(ret, 'L');
        text = str_skip(text, n ? n : 1);
    }
}

static struct conf_doc *doc_new(const char *name)
{
    struct conf_doc *doc = mem_new(struct conf_doc);

    config_init(&doc->config);
    arena_init(&doc->strings);
    doc->to = &doc->strings;
    doc->name = arena_cstr(&doc->strings, str_of(name));
    return doc;
}

static enum err_kind doc_parse(struct conf_doc *doc, struct str text, struct err *why)
{
    _cleanup_(buf_done) struct buf marked = BUF_INIT(2 * FILE_BYTES_MAX);

    mark_long_integers(text, &marked);
    if (marked.full) return err_set(why, ERR_CONF, "%s: is too large", doc->name);
    if (config_read_string(&doc->config, marked.p ? marked.p : "")) return ERR_NONE;
    const char *file = config_error_file(&doc->config);
    return err_set(why, ERR_CONF, "%s:%d: %s", file ? file : doc->name,
                   config_error_line(&doc->config), config_error_text(&doc->config));
}

/* ---- messages ---- */

/* "parley.conf:12: " in front of the text. `at` NULL: only the file is known. */
static enum err_kind add_place(const struct conf_doc *doc, const config_setting_t *at,
                               struct err *why)
{
    const char *file = at ? config_setting_source_file(at) : NULL;
    unsigned line = at ? config_setting_source_line(at) : 0;

    if (!file) file = doc->name;
    if (line)
        err_add(why, "%s:%u: ", file, line);
    else if (*file)
        err_add(why, "%s: ", file);
    return ERR_CONF;
}

/* The same with the key. `at` NULL: the key is absent, its group is blamed. */
static enum err_kind add_key(const struct reader *r, const config_setting_t *at, const char *key)
{
    err_add(r->why, "%s.%s: ", r->section, key);
    return add_place(r->doc, at ? at : r->group, r->why);
}

/* ---- values ---- */

static bool is_string(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_STRING;
}

static bool is_integer(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

static void strip_newline(struct buf *b)
{
    if (b->n && b->p[b->n - 1] == '\n') buf_cut(b, b->n - 1);
    if (b->n && b->p[b->n - 1] == '\r') buf_cut(b, b->n - 1);
}

static enum err_kind secret_from_env(struct conf_doc *doc, const char *name, const char **ret,
                                     struct err *why)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody changes it */

    if (!value) return err_set(why, ERR_CONF, "environment variable %s is not set", name);
    if (!*value) return err_set(why, ERR_CONF, "environment variable %s is empty", name);
    *ret = arena_cstr(doc->to, str_of(value));
    return ERR_NONE;
}

static enum err_kind secret_from_file(struct conf_doc *doc, const char *path, const char **ret,
                                      struct err *why)
{
    _cleanup_(buf_done) struct buf content = BUF_INIT(SECRET_BYTES_MAX);

    if (read_file(path, &content, why)) {
        err_add(why, "file %s ", path);
        return ERR_CONF;
    }
    strip_newline(&content);
    if (content.n == 0) return err_set(why, ERR_CONF, "file %s is empty", path);
    *ret = arena_cstr(doc->to, buf_str(&content));
    return ERR_NONE;
}

/* "env:OPENAI_API_KEY" by "env:*_KEY": one * stands for anything. */
static bool fits_pattern(struct str text, struct str pattern)
{
    struct str end = pattern, begin = str_cut(&end, '*');

    if (str_find_char(pattern, '*') == SIZE_MAX) return str_eq(text, pattern);
    return text.n >= begin.n + end.n && str_starts(text, begin) && str_ends(text, end);
}

static bool is_allowed(const struct conf_doc *doc, const char *text)
{
    for (size_t i = 0; doc->allow && i < doc->allow->n; i++)
        if (fits_pattern(str_of(text), str_of(doc->allow->v[i]))) return true;
    return !doc->allow;
}

static bool is_reference(const char *text)
{
    return str_starts(str_of(text), STR("env:")) || str_starts(str_of(text), STR("file:"));
}

/* "" stands for no secret. */
static enum err_kind resolve_secret(struct conf_doc *doc, const char *text, const char **ret,
                                    struct err *why)
{
    enum err_kind failed;

    *ret = "";
    if (!*text) return ERR_NONE;
    if (is_reference(text) && !is_allowed(doc, text))
        failed = err_set(why, ERR_CONF, "%s may not be used here", text);
    else if (str_starts(str_of(text), STR("env:")))
        failed = secret_from_env(doc, text + 4, ret, why);
    else if (str_starts(str_of(text), STR("file:")))
        failed = secret_from_file(doc, text + 5, ret, why);
    else
        failed = err_set(why, ERR_CONF,
                         "a secret does not belong here: put it into an environment "
                         "variable or a file, and write \"env:NAME\" or \"file:PATH\" here");
    log_secret(str_of(*ret));
    return failed;
}

static bool list_of_setting(struct conf_doc *doc, const config_setting_t *s, struct conf_list *ret)
{
    if (!config_setting_is_array(s) && !config_setting_is_list(s)) return false;
    size_t n = (size_t)config_setting_length(s);
    const char **v = arena_alloc_array(doc->to, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);
        if (!is_string(item)) return false;
        struct str text = str_of(config_setting_get_string(item));
        if (!utf8_valid(text)) return false;
        v[i] = arena_cstr(doc->to, text);
    }
    *ret = (struct conf_list){ n, v };
    return true;
}

/* A number, true or false as libconfig has it. False: not of this field's type. */
static bool plain_of_setting(const struct conf_field *f, const config_setting_t *s,
                             union conf_any *ret)
{
    if (f->type == CONF_BOOL && config_setting_type(s) == CONFIG_TYPE_BOOL) {
        ret->b = config_setting_get_bool(s) != 0;
        return true;
    }
    if (f->type == CONF_FLOAT && config_setting_type(s) == CONFIG_TYPE_FLOAT) {
        ret->f = config_setting_get_float(s);
        return true;
    }
    if (!is_integer(s)) return false;
    int64_t i = config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s)
                                                          : config_setting_get_int64(s);
    ret->i = i;
    if (f->type == CONF_FLOAT) ret->f = (double)i;
    if (f->type == CONF_DURATION) return !__builtin_mul_overflow(i, (int64_t)1000, &ret->i);
    return f->type == CONF_INT || f->type == CONF_FLOAT || f->type == CONF_SIZE;
}

static enum err_kind value_of_text(const struct reader *r, const struct conf_field *f,
                                   const char *text, union conf_any *ret)
{
    switch (f->type) {
    case CONF_SECRET: return resolve_secret(r->doc, text, &ret->s, r->why);
    case CONF_STR: ret->s = arena_cstr(r->doc->to, str_of(text)); return ERR_NONE;
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_ENUM:
        if (conf_value_parse(f, str_of(text), ret, r->why)) return ERR_CONF;
        return conf_value_check(f, ret, r->why);
    default: return conf_value_refuse(f, STR_NONE, r->why);
    }
}

static enum err_kind object_of_setting(const struct reader *r, const config_setting_t *s,
                                       union conf_any *ret)
{
    _cleanup_(buf_done) struct buf json = BUF_INIT(CONF_OBJECT_MAX);
    if (conf_object_write(s, &json, r->why)) return ERR_CONF;
    ret->s = arena_cstr(r->doc->to, buf_str(&json));
    return ERR_NONE;
}

static enum err_kind value_of_setting(const struct reader *r, const struct conf_field *f,
                                      const config_setting_t *s, union conf_any *ret)
{
    if (f->type == CONF_OBJECT) return object_of_setting(r, s, ret);
    if (f->type == CONF_LIST && list_of_setting(r->doc, s, &ret->list)) return ERR_NONE;
    if (plain_of_setting(f, s, ret)) return conf_value_check(f, ret, r->why);
    if (!is_string(s)) return conf_value_refuse(f, STR_NONE, r->why);
    const char *text = config_setting_get_string(s);
    if (!utf8_valid(str_of(text))) return err_set(r->why, ERR_CONF, "must be valid UTF-8");
    return value_of_text(r, f, text, ret);
}

static struct conf_list list_of_default(struct conf_doc *doc, struct str text)
{
    struct conf_list list = { 0 };
    size_t n_max = 1;

    for (size_t i = 0; i < text.n; i++) n_max += text.p[i] == ',';
    list.v = arena_alloc_array(doc->to, n_max, sizeof(*list.v));
    while (text.n) list.v[list.n++] = arena_cstr(doc->to, str_trim(str_cut(&text, ',')));
    return list;
}

static void value_of_default(struct conf_doc *doc, const struct conf_field *f, union conf_any *ret)
{
    const char *def = f->def ? f->def : "";

    if (f->type == CONF_STR || f->type == CONF_OBJECT)
        ret->s = def;
    else if (f->type == CONF_SECRET)
        resolve_secret(doc, def, &ret->s, NULL); /* nobody asked for it: may be absent */
    else if (f->type == CONF_LIST)
        ret->list = list_of_default(doc, str_of(def));
    else if (f->def && conf_value_parse(f, str_of(def), ret, NULL))
        abort(); /* the table itself is wrong: any test of its floor finds it */
}

static void store(const struct conf_field *f, void *into, const union conf_any *v)
{
    void *at = (char *)into + f->offset;

    switch (f->type) {
    case CONF_BOOL: *(bool *)at = v->b; break;
    case CONF_FLOAT: *(double *)at = v->f; break;
    case CONF_ENUM: *(int *)at = v->word; break;
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE: *(int64_t *)at = v->i; break;
    case CONF_STR:
    case CONF_OBJECT:
    case CONF_SECRET: *(const char **)at = v->s; break;
    case CONF_LIST: *(struct conf_list *)at = v->list; break;
    }
}

static bool same_list(const struct conf_list *a, const struct conf_list *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0) return false;
    return true;
}

static bool same_value(const struct conf_field *f, const void *a, const void *b)
{
    const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;

    switch (f->type) {
    case CONF_BOOL: return *(const bool *)x == *(const bool *)y;
    case CONF_FLOAT: return memcmp(x, y, sizeof(double)) == 0;
    case CONF_ENUM: return *(const int *)x == *(const int *)y;
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE: return *(const int64_t *)x == *(const int64_t *)y;
    case CONF_STR:
    case CONF_OBJECT:
    case CONF_SECRET: return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    case CONF_LIST: return same_list(x, y);
    }
    return true;
}

/* ---- keys ---- */

static bool is_one_of(const char *const *words, const char *word)
{
    for (; words && *words; words++)
        if (strcmp(*words, word) == 0) return true;
    return false;
}

static bool is_known(const char *key, const struct conf_field *fields, const char *const *also)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0) return true;
    return is_one_of(also, key);
}

static enum err_kind refuse_key(struct conf_guess *guess, struct err *why)
{
    if (guess->best) return err_set(why, ERR_CONF, "unknown key (did you mean %s?)", guess->best);
    return err_set(why, ERR_CONF, "unknown key");
}

static enum err_kind check_keys(const struct reader *r, const struct conf_field *fields,
                                const char *const *also)
{
    int n = r->group ? config_setting_length(r->group) : 0;

    for (int i = 0; i < n; i++) {
        const config_setting_t *s = config_setting_get_elem(r->group, (unsigned)i);
        const char *key = config_setting_name(s);
        if (is_known(key, fields, also)) continue;
        struct conf_guess guess = { .word = str_of(key) };
        for (const struct conf_field *f = fields; f->key; f++) conf_guess_offer(&guess, f->key);
        for (; also && *also; also++) conf_guess_offer(&guess, *also);
        refuse_key(&guess, r->why);
        return add_key(r, s, key);
    }
    return ERR_NONE;
}

static enum err_kind check_filled(const struct conf_field *f, const union conf_any *v,
                                  struct err *why)
{
    bool text = f->type == CONF_STR || f->type == CONF_SECRET;

    if (!text || !(f->flags & CONF_REQUIRED) || (v->s && *v->s)) return ERR_NONE;
    return err_set(why, ERR_CONF, "is required, but empty");
}

static const config_setting_t *member(const struct reader *r, const struct conf_field *f)
{
    return r->group ? config_setting_get_member(r->group, f->key) : NULL;
}

static enum err_kind read_field(const struct reader *r, const struct conf_field *f, void *into)
{
    const config_setting_t *s = member(r, f);
    union conf_any v;

    memset(&v, 0, sizeof(v)); /* { 0 } is only the first member of a union */
    if (!s && (f->flags & CONF_REQUIRED)) {
        err_set(r->why, ERR_CONF, "is required, but not set");
        return add_key(r, NULL, f->key);
    }
    if (!s)
        value_of_default(r->doc, f, &v);
    else if (value_of_setting(r, f, s, &v) || check_filled(f, &v, r->why))
        return add_key(r, s, f->key);
    store(f, into, &v);
    return ERR_NONE;
}

/* A section, or a list of them; nothing else stands at the top. */
static enum err_kind check_shape(const config_setting_t *s, struct err *why)
{
    if (config_setting_is_group(s)) return ERR_NONE;
    bool good = config_setting_is_list(s);
    for (int i = 0; good && i < config_setting_length(s); i++)
        good = config_setting_is_group(config_setting_get_elem(s, (unsigned)i));
    if (good) return ERR_NONE;
    return err_set(why, ERR_CONF, "must be a group { ... } or a list of groups ( { ... }, ... )");
}

/* ---- documents ---- */

enum err_kind conf_open_text(struct str text, const char *name, struct conf_doc **ret,
                             struct err *why)
{
    struct conf_doc *doc = doc_new(name);

    if (doc_parse(doc, text, why)) {
        conf_close(doc);
        return ERR_CONF;
    }
    *ret = doc;
    return ERR_NONE;
}

enum err_kind conf_open(const char *path, struct conf_doc **ret, struct err *why)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(FILE_BYTES_MAX);

    if (path && read_file(path, &text, why)) {
        err_add(why, "%s: ", path);
        return ERR_CONF;
    }
    return conf_open_text(buf_str(&text), path ? path : "", ret, why);
}

void conf_close(struct conf_doc *doc)
{
    if (!doc) return;
    config_destroy(&doc->config);
    arena_done(&doc->strings);
    free(doc);
}

enum err_kind conf_known(struct conf_doc *doc, const char *const *known, struct err *why)
{
    const config_setting_t *root = config_root_setting(&doc->config);

    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
        const char *key = config_setting_name(s);
        struct conf_guess guess = { .word = str_of(key) };
        for (const char *const *k = known; *k; k++) conf_guess_offer(&guess, *k);
        if (is_one_of(known, key) ? check_shape(s, why) : refuse_key(&guess, why)) {
            err_add(why, "%s: ", key);
            return add_place(doc, s, why);
        }
    }
    return ERR_NONE;
}

enum err_kind conf_section(struct conf_doc *doc, const char *name, struct conf_group **ret,
                           struct err *why)
{
    const config_setting_t *root = config_root_setting(&doc->config);
    const config_setting_t *s = config_setting_get_member(root, name);

    if (s && !config_setting_is_group(s)) {
        err_set(why, ERR_CONF, "%s: must be a group { ... }", name);
        return add_place(doc, s, why);
    }
    *ret = group_of(s);
    return ERR_NONE;
}

size_t conf_groups(struct conf_doc *doc, const char *name)
{
    const config_setting_t *s = config_lookup(&doc->config, name);

    if (!s) return 0;
    /* Who has but one may leave out the parentheses of the list. */
    return config_setting_is_list(s) ? (size_t)config_setting_length(s)
                                     : config_setting_is_group(s);
}

struct conf_group *conf_group_at(struct conf_doc *doc, const char *name, size_t i)
{
    const config_setting_t *s = config_lookup(&doc->config, name);

    if (s && config_setting_is_list(s)) s = config_setting_get_elem(s, (unsigned)i);
    return s && config_setting_is_group(s) ? group_of(s) : NULL;
}

const char *conf_peek(struct conf_group *g, const char *key)
{
    const char *value;
    return g && config_setting_lookup_string(setting_of(g), key, &value) ? value : "";
}

bool conf_has(struct conf_group *g, const char *key)
{
    return g && config_setting_get_member(setting_of(g), key);
}

enum err_kind conf_read(struct conf_doc *doc, struct conf_group *g, const char *section,
                        const struct conf_field *fields, const char *const *also, void *into,
                        struct err *why)
{
    struct reader r = { .doc = doc, .group = setting_of(g), .section = section, .why = why };

    if (check_keys(&r, fields, also)) return ERR_CONF;
    for (; fields->key; fields++)
        if (read_field(&r, fields, into)) return ERR_CONF;
    return ERR_NONE;
}

enum err_kind conf_overlay(struct conf_doc *doc, struct conf_group *g, const char *section,
                           const struct conf_field *fields, void *into, struct err *why)
{
    struct reader r = { .doc = doc, .group = setting_of(g), .section = section, .why = why };

    if (check_keys(&r, fields, NULL)) return ERR_CONF;
    for (; fields->key; fields++)
        if (member(&r, fields) && read_field(&r, fields, into)) return ERR_CONF;
    return ERR_NONE;
}

void conf_strings_to(struct conf_doc *doc, struct arena *strings)
{
    doc->to = strings ? strings : &doc->strings;
}

void conf_allow_secrets(struct conf_doc *doc, const struct conf_list *allow)
{
    doc->allow = allow;
}

enum err_kind conf_blame(struct conf_doc *doc, struct conf_group *g, const char *key,
                         struct err *why)
{
    const config_setting_t *group = setting_of(g);
    const config_setting_t *s = g && key ? config_setting_get_member(group, key) : NULL;

    return add_place(doc, s ? s : group, why);
}

static size_t size_of(enum conf_type type)
{
    switch (type) {
    case CONF_BOOL: return sizeof(bool);
    case CONF_FLOAT: return sizeof(double);
    case CONF_ENUM: return sizeof(int);
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE: return sizeof(int64_t);
    case CONF_STR:
    case CONF_OBJECT:
    case CONF_SECRET: return sizeof(const char *);
    case CONF_LIST: return sizeof(struct conf_list);
    }
    return 0;
}

bool conf_list_has(const struct conf_list *list, struct str word)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(str_of(list->v[i]), word)) return true;
    return false;
}

void conf_apply(const struct conf_field *fields, void *to, const void *from)
{
    for (; fields->key; fields++)
        if (fields->flags & CONF_RELOADABLE)
            memcpy((char *)to + fields->offset, (const char *)from + fields->offset,
                   size_of(fields->type));
}

bool conf_differs(const struct conf_field *fields, const void *a, const void *b,
                  const char **ret_key)
{
    for (; fields->key; fields++) {
        if ((fields->flags & CONF_RELOADABLE) || same_value(fields, a, b)) continue;
        *ret_key = fields->key;
        return true;
    }
    return false;
}
