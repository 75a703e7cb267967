/*
 * Heaps and lists: order under random operations.
 */
#include "core/base/heap.h"
#include "core/base/list.h"
#include "core/base/rand.h"

#include <criterion/criterion.h>

#define N_NODES 2000

static struct heap_node nodes[N_NODES];

static void check(const struct heap *h)
{
    for (size_t i = 2; i <= h->n; i++) {
        const struct heap_node *up = h->v[i / 2], *down = h->v[i];
        cr_assert_eq(down->at, i);
        cr_assert(up->key < down->key || (up->key == down->key && up->tie < down->tie));
    }
}

Test(heap, empty)
{
    struct heap h;
    struct heap_node never_in = { 0 };
    heap_init(&h);
    cr_expect_null(heap_min(&h));
    heap_drop(&h, &never_in);
    heap_done(&h);
}

Test(heap, random_pushes_and_drops)
{
    struct heap h;
    heap_init(&h);
    for (int round = 0; round < 20000; round++) {
        struct heap_node *node = &nodes[rand_below(N_NODES)];
        if (node->at)
            heap_drop(&h, node);
        else
            heap_push(&h, node, rand_below(50));
        if (round % 500 == 0) check(&h);
    }
    check(&h);

    uint64_t key = 0, tie = 0;
    for (struct heap_node *min; (min = heap_min(&h)); heap_drop(&h, min)) {
        cr_assert(min->key > key || (min->key == key && min->tie >= tie));
        key = min->key;
        tie = min->tie;
    }
    for (size_t i = 0; i < N_NODES; i++) cr_assert_eq(nodes[i].at, 0u);
    heap_done(&h);
}

Test(heap, ties_in_order_of_arrival)
{
    struct heap h;
    heap_init(&h);
    for (size_t i = 0; i < 100; i++) heap_push(&h, &nodes[i], i % 2 ? UINT64_MAX : 0);
    for (size_t i = 0; i < 100; i++) {
        struct heap_node *min = heap_min(&h);
        cr_assert_eq(min, &nodes[i < 50 ? 2 * i : 2 * (i - 50) + 1]);
        heap_drop(&h, min);
        heap_drop(&h, min);
    }
    heap_done(&h);
}

Test(heap, done_lets_go)
{
    struct heap h;
    heap_init(&h);
    heap_push(&h, &nodes[0], 1);
    heap_done(&h);
    cr_expect_eq(nodes[0].at, 0u);
    heap_push(&h, &nodes[0], 1);
    cr_expect_eq(heap_min(&h), &nodes[0]);
    heap_done(&h);
}

struct item {
    int v;
    struct list link;
};

Test(list, push_drop_move)
{
    struct list a = LIST_INIT(a), b = LIST_INIT(b);
    struct item items[4] = { { .v = 0 }, { .v = 1 }, { .v = 2 }, { .v = 3 } };
    list_move_all(&a, &b);
    cr_expect(list_empty(&a));
    for (int i = 0; i < 4; i++) list_push(i < 2 ? &a : &b, &items[i].link);
    list_move_all(&a, &b);
    cr_expect(list_empty(&b));

    int want = 0;
    list_each (it, next, &a) {
        struct item *item = container_of(it, struct item, link);
        cr_expect_eq(item->v, want++);
        list_drop(it);
        list_drop(it);
    }
    cr_expect_eq(want, 4);
    cr_expect(list_empty(&a));
}
