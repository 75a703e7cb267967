/*
 * Maps: against a plain array under random puts and drops; growth; emptying; walking.
 */
#include "core/base/map.h"
#include "core/base/rand.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define N_ITEMS 5000

struct item {
    char key[16];
    bool in;
    struct map_node node;
};

static struct item items[N_ITEMS];

static void make_items(void)
{
    for (size_t i = 0; i < N_ITEMS; i++) snprintf(items[i].key, sizeof(items[i].key), "k%zu", i);
}

static void check_all(const struct map *m)
{
    for (size_t i = 0; i < N_ITEMS; i++) {
        struct map_node *n = map_get(m, str_of(items[i].key));
        cr_assert_eq(n, items[i].in ? &items[i].node : NULL, "item %zu", i);
    }
}

Test(map, empty)
{
    struct map m;
    map_init(&m);
    cr_expect_null(map_get(&m, STR("x")));
    cr_expect_null(map_any(&m));
    map_done(&m);
}

Test(map, random_puts_and_drops)
{
    struct map m;
    size_t n = 0;
    make_items();
    map_init(&m);
    for (int round = 0; round < 40000; round++) {
        struct item *it = &items[rand_below(N_ITEMS)];
        if (it->in)
            map_drop(&m, &it->node);
        else
            map_put(&m, &it->node, str_of(it->key));
        it->in = !it->in;
        n += it->in ? 1 : SIZE_MAX;
        cr_assert_eq(m.n, n);
        cr_assert_leq(m.n, m.n_slots / 4 * 3);
        if (round % 10000 == 0) check_all(&m);
    }
    check_all(&m);

    struct map_node *node;
    while ((node = map_any(&m))) {
        struct item *it = container_of(node, struct item, node);
        cr_assert(it->in);
        it->in = false;
        map_drop(&m, node);
    }
    cr_expect_eq(m.n, 0u);
    check_all(&m);

    /* What is put behind the place where map_any looks next is found, too. */
    map_put(&m, &items[0].node, STR("a"));
    map_put(&m, &items[1].node, STR("b"));
    cr_expect_not_null(map_any(&m));
    map_drop(&m, map_any(&m));
    map_drop(&m, map_any(&m));
    cr_expect_null(map_any(&m));
    map_done(&m);
}

Test(map, keys_are_bytes)
{
    struct map m;
    struct map_node a, b, none;
    map_init(&m);
    map_put(&m, &a, STR("x\0y"));
    map_put(&m, &b, STR("x\0z"));
    map_put(&m, &none, STR_NONE);
    cr_expect_eq(map_get(&m, STR("x\0z")), &b);
    cr_expect_eq(map_get(&m, str_from(NULL, 0)), &none);
    cr_expect_null(map_get(&m, STR("x")));
    for (size_t n = 0; n < 40; n++) { /* every length of SipHash's tail */
        struct map_node node;
        struct str key = str_from("................................................", n + 1);
        map_put(&m, &node, key);
        cr_assert_eq(map_get(&m, key), &node);
        map_drop(&m, &node);
        cr_assert_null(map_get(&m, key));
    }
    map_done(&m);
}

struct walk {
    struct map *m;
    size_t n_seen;
};

static void drop_odd(struct map_node *node, void *ctx)
{
    struct walk *w = ctx;
    struct item *it = container_of(node, struct item, node);
    w->n_seen++;
    if ((it - items) % 2 == 0) return;
    it->in = false;
    map_drop(w->m, node);
}

Test(map, walk_may_drop)
{
    struct map m;
    struct walk w = { .m = &m };
    make_items();
    map_init(&m);
    for (size_t i = 0; i < 1000; i++) {
        map_put(&m, &items[i].node, str_of(items[i].key));
        items[i].in = true;
    }
    map_walk(&m, drop_odd, &w);
    cr_expect_eq(w.n_seen, 1000u);
    cr_expect_eq(m.n, 500u);
    check_all(&m);
    map_done(&m);
}
