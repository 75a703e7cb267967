/*
 * export - GET /export/TOKEN: what /export promised. The address works for an hour, as often as it
 * is asked for: previews of links are fetched by the platforms, too.
 */
#pragma once
#include "gateway/app.h"

struct export_route {
    struct app *app;
    struct http_route route;
    struct list open; /* struct download */
};

void export_open(struct export_route *e, struct app *app);
void export_close(struct export_route *e);
