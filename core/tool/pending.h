/*
 * pending - requests whose answers come on a stream that all share, told apart by their ids: for
 * the wires that have but one way back.
 */
#pragma once
#include "core/tool/wire.h"

struct pendings {
    struct list list; /* struct pending */
    size_t n;
    /* An answer is not wanted any longer: `body` is the message that says so. */
    void (*on_cancel)(void *ctx, struct str body);
    void *ctx;
};
/* None waits. on_cancel is called with ctx when an op is cancelled or runs out of time. */
void pendings_init(struct pendings *p, void (*on_cancel)(void *ctx, struct str body), void *ctx);
bool pendings_full(const struct pendings *p); /* no more may wait: each has memory of ours */
/* Begins the op, with the ask's timeout. Not when it is full. */
void pendings_add(struct pendings *p, struct op *op, const struct wire_ask *ask,
                  struct wire_answer *ret);
/* Hand an answer to who waits for it; one that nobody waits for is dropped. Takes *m. */
void pendings_answer(struct pendings *p, struct rpc_message *m);
void pendings_fail(struct pendings *p, int64_t id, const struct err *why); /* if it waits still */
/* The stream is gone: nobody's answer will come. */
void pendings_fail_all(struct pendings *p, const struct err *why);
