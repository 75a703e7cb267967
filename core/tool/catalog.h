/*
 * catalog - the tools of one server, as its tools/list says them, made fit for models. Pure.
 *
 * What a server writes is untrusted: everything is bounded, what does not fit is dropped with a
 * reason, and each definition has a hash, so that a changed one is noticed.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/model/model.h"

#define CATALOG_NAME_MAX    64  /* what every model's API takes */
#define CATALOG_DROPPED_MAX 16  /* reasons kept; further ones are only counted */
#define CATALOG_HEADERS_MAX 16  /* of one tool */
#define CATALOG_PATH_MAX    8   /* properties inside properties, to a mirrored parameter */
#define CATALOG_DEPTH_MAX   24  /* of a schema */
#define CATALOG_TOOL_NAME   128 /* bytes of a name, as the protocol has it */

struct catalog_limits {
    size_t pages, tools;
    size_t description; /* bytes; a longer one is cut */
    size_t schema;      /* bytes */
};

/* A parameter that is mirrored into an HTTP header ("x-mcp-header"). */
struct tool_header {
    struct str name; /* "Mcp-Param-Region" */
    struct str path[CATALOG_PATH_MAX];
    size_t n_path;
};

struct tool {
    struct str name;         /* what its server calls it */
    struct model_tool shown; /* what models see: server__tool */
    const struct tool_header *headers;
    size_t n_headers;
    /* Of name, description and schema, whole and as the server writes them, whatever the order of
     * members: kept in PostgreSQL, so to compute it otherwise makes all definitions changed ones.
     */
    uint8_t hash[32];
};

struct catalog {
    struct catalog_limits limits;
    const char *server;
    struct arena arena;
    struct tool *tools;
    size_t n, n_pages;
    struct str dropped[CATALOG_DROPPED_MAX]; /* "NAME: why" */
    size_t n_dropped;
    int64_t ttl_ms; /* how long it stays fresh, as the server says; -1 = it does not */
};

/* server   [A-Za-z0-9_-], lives as long as the catalog */
void catalog_init(struct catalog *c, const char *server, const struct catalog_limits *limits);
void catalog_done(struct catalog *c); /* its tools, and all that points into them, are gone */
/*
 * Take one result of tools/list.
 * ret_cursor  of the next page, in the catalog's memory; "" = this was the last one
 * ERR_PROTO: no list of tools. ERR_LIMIT: too many pages.
 */
enum err_kind catalog_page(struct catalog *c, struct json *result, struct str *ret_cursor,
                           struct err *why);
const struct tool *catalog_find(const struct catalog *c, struct str shown_name); /* NULL: none */

/*
 * The headers that mirror these arguments: at most CATALOG_HEADERS_MAX, in `arena`.
 * Returns how many.
 */
size_t tool_headers(const struct tool *t, struct json *arguments, struct arena *arena,
                    struct http_header *ret);
