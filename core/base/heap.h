/*
 * heap - intrusive binary min-heap (timers). Ties come out in the order they went in.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    size_t at; /* 1-based position; 0 = not in a heap */
    uint64_t key, tie;
};

struct heap {
    struct heap_node **v; /* v[1..n] */
    size_t n, cap;
    uint64_t next_tie;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h);
void heap_push(struct heap *h, struct heap_node *node, uint64_t key); /* node not in a heap */
void heap_drop(struct heap *h, struct heap_node *node);               /* no-op when not in a heap */
struct heap_node *heap_min(const struct heap *h);                     /* NULL: empty */
