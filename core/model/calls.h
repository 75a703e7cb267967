/*
 * calls - tool calls that arrive in fragments, put together. Servers differ: some send a call at
 * once, some leave out the index, repeat the name, or give no id; what misses is made up. Pure.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/json.h"
#include "core/model/model.h"

#define CALLS_MAX          32
#define CALL_ARGUMENTS_MAX (256 * 1024)

struct calls {
    struct calls_one {
        int64_t index; /* as the server counts */
        struct buf id, name, arguments;
    } * v; /* CALLS_MAX of them, once one has begun: few answers have any */
    size_t n;
};

void calls_init(struct calls *c); /* none has begun; then calls_done */
void calls_done(struct calls *c);
/*
 * index       which call; -1: the server does not count (a new id or name begins a new call)
 * id, name    "" = not in this fragment; the first of each is kept
 * arguments   the next part of a JSON text
 * ERR_PROTO: too many calls, or too long ones.
 */
enum err_kind calls_add(struct calls *c, int64_t index, struct str id, struct str name,
                        struct str arguments, struct err *why);
/* The same from {"id","function":{"name","arguments"}}, where arguments is a text or an object. */
enum err_kind calls_add_function(struct calls *c, int64_t index, struct json *call,
                                 struct err *why);
/* The call that the server counts so; NULL: none has begun. */
struct calls_one *calls_at(struct calls *c, int64_t index);
/* Hand all of them to the sink, in the order of their beginnings, and forget them. Arguments that
 * are empty become "{}". Arguments that are no JSON are handed on as they are. */
void calls_end(struct calls *c, struct model_sink *sink);
/* For servers that want arguments back as an object: what the model wrote, if it is one, else an
 * object with its words. The text itself, or from `arena`. */
struct str calls_object(struct str arguments, struct arena *arena);
/* Is it an id that calls_end made up? A server that gives none need not take any. */
bool calls_made_up(struct str id);
