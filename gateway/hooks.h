/*
 * hooks - POST /hooks/NAME: where other programs bring their news. Channels have /hooks/TYPE/NAME.
 */
#pragma once
#include "core/hook/in.h"

struct admin;

struct hooks {
    struct admin *admin;
    struct hook_door door;
    struct http_route route;
    const bool *ready;
    bool open;
};

/*
 * The server listens, and admin is open. Without admin.secret there are no webhooks: 404.
 * ready    borrowed; until it is true, the answer is 503
 */
void hooks_open(struct hooks *hooks, struct admin *admin, const bool *ready);
void hooks_close(struct hooks *hooks);
