/* vectors: see vectors.h. */
#include "core/model/vectors.h"
#include "core/base/mem.h"
#include <math.h>

#define DIMENSIONS_MAX 16384

void vectors_init(struct vectors *v, size_t n, struct model_vectors *to)
{
    *v = (struct vectors){ .to = to };
    *to = (struct model_vectors){ .n = n };
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: no base64. */
static bool base64_bytes(struct str s, uint8_t *to)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        int value = base64_value(s.p[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        *to++ = (uint8_t)(bits >> n_bits);
    }
    return n_bits < 6;
}

/* The bytes that `s` stands for; padding is cut off. */
static size_t base64_length(struct str *s)
{
    for (int i = 0; i < 2 && str_ends(*s, STR("=")); i++) s->n--;
    return s->n * 3 / 4;
}

static enum err_kind no_vector(struct err *why, size_t i)
{
    return err_set(why, ERR_PROTO, "vector %zu is none", i);
}

/* The first tells how long all are. */
static enum err_kind fits(struct vectors *v, size_t i, size_t n, struct err *why)
{
    struct model_vectors *to = v->to;
    if (!n || n > DIMENSIONS_MAX)
        return err_set(why, ERR_PROTO, "vector %zu has %zu dimensions", i, n);
    if (!to->v) {
        to->dimensions = n;
        to->v = mem_new_array(float, to->n *n);
    }
    if (n == to->dimensions) return ERR_NONE;
    return err_set(why, ERR_PROTO, "vector %zu has %zu dimensions, others have %zu", i, n,
                   to->dimensions);
}

static enum err_kind put_array(struct vectors *v, size_t i, struct json *array, struct err *why)
{
    size_t n = json_length(array);
    enum err_kind kind = fits(v, i, n, why);
    if (kind != ERR_NONE) return kind;
    float *to = v->to->v + i * n;
    for (size_t k = 0; k < n; k++) {
        double d;
        if (!json_f64(json_at(array, k), &d) || !isfinite((float)d)) return no_vector(why, i);
        to[k] = (float)d;
    }
    return ERR_NONE;
}

static float little_endian(const uint8_t *p)
{
    uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static enum err_kind put_base64(struct vectors *v, size_t i, struct str text, struct err *why)
{
    size_t n_bytes = base64_length(&text), n = n_bytes / sizeof(float);
    if (n_bytes % sizeof(float)) return no_vector(why, i);
    enum err_kind kind = fits(v, i, n, why);
    if (kind != ERR_NONE) return kind;
    _cleanup_(mem_free_p) char *held = mem_alloc(n_bytes);
    uint8_t *bytes = (uint8_t *)held;
    float *to = v->to->v + i * n;
    if (!base64_bytes(text, bytes)) return no_vector(why, i);
    for (size_t k = 0; k < n; k++) {
        to[k] = little_endian(bytes + k * sizeof(float));
        if (!isfinite(to[k])) return no_vector(why, i);
    }
    return ERR_NONE;
}

enum err_kind vectors_put(struct vectors *v, size_t i, struct json *value, struct err *why)
{
    struct str text;
    if (i >= v->to->n) return err_set(why, ERR_PROTO, "more vectors than the %zu texts", v->to->n);
    if (v->have[i]) return err_set(why, ERR_PROTO, "vector %zu came twice", i);
    v->have[i] = true;
    v->n_have++;
    if (json_str(value, &text)) return put_base64(v, i, text, why);
    return json_is_array(value) ? put_array(v, i, value, why) : no_vector(why, i);
}

enum err_kind vectors_check(const struct vectors *v, struct err *why)
{
    if (v->n_have == v->to->n) return ERR_NONE;
    return err_set(why, ERR_PROTO, "%zu vectors for %zu texts", v->n_have, v->to->n);
}
