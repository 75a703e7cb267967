/*
 * reuse - the same question to the same model is answered with the same answer, when the
 * configuration wants that (chat.cache). Same is what has the same key: a hash of everything that
 * decides the answer, and of whom it is for.
 */
#pragma once
#include "core/base/arena.h"
#include "core/loop/flow.h"
#include "core/model/model.h"

#define REUSE_KEY_MAX 65 /* hex of SHA-256, and a NUL */

enum reuse_scope { REUSE_OFF, REUSE_PERSON, REUSE_CHANNEL };
extern const char *const reuse_scope_words[]; /* by enum reuse_scope, NULL-terminated */

/* Part of a turn. */
struct reuse {
    struct str key;            /* "" = this answer is not kept */
    const struct model *model; /* the key is of its answers only */
    struct str made_at;        /* "" = the answer does not come from here */
};

/*
 * The key of an answer. Pure.
 * scope    whom the answer is for: "person:ID" or "channel:NAME"
 * ret      set on success
 * False: no answer may be kept, for a picture is known by its address only, where another may be
 * tomorrow; or the question is too long.
 */
bool reuse_key(const struct model *m, const struct model_ask *ask, struct str scope,
               char ret[REUSE_KEY_MAX]);

struct turn;

/* A step of the turn, before anything is paid: look it up. */
enum flow_rc reuse_start(struct flow *f);
/* True: the turn's reply is what was found. */
bool reuse_found(struct turn *t);
/* After the reply is kept: remember a complete answer, in the background. */
void reuse_keep(struct turn *t);
