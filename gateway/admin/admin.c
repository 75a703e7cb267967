/* admin: the routes, and the section of the configuration. */
#include "gateway/admin/admin.h"
#include "core/base/log.h"
#include "gateway/admin/call.h"

#define FIELD(member) offsetof(struct admin_conf, member)

const struct conf_field admin_conf_fields[] = {
    { .key = "secret",
      .type = CONF_SECRET,
      .offset = FIELD(secret),
      .help =
          "Any long random text: keys and secrets in the database are worth nothing without it. "
          "Unset: there is no admin API." },
    { .key = "rate_per_minute",
      .type = CONF_INT,
      .offset = FIELD(rate_per_minute),
      .def = "600",
      .max = CACHE_RATE_MAX,
      .flags = CONF_RELOADABLE,
      .help = "Requests a minute of a key that has no limit of its own; 0 = no limit." },
    CONF_END,
};

static const char *const methods[ADMIN_METHODS] = { "GET", "POST", "PUT", "PATCH", "DELETE" };

static void refuse(struct http_in *in, int status, const char *title, const char *detail,
                   struct str allow)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(1000);
    struct http_header headers[] = { { STR("Content-Type"), STR("application/problem+json") },
                                     { STR("Allow"), allow } };
    struct json_out to = JSON_OUT(&body);
    json_open(&to, '{');
    json_field_str(&to, "type", STR("about:blank"));
    json_field_str(&to, "title", str_of(title));
    json_field_i64(&to, "status", status);
    json_field_str(&to, "detail", str_of(detail));
    json_close(&to, '}');
    http_answer_with(in, status, headers, allow.n ? 2 : 1, buf_str(&body));
}

static void on_request(struct http_route *route, struct http_in *in)
{
    struct admin *admin = NULL;
    struct str parts[4] = { { 0 } };
    _cleanup_(buf_done) struct buf allow = BUF_INIT(100);
    for (size_t i = 0; i < ADMIN_METHODS; i++)
        if (strcmp(route->method, methods[i]) == 0)
            admin = container_of(route, struct admin, routes[i]);
    if (!*admin->app->settings->admin.secret) {
        refuse(in, 404, "Not Found", "the admin API is off: set admin.secret in the configuration",
               STR_NONE);
        return;
    }
    struct str method = str_eq(in->method, STR("HEAD")) ? STR("GET") : in->method;
    struct str path = str_skip(in->path, sizeof ADMIN_PATH - 1);
    const struct admin_op *op = admin_find(method, path, parts, &allow);
    if (op)
        admin_call_begin(admin, op, in, parts);
    else if (allow.n)
        refuse(in, 405, "Method Not Allowed", "this path knows other methods", buf_str(&allow));
    else
        refuse(in, 404, "Not Found", "no such path: see " ADMIN_PATH "/openapi.json", STR_NONE);
}

void admin_open(struct admin *admin, struct app *app)
{
    admin->app = app;
    list_init(&admin->calls);
    for (size_t i = 0; i < ADMIN_METHODS; i++) {
        admin->routes[i] = (struct http_route){
            .method = methods[i],
            .path = ADMIN_PATH "/*",
            .handle = on_request,
            .body_max = ADMIN_BODY_MAX,
        };
        list_init(&admin->routes[i].link);
        http_route_add(app->server, &admin->routes[i]);
    }
}

void admin_close(struct admin *admin)
{
    for (size_t i = 0; i < ADMIN_METHODS; i++) http_route_drop(&admin->routes[i]);
    list_each (it, next, &admin->calls) {
        struct flow *f = container_of(it, struct flow, link);
        flow_stop(f, ERR_CANCELLED, "shutting down");
    }
}
