/* find: from method and path to the operation. Pure. */
#include "gateway/admin/admin.h"
#include "gateway/admin/op.h"
#include <stdio.h>

bool admin_takes_body(const struct admin_op *op)
{
    return strcmp(op->method, "GET") != 0 && strcmp(op->method, "DELETE") != 0;
}

bool admin_in_path(const struct admin_op *op, const char *name)
{
    char braced[64];
    snprintf(braced, sizeof braced, "{%s}", name);
    return strstr(op->path, braced) != NULL;
}

/* How many {names} were filled; -1: the path is another one. */
static int fit(const char *pattern, struct str path, struct str parts[4])
{
    struct str want = str_of(pattern);
    int n = 0;
    while (want.n || path.n) {
        struct str name = str_cut(&want, '/'), have = str_cut(&path, '/');
        if (str_starts(name, STR("{"))) {
            if (have.n == 0 || n == 4) return -1;
            parts[n++] = have;
        } else if (!str_eq(name, have)) {
            return -1;
        }
        if ((want.n == 0) != (path.n == 0)) return -1;
    }
    return n;
}

const struct admin_op *admin_find(struct str method, struct str path, struct str parts[4],
                                  struct buf *allow)
{
    const struct admin_op *best = NULL;
    int best_n = 5; /* a path that names more by itself goes first */
    for (const struct admin_op *const *table = admin_ops; *table; table++) {
        for (const struct admin_op *op = *table; op->id; op++) {
            struct str filled[4];
            int n = fit(op->path, path, filled);
            if (n < 0) continue;
            if (!str_eq(str_of(op->method), method)) {
                buf_addf(allow, "%s%s", allow->n ? ", " : "", op->method);
            } else if (n < best_n) {
                best = op;
                best_n = n;
                memcpy(parts, filled, sizeof filled);
            }
        }
    }
    return best;
}
