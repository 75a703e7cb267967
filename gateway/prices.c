/*
 * prices: `parley prices [list [PATTERN] | import FILE [force]]`. The file is a list in the form of
 * litellm's model_prices_and_context_window.json.
 */
#include "core/base/mem.h"
#include "core/model/price.h"
#include "core/net/sign.h"
#include "core/store/price.h"
#include "gateway/app.h"
#include "gateway/commands.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)32 << 20)
#define LIST_MAX       100000
#define HOLES_SHOWN    10
#define VERSION_CHARS  12

static bool read_file(const char *path, struct buf *to)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        fprintf(stderr, "parley: %s: %m\n", path);
        return false;
    }
    for (char *room; (room = buf_room(to, 65536)) != NULL;) {
        size_t n = fread(room, 1, 65536, f);
        buf_grew(to, n);
        if (n == 0) break;
    }
    fclose(f);
    if (to->full) fprintf(stderr, "parley: %s: larger than 32 MB\n", path);
    return !to->full;
}

/* ---- import ---- */

struct import {
    struct buf list; /* {"model": {entry}, ...} of those that have a price */
    struct json_out out;
    size_t n_taken, n_without, n_bad;
};

static void take(struct import *im, const struct json_member *m)
{
    struct price price;
    struct err why = ERR_INIT;
    _cleanup_(buf_done) struct buf entry = BUF_INIT(65536);
    if (str_eq(m->key, STR("sample_spec"))) return; /* it documents the others */
    enum err_kind kind = price_read(m->value, &price, &why);
    if (kind == ERR_NOT_FOUND) {
        im->n_without++;
        return;
    }
    if (kind == ERR_NONE && !json_write(m->value, &entry)) err_set(&why, ERR_LIMIT, "too long");
    if (why.kind) {
        if (++im->n_bad <= HOLES_SHOWN)
            fprintf(stderr, "parley: %.*s: left out, %s\n", STR_ARG(m->key), why.msg);
        return;
    }
    char *key = mem_dup(m->key);
    json_key(&im->out, key);
    json_put_raw(&im->out, buf_str(&entry));
    free(key);
    im->n_taken++;
}

/* What the list is called in records: the beginning of its hash. */
static void version_of(struct str text, char ret[VERSION_CHARS + 1])
{
    uint8_t hash[32];
    char hex[65];
    sign_sha256(text, hash);
    sign_hex(hash, sizeof(hash), hex);
    memcpy(ret, hex, VERSION_CHARS);
    ret[VERSION_CHARS] = '\0';
}

static int store_list(struct app *app, struct import *im, const char *version, bool force)
{
    struct pg_rows rows = { 0 };
    struct op op;
    op_init(&op, &app->loop, on_app_op);
    store_prices_count(&app->store, &op, &rows);
    if (app_wait(app, &op)) {
        fprintf(stderr, "parley: %s\n", op.err.msg);
        return 1;
    }
    int64_t before = pg_rows_i64(&rows, 0, 0);
    pg_rows_done(&rows);
    if (!force && (int64_t)im->n_taken * 2 < before) {
        fprintf(stderr,
                "parley: the list has %zu models, the present one %" PRId64
                ": nothing is changed; `parley prices import FILE force` if that is meant\n",
                im->n_taken, before);
        return 1;
    }
    store_prices_replace(&app->store, &op, buf_str(&im->list), str_of(version), &rows);
    bool failed = app_wait(app, &op);
    pg_rows_done(&rows);
    if (failed)
        fprintf(stderr, "parley: %s\n", op.err.msg);
    else
        printf(
            "%zu models have a price now, version %s; %zu have none of tokens, %zu were left out; "
            "running processes see it within a minute\n",
            im->n_taken, version, im->n_without, im->n_bad);
    return failed ? 1 : 0;
}

static int import_text(struct app *app, struct str text, bool force)
{
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    struct import im = { .list = BUF_INIT(2 * FILE_MAX_BYTES) };
    struct json_member m = { .begun = false };
    char version[VERSION_CHARS + 1];
    int status = 1;
    im.out = (struct json_out)JSON_OUT(&im.list);
    if (json_parse(text, &doc, &why))
        fprintf(stderr, "parley: no JSON: %s\n", why.msg);
    else if (!json_is_object(doc))
        fprintf(stderr, "parley: not an object of models\n");
    json_open(&im.out, '{');
    while (json_next(doc, &m)) take(&im, &m);
    json_close(&im.out, '}');
    version_of(text, version);
    if (doc && im.n_taken == 0)
        fprintf(stderr, "parley: no model has a price in it; nothing is changed\n");
    else if (doc)
        status = store_list(app, &im, version, force);
    json_free(doc);
    buf_done(&im.list);
    return status;
}

static int import(struct app *app, const char *path, bool force)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
    return read_file(path, &text) ? import_text(app, buf_str(&text), force) : 2;
}

/* ---- list ---- */

/* Nano a million tokens is dollars a million tokens with nine digits. */
static void print_rate(int64_t rate)
{
    struct price_text text;
    printf("%14s", rate == PRICE_SAME ? "" : price_tell(rate, &text));
}

static int list(struct app *app, const char *pattern)
{
    struct pg_rows rows = { 0 };
    struct op op;
    op_init(&op, &app->loop, on_app_op);
    store_prices_like(&app->store, &op, str_of(pattern ? pattern : ""), LIST_MAX, &rows);
    if (app_wait(app, &op)) {
        fprintf(stderr, "parley: %s\n", op.err.msg);
        return 1;
    }
    printf("%-48s%14s%14s%14s  US dollars a million tokens\n", "model", "input", "output",
           "cached");
    for (int i = 0; i < rows.n; i++) {
        struct json *entry = NULL;
        struct price p;
        json_parse(pg_rows_str(&rows, i, 1), &entry, NULL);
        if (price_read(entry, &p, NULL) == ERR_NONE) {
            printf("%-48.*s", STR_ARG(pg_rows_str(&rows, i, 0)));
            print_rate(p.base.input);
            print_rate(p.base.output);
            print_rate(p.base.cached);
            putchar('\n');
        }
        json_free(entry);
    }
    pg_rows_done(&rows);
    return 0;
}

int prices_main(const char *conf_path, char **args)
{
    struct app app;
    struct err why;
    bool imports = args[0] && strcmp(args[0], "import") == 0;
    bool lists = !args[0] || strcmp(args[0], "list") == 0;
    bool force = imports && args[1] && args[2] && strcmp(args[2], "force") == 0;
    if (!(imports ? args[1] && (!args[2] || force) : lists && (!args[0] || !args[1] || !args[2]))) {
        fprintf(stderr, "usage: parley prices [list [PATTERN] | import FILE [force]]\n");
        return 2;
    }
    if (app_open(&app, conf_path, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        return 2;
    }
    int status = imports ? import(&app, args[1], force) : list(&app, args[0] ? args[1] : NULL);
    app_close(&app);
    return status;
}
