/*
 * map - chained hash map of embedded nodes; SipHash-1-3 under a random key, so that nobody can
 * choose collisions.
 */
#include "core/base/map.h"

#include "core/base/mem.h"
#include "core/base/rand.h"

#include <assert.h>

#define FIRST_SLOTS 16 /* a power of two, as every size after it */

static uint64_t sip_key[2];
static bool sip_keyed;

static uint64_t rotate(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_of(struct str key)
{
    if (!sip_keyed) {
        rand_bytes(sip_key, sizeof(sip_key));
        sip_keyed = true;
    }
    uint64_t v[4] = {
        sip_key[0] ^ 0x736f6d6570736575,
        sip_key[1] ^ 0x646f72616e646f6d,
        sip_key[0] ^ 0x6c7967656e657261,
        sip_key[1] ^ 0x7465646279746573,
    };
    size_t at = 0;
    for (uint64_t word; key.n - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, key.p + at, sizeof(word));
        sip_word(v, word);
    }
    uint64_t tail = (uint64_t)key.n << 56;
    for (int shift = 0; at < key.n; at++, shift += 8)
        tail |= (uint64_t)(unsigned char)key.p[at] << shift;
    sip_word(v, tail);

    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t slot_of(const struct map *m, uint64_t hash)
{
    return (size_t)hash & (m->n_slots - 1);
}

static void grow(struct map *m)
{
    struct map bigger = { .n_slots = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS };
    bigger.slots = mem_new_array(struct map_node *, bigger.n_slots);
    for (size_t i = 0; i < m->n_slots; i++) {
        for (struct map_node *n = m->slots[i], *next; n; n = next) {
            size_t slot = slot_of(&bigger, n->hash);
            next = n->next;
            n->next = bigger.slots[slot];
            bigger.slots[slot] = n;
        }
    }
    bigger.n = m->n;
    free(m->slots);
    *m = bigger;
}

void map_init(struct map *m)
{
    *m = (struct map){ 0 };
}

void map_done(struct map *m)
{
    free(m->slots);
    map_init(m);
}

struct map_node *map_get(const struct map *m, struct str key)
{
    if (m->n == 0) return NULL;
    uint64_t hash = hash_of(key);
    struct map_node *n = m->slots[slot_of(m, hash)];
    while (n && (n->hash != hash || !str_eq(n->key, key))) n = n->next;
    return n;
}

void map_put(struct map *m, struct map_node *node, struct str key)
{
    assert(!map_get(m, key));
    if (m->n >= m->n_slots / 4 * 3) grow(m);
    node->key = key;
    node->hash = hash_of(key);
    size_t slot = slot_of(m, node->hash);
    node->next = m->slots[slot];
    m->slots[slot] = node;
    m->n++;
    if (slot < m->first) m->first = slot;
}

void map_drop(struct map *m, struct map_node *node)
{
    assert(m->n > 0);
    struct map_node **link = &m->slots[slot_of(m, node->hash)];
    while (*link != node) link = &(*link)->next;
    *link = node->next;
    node->next = NULL;
    m->n--;
}

struct map_node *map_any(struct map *m)
{
    if (m->n == 0) return NULL;
    while (!m->slots[m->first]) m->first++;
    return m->slots[m->first];
}

void map_walk(struct map *m, void (*each)(struct map_node *node, void *ctx), void *ctx)
{
    for (size_t i = 0; i < m->n_slots; i++) {
        for (struct map_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            each(n, ctx);
        }
    }
}
