/*
 * demo - the model of somebody who has none yet: it needs nothing, streams like a real one, never
 * pretends to be one, and says how to get one.
 */
#include "core/base/utf8.h"
#include "core/model/types.h"
#include <inttypes.h>

#define QUOTE_MAX 400 /* code points of the person's text that are shown again */

static struct str last_question(const struct model_ask *ask)
{
    for (size_t i = ask->n_messages; i > 0; i--)
        if (ask->messages[i - 1].role == MODEL_USER) return ask->messages[i - 1].text;
    return STR_NONE;
}

static size_t count_earlier(const struct model_ask *ask)
{
    size_t n = 0;
    for (size_t i = 0; i < ask->n_messages; i++) n += ask->messages[i].role != MODEL_SYSTEM;
    return n ? n - 1 : 0;
}

/* As a Markdown quotation, each line of it. */
static void quote(struct buf *to, struct str s)
{
    size_t n = utf8_prefix(s, QUOTE_MAX, TEXT_POINTS);
    bool cut = n < s.n;
    for (s = str_head(s, n); s.n;) {
        buf_add_cstr(to, "> ");
        buf_add(to, str_cut(&s, '\n'));
        if (!s.n && cut) buf_add_cstr(to, " …");
        buf_add_char(to, '\n');
    }
}

static size_t count_words(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool space = (unsigned char)s.p[i] <= ' ';
        n += !space && (i == 0 || (unsigned char)s.p[i - 1] <= ' ');
    }
    return n;
}

static void answer(const struct model *m, const struct model_ask *ask, struct buf *ret)
{
    (void)m;
    struct str question = last_question(ask);
    buf_add_cstr(ret, "I am only a **demo**: no language model is configured yet, so I cannot "
                      "think about what you wrote. It arrived safely, though:\n\n");
    quote(ret, question);
    buf_addf(ret,
             "\nThat is %zu words, about %" PRId64 " tokens; with it came %zu earlier messages as "
             "context.\n\n",
             count_words(question), tokens_estimate(question), count_earlier(ask));
    buf_add_cstr(ret,
                 "To talk to a real model, choose one of these and start me again:\n\n"
                 "1. Set `OPENAI_API_KEY` in the environment; with `OPENAI_BASE_URL` and "
                 "`OPENAI_MODEL` for any other OpenAI-compatible server.\n"
                 "2. Run Ollama on this machine: `ollama pull llama3.2`. I find it by myself.\n"
                 "3. List your models in the configuration file:\n\n"
                 "```\n"
                 "models = ( { name = \"gpt\"; type = \"openai\"; model = \"gpt-4o-mini\";\n"
                 "             api_key = \"env:OPENAI_API_KEY\"; } );\n"
                 "```\n");
}

static const struct conf_field no_fields[] = { CONF_END };

const struct model_type model_demo = {
    .name = "demo",
    .help = "No model at all: says so, and how to get one.",
    .fields = no_fields,
    .is_local = true,
    .size = sizeof(struct model),
    .local = answer,
};
