/*
 * pg_value: parameters as PostgreSQL takes them. Numbers, booleans and ids are binary with their
 * type stated; a text goes as text with its type left to the server, so that $1::timestamptz or
 * $1::inet work; array elements are all binary.
 */
#include "core/net/pg_impl.h"

#include <endian.h>

enum { FORMAT_TEXT, FORMAT_BINARY };

/* pg_type.dat: these never change. */
static const struct {
    Oid oid, array_oid;
} oids[] = {
    [PG_TEXT] = { 25, 1009 }, [PG_UUID] = { 2950, 2951 }, [PG_INT] = { 20, 1016 },
    [PG_BOOL] = { 16, 1000 }, [PG_JSON] = { 3802, 3807 }, [PG_FLOAT] = { 701, 1022 },
};

#define JSONB_VERSION 1

static void put_32(char *to, int32_t v)
{
    uint32_t be = htobe32((uint32_t)v);
    memcpy(to, &be, sizeof(be));
}

static void put_64(char *to, uint64_t v)
{
    uint64_t be = htobe64(v);
    memcpy(to, &be, sizeof(be));
}

static uint64_t float_bits(double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static bool is_text(const struct pg_value *v)
{
    return v->type == PG_TEXT || v->type == PG_JSON;
}

/* Bytes of a value that is not text, in binary. */
static size_t put_scalar(char *to, const struct pg_value *v)
{
    switch (v->type) {
    case PG_UUID: memcpy(to, v->uuid.b, 16); return 16;
    case PG_BOOL: *to = v->i != 0; return 1;
    case PG_FLOAT: put_64(to, float_bits(v->f)); return 8;
    default: put_64(to, (uint64_t)v->i); return 8;
    }
}

static size_t scalar_size(enum pg_type type)
{
    return type == PG_UUID ? 16 : type == PG_BOOL ? 1 : 8;
}

static size_t scratch_size(const struct pg_value *values, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        if (!values[i].null)
            size += is_text(&values[i]) ? values[i].text.n + 1 : scalar_size(values[i].type);
    return size;
}

/* Put one value at `to`; returns where the next may go. */
static char *set_param(struct pg_params *p, int i, char *to, const struct pg_value *v)
{
    p->types[i] = v->type == PG_TEXT ? 0 : oids[v->type].oid;
    p->formats[i] = is_text(v) ? FORMAT_TEXT : FORMAT_BINARY;
    p->values[i] = v->null ? NULL : to;
    p->sizes[i] = 0;
    if (v->null) return to;
    if (!is_text(v)) {
        p->sizes[i] = (int)put_scalar(to, v);
        return to + p->sizes[i];
    }
    if (v->text.n > 0) memcpy(to, v->text.p, v->text.n);
    to[v->text.n] = '\0';
    return to + v->text.n + 1;
}

enum err_kind pg_params_set(struct pg_params *p, struct buf *scratch, const struct pg_value *values,
                            size_t n, struct err *why)
{
    if (n > PG_VALUES_MAX) return err_set(why, ERR_BUG, "pg: too many values");
    buf_clear(scratch);
    char *to = buf_room(scratch, scratch_size(values, n));
    if (!to) return err_set(why, ERR_LIMIT, "pg: values too large");
    p->n = (int)n;
    for (size_t i = 0; i < n; i++) {
        /* libpq would silently send what is before it. */
        if (is_text(&values[i]) && !values[i].null &&
            str_find_char(values[i].text, '\0') != SIZE_MAX)
            return err_set(why, ERR_REFUSED, "pg: value $%zu contains U+0000", i + 1);
        to = set_param(p, (int)i, to, &values[i]);
    }
    return ERR_NONE;
}

Oid pg_array_oid(enum pg_type type)
{
    return oids[type].array_oid;
}

void pg_array_head(char *to, enum pg_type type, size_t n)
{
    put_32(to, 1);     /* dimensions */
    put_32(to + 4, 1); /* may hold NULLs */
    put_32(to + 8, (int32_t)oids[type].oid);
    put_32(to + 12, (int32_t)n);
    put_32(to + 16, 1); /* lower bound */
}

size_t pg_element_size(const struct pg_value *v)
{
    if (v->null) return 4;
    if (v->type == PG_JSON) return 4 + 1 + v->text.n;
    return 4 + (v->type == PG_TEXT ? v->text.n : scalar_size(v->type));
}

void pg_element_put(char *to, const struct pg_value *v)
{
    put_32(to, v->null ? -1 : (int32_t)(pg_element_size(v) - 4));
    to += 4;
    if (v->null) return;
    if (!is_text(v)) {
        put_scalar(to, v);
        return;
    }
    if (v->type == PG_JSON) *to++ = JSONB_VERSION;
    if (v->text.n > 0) memcpy(to, v->text.p, v->text.n);
}
