/*
 * types - the backends there are, each in a file of its name, and what discover.c must know of them
 * to configure one by itself.
 */
#pragma once
#include "core/model/remote.h"

/* Any server that speaks OpenAI's chat completions. */
struct openai {
    struct remote remote; /* base_url: up to and including /v1 */
    const char *organization, *project;
    bool stream, stream_usage;
    int max_tokens_field;
    double temperature; /* < 0 = not sent */
    int embedding_format;
};
enum { OPENAI_MAX_COMPLETION_TOKENS, OPENAI_MAX_TOKENS, OPENAI_NO_MAX_TOKENS };

/* Ollama's own API. */
struct ollama {
    struct remote remote; /* base_url: without /api */
    bool stream;
    const char *keep_alive; /* "" = not sent */
    int think;
    double temperature; /* < 0 = not sent */
};

/* OpenAI's Responses API. */
struct responses {
    struct remote remote; /* base_url: up to and including /v1 */
    const char *organization, *project;
    bool stream, keep_reasoning;
    const char *reasoning_effort; /* "" = not sent */
    double temperature;           /* < 0 = not sent */
};

/* As model_type's: in a file of their own. */
enum err_kind gemini_embed_encode(const struct model *m, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why);
enum err_kind gemini_embed_read(struct json *doc, struct vectors *to, struct err *why);

/* Anthropic's Messages. */
struct anthropic {
    struct remote remote; /* base_url: up to and including /v1 */
    int version, thinking;
    bool stream, cache;
    double temperature; /* < 0 = not sent */
};
enum { ANTHROPIC_2023_06_01, ANTHROPIC_2026_10_21 };

/* Google's Gemini. */
struct gemini {
    struct remote remote; /* base_url: up to and including /v1beta */
    bool stream, picture_urls;
    int thinking;
    double temperature; /* < 0 = not sent */
};

/* Cohere's Chat. */
struct cohere {
    struct remote remote; /* base_url: up to and including /v2 */
    bool stream;
    int thinking, embedding_input;
    double temperature; /* < 0 = not sent */
};

extern const struct model_type model_anthropic, model_cohere, model_gemini;
extern const struct model_type model_openai, model_responses, model_ollama, model_demo;
