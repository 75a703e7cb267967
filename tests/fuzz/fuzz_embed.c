/*
 * Any JSON as an answer with vectors, of each backend: what is taken has its length and is finite.
 */
#include "core/model/types.h"
#include "core/model/vectors.h"
#include <math.h>
#include <stdlib.h>

static void run(enum err_kind (*read)(struct json *, struct vectors *, struct err *),
                struct json *doc, size_t n)
{
    struct model_vectors to = { 0 };
    struct vectors v;
    vectors_init(&v, n, &to);
    bool good = read(doc, &v, NULL) == ERR_NONE && vectors_check(&v, NULL) == ERR_NONE;
    for (size_t i = 0; good && i < to.n * to.dimensions; i++)
        if (!isfinite(to.v[i])) abort();
    if (good && (!to.dimensions || to.n != n)) abort();
    model_vectors_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct json *doc = NULL;
    if (json_parse(str_from((const char *)data, n), &doc, NULL) != ERR_NONE) return 0;
    for (size_t texts = 1; texts <= 3; texts++) {
        run(model_openai.embed_read, doc, texts);
        run(model_ollama.embed_read, doc, texts);
        run(model_cohere.embed_read, doc, texts);
        run(gemini_embed_read, doc, texts);
    }
    json_free(doc);
    return 0;
}
