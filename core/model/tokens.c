/*
 * tokens - how many tokens a text has, without a tokenizer.
 *
 * Each run of characters costs by its class: ASCII letters a token for six, rounded up; digits one
 * for three, rounded up; a line break or a run of several spaces one; other ASCII 3/4; U+0080-024F
 * (accented Latin) 1/2; U+0250-06FF (Greek, Cyrillic, Hebrew, Arabic) 1/3; U+3000-FAFF (Chinese,
 * Japanese, Korean) 4/5; the rest 3/2. A single space belongs to the word behind it. Against
 * o200k_base, estimate / truth: English 64/52, chat 27/25, German 34/33, French 36/33, Russian
 * 30/25, Chinese 43/44, Japanese 38/35, Arabic 25/29, C 63/67, hex 42/43, emoji 22/25, JSON 71/51,
 * URL 37/29. Use x 1.15 where being under would hurt. A chat request adds 4 for each message
 * (measured: 3 and its role) and 3 for the reply.
 */
#include "core/base/utf8.h"
#include "core/model/model.h"

#define UNIT          60 /* a token, in sixtieths */
#define MESSAGE_EXTRA 4
#define REPLY_EXTRA   3

enum class { LETTER, DIGIT, SPACE, BREAK, OTHER };

static enum class class_of(uint32_t c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return LETTER;
    if (c >= '0' && c <= '9') return DIGIT;
    if (c == ' ' || c == '\t') return SPACE;
    return c == '\n' || c == '\r' ? BREAK : OTHER;
}

static int64_t cost_of_run(enum class class, size_t n)
{
    switch (class) {
    case LETTER: return (int64_t)((n + 5) / 6) * UNIT;
    case DIGIT: return (int64_t)((n + 2) / 3) * UNIT;
    case SPACE: return n > 1 ? UNIT : 0;
    case BREAK: return UNIT;
    default: return 0;
    }
}

static int64_t cost_of_point(uint32_t c)
{
    if (c < 0x80) return UNIT * 3 / 4;
    if (c < 0x250) return UNIT / 2;
    if (c < 0x700) return UNIT / 3;
    if (c >= 0x3000 && c < 0xFB00) return UNIT * 4 / 5;
    return UNIT * 3 / 2;
}

/* Bytes of the run of one class at the start of `s`. */
static size_t run_length(struct str s, enum class class)
{
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] < 0x80 && class_of((unsigned char)s.p[n]) == class) n++;
    return n;
}

int64_t tokens_estimate(struct str s)
{
    int64_t cost = 0;
    while (s.n) {
        uint32_t c = (unsigned char)s.p[0];
        size_t n = c < 0x80 ? 1 : utf8_decode(s, &c);
        enum class class = n ? class_of(c) : OTHER;
        if (class == OTHER) {
            cost += cost_of_point(n ? c : 0xFFFD);
        } else {
            n = run_length(s, class);
            cost += cost_of_run(class, n);
        }
        s = str_skip(s, n ? n : 1);
    }
    return (cost + UNIT - 1) / UNIT;
}

int64_t tokens_of_ask(const struct model_ask *ask)
{
    int64_t n = REPLY_EXTRA;
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *m = &ask->messages[i];
        n += tokens_estimate(m->text) + MESSAGE_EXTRA + (int64_t)m->n_pictures * TOKENS_A_PICTURE;
        for (size_t k = 0; k < m->n_calls; k++)
            n += tokens_estimate(m->calls[k].arguments) + MESSAGE_EXTRA;
    }
    for (size_t i = 0; i < ask->n_tools; i++)
        n += tokens_estimate(ask->tools[i].description) + tokens_estimate(ask->tools[i].schema) +
             MESSAGE_EXTRA;
    return n;
}
