/* embed: `parley embed [--model NAME] TEXT...`, a line of JSON for each text. */
#include "core/base/json.h"
#include "gateway/app.h"
#include "gateway/commands.h"
#include "gateway/spend.h"
#include <stdio.h>

#define LINE_MAX_BYTES (1024 * 1024)

static void put_number(struct json_out *o, float f)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%.9g", (double)f); /* enough to read it back the same */
    json_put_raw(o, str_from(text, (size_t)n));
}

static void print_vector(const struct model *m, const float *v, size_t n)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(LINE_MAX_BYTES);
    struct json_out o = JSON_OUT(&line);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(m->name));
    json_field_i64(&o, "dimensions", (int64_t)n);
    json_key(&o, "embedding");
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) put_number(&o, v[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    puts(buf_str(&line).p);
}

static int complain(const struct err *why)
{
    fprintf(stderr, "parley: %s\n", why->msg);
    return 1;
}

static void print_all(const struct model *m, const struct model_vectors *v)
{
    for (size_t i = 0; i < v->n; i++) print_vector(m, model_vector(v, i), v->dimensions);
    fflush(stdout); /* to keep what it cost may take a while, where the database is away */
}

static int ask(struct spend *spend, const struct str *texts, size_t n, int64_t tokens)
{
    struct model_vectors vectors = { 0 };
    struct err why = ERR_INIT;
    struct op op;
    op_init(&op, &spend->app->loop, on_app_op);
    model_embed(spend->app->models, spend->model, &op, texts, n, &vectors);
    if (app_wait(spend->app, &op)) {
        complain(&op.err);
        if (spend_failed(spend, &why)) complain(&why);
        return 1;
    }
    print_all(spend->model, &vectors);
    const struct model_usage usage = { .known = vectors.known,
                                       .prompt_tokens = vectors.known ? vectors.tokens : tokens };
    model_vectors_done(&vectors);
    if (spend_answered(spend, &usage, &why)) complain(&why);
    return 0;
}

static int embed(struct app *app, const struct model *m, char **args)
{
    struct str texts[MODEL_TEXTS_MAX + 1]; /* one too many is model_embed's to refuse */
    struct spend spend;
    struct err why = ERR_INIT;
    int64_t tokens = 0;
    size_t n = 0;
    for (; args[n] && n <= MODEL_TEXTS_MAX; n++) {
        texts[n] = str_of(args[n]);
        tokens += tokens_estimate(texts[n]);
    }
    int status =
        spend_begin(&spend, app, m, tokens, &why) ? complain(&why) : ask(&spend, texts, n, tokens);
    spend_end(&spend);
    return status;
}

static const struct model *find(struct app *app, const char *name)
{
    struct op op;
    op_init(&op, &app->loop, on_app_op);
    models_probe(app->models, &op);
    app_wait(app, &op);
    const struct model *m = models_embedder(app->models, str_of(name));
    if (!m && name)
        fprintf(stderr, "parley: no model with embeds = true is named \"%s\"\n", name);
    else if (!m)
        fprintf(stderr, "parley: no model is configured with embeds = true\n");
    return m;
}

int embed_main(const char *conf_path, char **args)
{
    struct app app;
    struct err why;
    if (!args[0]) {
        fprintf(stderr, "usage: parley embed [--model NAME] TEXT...\n");
        return 2;
    }
    if (app_open(&app, conf_path, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        return 2;
    }
    const struct model *m = find(&app, command_model);
    int status = m ? embed(&app, m, args) : 2;
    app_close(&app);
    return status;
}
