/*
 * admin - the admin API: REST and JSON under /admin/v1, for `parley` itself and for programs. Its
 * operations are tables (op.h); this opens the routes to them.
 */
#pragma once
#include "gateway/app.h"

#define ADMIN_PATH     "/admin/v1"
#define ADMIN_METHODS  5
#define ADMIN_BODY_MAX (256u << 10)

struct admin {
    struct app *app;
    struct http_route routes[ADMIN_METHODS];
    struct list calls;                  /* struct admin_call.flow.link */
    void (*drain)(struct admin *admin); /* as SIGTERM does */
};

/* app->server listens. Without admin.secret every path answers 404 and says why. */
void admin_open(struct admin *admin, struct app *app);
void admin_close(struct admin *admin);

/* The description of all operations, OpenAPI 3.1, as JSON. False: `to` is full. */
bool admin_openapi(struct buf *to);

struct admin_op;
/*
 * Which operation a request means.
 * path     behind /admin/v1, decoded
 * parts    filled with what stands for the {names} of its path
 * allow    NULL is returned: the methods that the path knows; "" = there is no such path
 */
const struct admin_op *admin_find(struct str method, struct str path, struct str parts[4],
                                  struct buf *allow);
