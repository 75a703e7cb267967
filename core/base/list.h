/*
 * list - intrusive doubly linked ring. A dropped node is linked to itself, so dropping twice is
 * harmless.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *head, struct list *n) /* at the end */
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

static inline void list_drop(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

static inline size_t list_length(const struct list *head) /* walks it */
{
    size_t n = 0;
    for (const struct list *it = head->next; it != head; it = it->next) n++;
    return n;
}

/* Move all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define list_first(head, type, member)  container_of((head)->next, type, member)
/* `it` and `next_` are struct list *; `it` may be dropped in the body. */
#define list_each(it, next_, head)                                        \
    for (struct list *it = (head)->next, *next_ = it->next; it != (head); \
         it = next_, next_ = it->next)
