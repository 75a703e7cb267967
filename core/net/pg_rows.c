/* pg_rows: windows on a counted result, and its texts as values. */
#include "core/net/pg_impl.h"

#include "core/base/mem.h"

#include <assert.h>

static const PGresult *cell(const struct pg_rows *r, int row, int col)
{
    (void)row;
    (void)col; /* looked at by the assert only */
    assert(row >= 0 && row < r->n && col >= 0 && col < PQnfields(r->result->pq));
    return r->result->pq;
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
    PQclear(r->pq);
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

bool pg_rows_null(const struct pg_rows *r, int row, int col)
{
    return PQgetisnull(cell(r, row, col), r->first + row, col);
}

struct str pg_rows_str(const struct pg_rows *r, int row, int col)
{
    const PGresult *pq = cell(r, row, col);
    return str_from(PQgetvalue(pq, r->first + row, col),
                    (size_t)PQgetlength(pq, r->first + row, col));
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
