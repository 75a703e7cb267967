/*
 * map - intrusive hash map with byte-string keys (SipHash: peers choose many of our keys).
 */
#pragma once
#include "core/base/list.h"
#include "core/base/str.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
    struct str key; /* borrowed: lives as long as the node is in the map */
};

struct map {
    struct map_node **slots;
    size_t n_slots, n;
    size_t first; /* no slot before it is in use: emptying by map_any stays linear */
};

void map_init(struct map *m);
void map_done(struct map *m); /* frees the table; the nodes are their owners' */

struct map_node *map_get(const struct map *m, struct str key);      /* NULL: not there */
void map_put(struct map *m, struct map_node *node, struct str key); /* key must not be there */
void map_drop(struct map *m, struct map_node *node);                /* must be there */

/* Any node, to empty a map: while ((n = map_any(m))) { map_drop(m, n); ... } */
struct map_node *map_any(struct map *m);
/* Call `each` for every node; it may drop only the node it is given, and put none. */
void map_walk(struct map *m, void (*each)(struct map_node *node, void *ctx), void *ctx);
