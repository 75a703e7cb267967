/* pg_rows: windows on a counted result, and its texts as values. */
#include "core/net/pg_impl.h"

#include "core/base/mem.h"

#include <assert.h>

static int columns(const struct pg_result *result)
{
    return result->pq ? PQnfields(result->pq) : result->n_columns;
}

/* p NULL: it is NULL. */
static struct str value(const struct pg_rows *r, int row, int col)
{
    const struct pg_result *result = r->result;
    assert(row >= 0 && row < r->n && col >= 0 && col < columns(result));
    row += r->first;
    if (!result->pq) return result->values[row * result->n_columns + col];
    if (PQgetisnull(result->pq, row, col)) return (struct str){ NULL, 0 };
    return str_from(PQgetvalue(result->pq, row, col), (size_t)PQgetlength(result->pq, row, col));
}

struct pg_result *pg_result_new(PGresult *take_pq)
{
    struct pg_result *r = mem_new(struct pg_result);
    r->refs = 1;
    r->pq = take_pq;
    return r;
}

void pg_result_drop(struct pg_result *r)
{
    if (!r || --r->refs > 0) return;
    PQclear(r->pq); /* NULL is fine */
    free(r);
}

void pg_rows_set(struct pg_rows *rows, struct pg_result *r, int first, int n)
{
    pg_rows_done(rows);
    rows->first = first;
    rows->n = n;
    if (n == 0) return; /* a window without rows keeps nothing alive */
    rows->result = r;
    r->refs++;
}

void pg_rows_done(struct pg_rows *r)
{
    pg_result_drop(r->result);
    *r = (struct pg_rows){ 0 };
}

void pg_rows_own(struct pg_rows *r)
{
    if (r->n == 0) return;
    int n_columns = columns(r->result), n = r->n * n_columns;
    size_t bytes = sizeof(struct pg_result) + (size_t)n * sizeof(struct str);
    for (int i = 0; i < n; i++) bytes += value(r, i / n_columns, i % n_columns).n + 1;
    struct pg_result *own = mem_alloc(bytes);
    *own = (struct pg_result){ .refs = 1, .n_columns = n_columns };
    char *to = (char *)&own->values[n];
    for (int i = 0; i < n; i++) {
        struct str s = value(r, i / n_columns, i % n_columns);
        if (!s.p) continue;
        own->values[i] = str_from(memcpy(to, s.p, s.n), s.n);
        to += s.n + 1;
    }
    pg_result_drop(r->result);
    r->result = own;
    r->first = 0;
}

bool pg_rows_null(const struct pg_rows *r, int row, int col)
{
    return !value(r, row, col).p;
}

struct str pg_rows_str(const struct pg_rows *r, int row, int col)
{
    struct str s = value(r, row, col);
    return s.p ? s : STR_NONE;
}

int64_t pg_rows_i64(const struct pg_rows *r, int row, int col)
{
    int64_t i = 0;
    str_i64(pg_rows_str(r, row, col), &i);
    return i;
}

double pg_rows_f64(const struct pg_rows *r, int row, int col)
{
    /* libpq ends every value with a NUL; "" gives 0. */
    return strtod(pg_rows_str(r, row, col).p, NULL);
}

bool pg_rows_bool(const struct pg_rows *r, int row, int col)
{
    return str_eq(pg_rows_str(r, row, col), STR("t"));
}

struct uuid pg_rows_uuid(const struct pg_rows *r, int row, int col)
{
    struct uuid u = { { 0 } };
    uuid_parse(pg_rows_str(r, row, col), &u);
    return u;
}
