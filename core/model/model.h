/*
 * model - asking a language model and streaming its answer. A backend is a codec (struct
 * model_type: one file, and one line in model_types); model.c knows which models there are, ask.c
 * owns HTTP, deadlines, retries, streaming and usage.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/conf.h"
#include "core/base/err.h"
#include "core/loop/op.h"
#include "core/net/http_client.h"

enum model_role { MODEL_SYSTEM, MODEL_USER, MODEL_ASSISTANT, MODEL_TOOL_RESULT };

/* By its address (https), which the backend fetches, or with its bytes. */
struct model_picture {
    struct str url;
    struct str type; /* "image/png" */
    struct str data; /* base64; "" = only the address is known */
};

/* What a model wants done. */
struct model_call {
    struct str id, name;
    struct str arguments; /* as the model wrote them: a JSON object, if it made no mistake */
};

struct model_message {
    enum model_role role;
    struct str text;                      /* MODEL_TOOL_RESULT: what the tool returned */
    const struct model_picture *pictures; /* MODEL_USER; only if m->sees */
    size_t n_pictures;
    const struct model_call *calls; /* MODEL_ASSISTANT: it called tools; results follow in order */
    size_t n_calls;
    struct str call_id, call_name; /* MODEL_TOOL_RESULT: of which call */
    bool failed;                   /* MODEL_TOOL_RESULT */
    struct str kept;               /* MODEL_ASSISTANT: what sink.keep got; "" = nothing */
};

/* A tool that the model may call. */
struct model_tool {
    struct str name; /* [A-Za-z0-9_-]{1,64} */
    struct str description;
    struct str schema; /* JSON Schema of an object */
};

struct model_ask {
    const struct model_message *messages; /* oldest first */
    size_t n_messages;
    const struct model_tool *tools;
    size_t n_tools;
    uint32_t max_tokens; /* 0 = the model's configured maximum */
    unsigned without;    /* settings that this server refuses: MODEL_WITHOUT_... */
};
enum { MODEL_WITHOUT_SAMPLING = 1, MODEL_WITHOUT_MAXIMUM = 2 };

/* One form for all backends: cached and written are parts of prompt, reasoning of completion. */
struct model_usage {
    int64_t prompt_tokens, completion_tokens;
    int64_t cached_tokens;    /* read from the backend's cache of prompts */
    int64_t reasoning_tokens; /* thought, and not shown */
    bool known;               /* the backend said so; otherwise estimated */
    int64_t written_tokens;   /* written to the cache */
    int64_t cost_nano;        /* billionths of a US dollar, if the backend says so; else 0 */
};

enum model_finish {
    MODEL_STOP,
    MODEL_LENGTH, /* the model's limit or our reply_max */
    MODEL_FILTER,
    MODEL_TOOL,
    MODEL_PAUSE, /* it goes on when it is asked again, with what it said so far */
    MODEL_CUT    /* ended without its end marker */
};

/* Where a decoder puts what it finds. */
struct model_sink {
    void (*text)(struct model_sink *sink, struct str piece); /* whole code points, no U+0000 */
    /* A tool call, complete; NULL = calls are dropped. The views live until it returns. */
    void (*call)(struct model_sink *sink, const struct model_call *call);
    /*
     * JSON that the backend wants back with this message in a loop of tool calls (signatures of
     * what it thought), or to go on with it after a pause; NULL = dropped. At most once an answer.
     */
    void (*keep)(struct model_sink *sink, struct str json);
    struct model_usage usage;
    enum model_finish finish;
    bool alive; /* the model has written something, shown or not (reasoning); ask.c takes it back */
    bool ended; /* the end marker came */
};

struct model; /* one configured model: "models = ( { name = ...; type = ...; } )" */

struct json;
struct vectors;
struct model_decoder; /* the codec's state of one answer */
struct model_type {
    const char *name;
    const char *help;                /* one sentence for the example file */
    const struct conf_field *fields; /* into a struct whose first member is struct model */
    size_t size;
    /* What the field table cannot say; NULL = nothing. ret_key names the field to blame. */
    enum err_kind (*check)(const struct model *m, const char **ret_key, struct err *why);
    /* body and headers of the request, allocated from `arena`; sets rq->url, headers, body */
    enum err_kind (*encode)(const struct model *m, const struct model_ask *ask, struct arena *arena,
                            struct http_request *rq, struct err *why);
    struct model_decoder *(*decoder_new)(const struct model *m, struct model_sink *sink);
    /*
     * Any chunking. content_type as the server sent it (some answer unstreamed). end: no more bytes
     * will come. An error that the backend reports inside its answer is classified as by refusal.
     */
    enum err_kind (*decode)(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why);
    void (*decoder_free)(struct model_decoder *d);
    /* A status other than 2xx, and its body -> kind, text, retry_after_ms. Pure. */
    enum err_kind (*refusal)(int http_status, struct str body, uint32_t retry_hint_ms,
                             struct err *why);
    /* Vectors of texts; NULL = it makes none. Refusals are read by refusal, too. */
    enum err_kind (*embed_encode)(const struct model *m, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why);
    enum err_kind (*embed_read)(struct json *doc, struct vectors *to, struct err *why);
    /* The question to a server how many tokens an ask has; NULL = it does not count. False: the
     * answer has no number. Refusals are read by refusal, too. */
    enum err_kind (*count_encode)(const struct model *m, const struct model_ask *ask,
                                  struct arena *arena, struct http_request *rq, struct err *why);
    bool (*count_read)(struct json *doc, int64_t *ret);
    const char *extra_group; /* of the request, written by us and by `extra`; NULL = none */
    /* Whether the server may write what it is asked to its cache, at a price of its own; NULL = it
     * may. */
    bool (*writes_cache)(const struct model *m);
    bool is_local; /* it costs nothing unless somebody says so */
    bool pauses;   /* MODEL_PAUSE */
    /* Instead of all of the above but check: an answer made in the process, written in pieces by
     * ask.c (demo). */
    void (*local)(const struct model *m, const struct model_ask *ask, struct buf *ret);
};
extern const struct model_type *const model_types[]; /* NULL-terminated: the registration */

/* Fields that every model has; a type's struct begins with it. */
struct model {
    const struct model_type *type;
    const char *name;  /* what people say: /model NAME */
    const char *model; /* what the backend calls it; "" = name */
    const char *input_price, *output_price, *cached_price, *price_as; /* see prices.h */
    int64_t context_tokens, max_tokens;
    int count; /* enum model_counts */
    int64_t connect_ms, first_token_ms, idle_ms, content_ms, total_ms;
    bool sees;              /* it can look at pictures */
    bool tools;             /* it can call tools */
    int64_t tries;          /* in all, before the first piece was shown */
    int64_t running_max;    /* see gate.h; 0 = any number */
    const char *provider;   /* with whose models it shares that; "" = with none */
    int64_t reply_max;      /* bytes */
    bool embeds;            /* it makes vectors, and cannot chat */
    int64_t dimensions;     /* of its vectors, where they can be chosen; 0 = the model's own */
    unsigned n_generations; /* that have it, see models.h */
    struct arena strings;   /* its settings' */
};
enum model_counts { MODEL_ESTIMATES, MODEL_COUNTS };
extern const struct conf_field model_fields[]; /* the common ones */
/* What the backend calls it. */
static inline const char *model_id(const struct model *m)
{
    return *m->model ? m->model : m->name;
}

static inline bool model_writes_cache(const struct model *m)
{
    return !m->type || !m->type->writes_cache || m->type->writes_cache(m);
}

struct models;
/*
 * Read the list "models" of the configuration; when it is empty, the first that works of:
 * OPENAI_API_KEY (with OPENAI_BASE_URL, OPENAI_MODEL), an Ollama that answers on 127.0.0.1:11434
 * (or OLLAMA_HOST; probed by models_probe), demo.
 * doc      outlives the models
 * ret      held: models_close gives it back
 */
enum err_kind models_open(struct loop *loop, struct http_client *http, struct conf_doc *doc,
                          struct models **ret, struct err *why);
/*
 * The models and routes of another configuration, while those of `before` may still answer. What is
 * the same in both stays as it is: who waits for it, whether it rests, what it costs.
 * docs     layers, as conf_layers: read during the call only
 * ret      held, as `before` still is: models_close gives each back
 */
enum err_kind models_renew(struct models *before, struct conf_doc *const *docs, size_t n_docs,
                           struct models **ret, struct err *why);
/*
 * Hold these models: they, and their routes, live until as many models_close. Whoever keeps a
 * pointer to one of them beyond a call must hold them.
 */
struct models *models_hold(struct models *m);
void models_close(struct models *m); /* the last one frees them; NULL is fine */
/*
 * Find out whether Ollama is there, when nothing else is configured: finishes within 1 s, never
 * fails. If it is, its models take the place of demo. Before anybody asks them.
 */
void models_probe(struct models *m, struct op *op);
const struct model *models_find(const struct models *m, struct str name); /* NULL: no such */
size_t models_count(const struct models *m);                              /* of those that chat */
/* In the order of the configuration. NULL: i is too large. */
const struct model *models_at(const struct models *m, size_t i);
/* Those that make vectors are a list of their own: nobody chats with them. NULL: no such. */
const struct model *models_embedder(const struct models *m, struct str name); /* "" = the first */
/* NULL: i is too large. */
const struct model *models_embedder_at(const struct models *m, size_t i);
/* The list "models" of the example configuration, all of it commented out. */
void models_example(struct buf *to);

#define MODEL_CALLS_MAX 32 /* of one answer */

struct model_answer {
    struct buf text; /* all of it, valid UTF-8; kept even when the op failed midway */
    /* It wants tools called: finish is MODEL_TOOL, and the text may be empty. Only on success. */
    struct model_call *calls; /* at most MODEL_CALLS_MAX; NULL = none */
    size_t n_calls;
    struct str kept;   /* what the backend wants back with this message; "" = nothing */
    struct arena made; /* calls and kept live here */
    struct model_usage usage;
    enum model_finish finish;
    unsigned tries;
    uint32_t first_token_ms, total_ms;
};
/* Frees all of it; it is empty then, and its calls and kept are gone. */
void model_answer_done(struct model_answer *a);

/*
 * Ask the model and stream its reply. Retries before the first piece are made inside (m->tries).
 * ask        borrowed until the op ends
 * on_text    called from the loop with what came since; it may cancel the op; never called after
 * ret        zero-initialised by the caller, alive until the op ends; text grows while pieces come
 * op         succeeds with text, or with calls if the question has tools, or with something kept
 *            for after a pause; a text longer than m->reply_max is cut, with finish MODEL_LENGTH.
 *            Fails with
 *              ERR_LIMIT    err.retry_after_ms set: too many requests. 0: the conversation is
 *                           longer than the model's context
 *              ERR_TIMEOUT  no first piece, nothing for idle_ms, only comments for content_ms, or
 *                           not through after total_ms
 *              ERR_IO       the server is away, overloaded or failing
 *              ERR_UNKNOWN  the answer broke off
 *              ERR_PROTO    it cannot be understood, or ended without any text
 *              ERR_AUTH     key refused, or no credit: an operator must act
 *              ERR_REFUSED, ERR_NOT_FOUND, ERR_CONF
 *            If pieces came, the text so far is in ret and finish is MODEL_CUT.
 * Cancel closes the connection, which tells the backend to stop generating; ret keeps what came.
 */
void model_ask(struct models *models, const struct model *m, struct op *op,
               const struct model_ask *ask, void (*on_text)(void *ctx, struct str piece), void *ctx,
               struct model_answer *ret);

/*
 * Have the server count the tokens of a question, within some seconds.
 * m      its type has count_encode
 * ask    borrowed until the op ends
 * ret    set on success, > 0
 * op     fails as model_ask does, and the estimate has to do
 */
void model_count(struct models *models, const struct model *m, struct op *op,
                 const struct model_ask *ask, int64_t *ret);

#define MODEL_TEXTS_MAX 128 /* at once */

/* A vector a text, all of one length. */
struct model_vectors {
    float *v; /* one after the other, in the order of the texts */
    size_t n, dimensions;
    int64_t tokens;
    bool known; /* the backend said how many tokens it were */
};
void model_vectors_done(struct model_vectors *v); /* frees them; there are none then */
/* Vector i < v->n. */
static inline const float *model_vector(const struct model_vectors *v, size_t i)
{
    return v->v + i * v->dimensions;
}

/*
 * Make vectors of texts, such that what means the same is near. They are as the model gives them:
 * most are of length 1, but not all.
 * m        of models_embedder
 * texts    n of them, 1 to MODEL_TEXTS_MAX, none empty; borrowed until the op ends
 * ret      zero-initialised by the caller, alive until the op ends; set on success: then
 *          model_vectors_done
 * op       fails as model_ask does; ERR_LIMIT without a wait also for too many texts or too long
 *          ones, ERR_REFUSED for an empty one, ERR_CONF when the model does not have the
 *          dimensions that are configured
 */
void model_embed(struct models *models, const struct model *m, struct op *op,
                 const struct str *texts, size_t n, struct model_vectors *ret);

/*
 * Tokens of a text by the class-based estimator documented in tokens.c: on tried samples at most
 * some 15 % under for paragraphs, a quarter for single lines.
 */
int64_t tokens_estimate(struct str text);
#define TOKENS_A_PICTURE 1600 /* of the largest at Anthropic, who shrinks more than that */
/* What a whole request costs: the texts and what each message adds. */
int64_t tokens_of_ask(const struct model_ask *ask);
