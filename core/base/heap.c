/*
 * heap - binary min-heap of embedded nodes, each of which knows its place, so that any can be
 * dropped.
 */
#include "core/base/heap.h"

#include "core/base/mem.h"

#include <assert.h>

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put(struct heap *h, size_t at, struct heap_node *node)
{
    h->v[at] = node;
    node->at = at;
}

/* Both move a hole at `at` to where `node` belongs. */
static void sift_up(struct heap *h, size_t at, struct heap_node *node)
{
    for (; at > 1 && before(node, h->v[at / 2]); at /= 2) put(h, at, h->v[at / 2]);
    put(h, at, node);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *node)
{
    for (size_t child; (child = at * 2) <= h->n; at = child) {
        if (child < h->n && before(h->v[child + 1], h->v[child])) child++;
        if (!before(h->v[child], node)) break;
        put(h, at, h->v[child]);
    }
    put(h, at, node);
}

void heap_init(struct heap *h)
{
    *h = (struct heap){ 0 };
}

void heap_done(struct heap *h)
{
    for (size_t i = 1; i <= h->n; i++) h->v[i]->at = 0;
    free(h->v);
    heap_init(h);
}

void heap_push(struct heap *h, struct heap_node *node, uint64_t key)
{
    assert(node->at == 0);
    if (h->n + 1 >= h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->v = mem_grow(h->v, h->cap * sizeof(*h->v));
    }
    node->key = key;
    node->tie = h->next_tie++;
    sift_up(h, ++h->n, node);
}

void heap_drop(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    if (at == 0) return;
    node->at = 0;
    struct heap_node *last = h->v[h->n--];
    if (last == node) return;
    if (at > 1 && before(last, h->v[at / 2]))
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->n ? h->v[1] : NULL;
}
