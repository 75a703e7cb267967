/*
 * Copies a reply of hiredis into one block: first the elements of all arrays, then the bytes of all
 * strings. Ours outlives the callback, and no one above needs hiredis' headers.
 */
#include "core/net/redis_reply.h"
#include "core/base/mem.h"
#include <hiredis/hiredis.h>

struct block {
    struct redis_reply *nodes;
    char *bytes;
};

static bool has_text(const redisReply *from)
{
    return from->type == REDIS_REPLY_STRING || from->type == REDIS_REPLY_STATUS ||
           from->type == REDIS_REPLY_ERROR;
}

static void measure(const redisReply *from, size_t *n_nodes, size_t *n_bytes)
{
    if (has_text(from)) *n_bytes += from->len + 1;
    if (from->type != REDIS_REPLY_ARRAY) return;
    *n_nodes += from->elements;
    for (size_t i = 0; i < from->elements; i++) measure(from->element[i], n_nodes, n_bytes);
}

static void fill(struct block *block, const redisReply *from, struct redis_reply *to)
{
    *to = (struct redis_reply){ .type = REDIS_NIL, .s = STR_NONE };
    switch (from->type) {
    case REDIS_REPLY_INTEGER:
        to->type = REDIS_INT;
        to->i = from->integer;
        break;
    case REDIS_REPLY_STRING: to->type = REDIS_STRING; break;
    case REDIS_REPLY_STATUS: to->type = REDIS_STATUS; break;
    case REDIS_REPLY_ERROR: to->type = REDIS_ERROR; break;
    case REDIS_REPLY_ARRAY:
        to->type = REDIS_ARRAY;
        to->n = from->elements;
        to->v = block->nodes;
        block->nodes += from->elements;
        for (size_t i = 0; i < from->elements; i++) fill(block, from->element[i], &to->v[i]);
        break;
    default: break;
    }
    if (!has_text(from)) return;
    memcpy(block->bytes, from->str, from->len);
    to->s = str_from(block->bytes, from->len);
    block->bytes += from->len + 1;
}

void redis_reply_copy(const struct redisReply *reply, struct redis_reply *ret)
{
    size_t n_nodes = 0, n_bytes = 0;

    measure(reply, &n_nodes, &n_bytes);
    /* Never nothing, so that every pointer into it is one. */
    char *owner = mem_alloc(n_nodes * sizeof(struct redis_reply) + n_bytes + 1);
    struct block block = { .nodes = (struct redis_reply *)(void *)owner,
                           .bytes = owner + n_nodes * sizeof(struct redis_reply) };
    fill(&block, reply, ret);
    ret->owner = owner;
}

void redis_reply_done(struct redis_reply *reply)
{
    free(reply->owner);
    *reply = (struct redis_reply){ .type = REDIS_NIL, .s = STR_NONE };
}

int64_t redis_reply_int(const struct redis_reply *array, size_t i, int64_t otherwise)
{
    int64_t value;

    if (array->type != REDIS_ARRAY || i >= array->n) return otherwise;
    if (array->v[i].type == REDIS_INT) return array->v[i].i;
    return array->v[i].type == REDIS_STRING && str_i64(array->v[i].s, &value) ? value : otherwise;
}

struct str redis_reply_str(const struct redis_reply *array, size_t i)
{
    if (array->type != REDIS_ARRAY || i >= array->n || array->v[i].type != REDIS_STRING)
        return STR_NONE;
    return array->v[i].s;
}
