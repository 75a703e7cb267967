/* hooks: the route; the rest is core/hook/in.c. */
#include "gateway/hooks.h"
#include "gateway/admin/key.h"

#define HOOKS_PATH "/hooks/"

static void on_request(struct http_route *route, struct http_in *in)
{
    struct hooks *hooks = container_of(route, struct hooks, route);
    struct str name = str_skip(in->path, sizeof HOOKS_PATH - 1);
    struct str given = http_in_header(in, "Authorization");
    struct key_parts key = { STR_NONE, STR_NONE };
    struct arena arena;
    if (!*hooks->ready) {
        http_answer_error(in, 503, "starting, try again");
        return;
    }
    arena_init(&arena);
    if (str_starts_nocase(given, STR("Bearer ")))
        key_parts(&arena, hooks->admin, str_trim(str_skip(given, 7)), &key);
    hooks->door.rate_per_minute = hooks->admin->app->settings->admin.rate_per_minute;
    hook_in_begin(&hooks->door, in, name, key.hash, key.prefix);
    arena_done(&arena);
}

void hooks_open(struct hooks *hooks, struct admin *admin, const bool *ready)
{
    const char *secret = admin->app->settings->admin.secret;
    *hooks = (struct hooks){ .admin = admin, .ready = ready, .open = *secret != '\0' };
    if (!hooks->open) return;
    hook_door_open(&hooks->door, &admin->app->chat, str_of(secret));
    hooks->route = (struct http_route){
        .method = "POST", .path = HOOKS_PATH "*", .handle = on_request, .body_max = HOOK_BODY_MAX
    };
    list_init(&hooks->route.link);
    http_route_add(admin->app->server, &hooks->route);
}

void hooks_close(struct hooks *hooks)
{
    if (!hooks->open) return;
    http_route_drop(&hooks->route);
    hook_door_close(&hooks->door);
}
