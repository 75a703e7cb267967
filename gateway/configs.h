/*
 * configs - what admins configure at run time, over what the file says: models, routes, budgets and
 * chat, each with an active version in PostgreSQL or none.
 *
 * models, routes   entries replace those of the file that have the same name; others come behind
 * budgets          the list stands in place of the file's
 * chat             the keys it has stand in place of the file's
 *
 * All processes look when one of them has changed something, and every few seconds. What a process
 * cannot apply (a variable of the environment is not there) it refuses, says so once, and keeps
 * what was in force. Turns that run keep the models they began with.
 */
#pragma once
#include "core/base/json.h"
#include "core/cache/watch.h"
#include "gateway/app.h"

#define CONFIGS_PUSH "parley:config"

enum { CONFIG_MODELS, CONFIG_ROUTES, CONFIG_BUDGETS, CONFIG_CHAT, CONFIG_TYPES };
extern const char *const config_types[]; /* their names, NULL-terminated */

struct config_layer {
    int64_t version; /* 0 = the file alone */
    char *content;   /* JSON; NULL with version 0 */
};

struct configs {
    struct app *app;
    struct watch watch;
    struct pg_rows rows;
    const struct settings *file; /* of the last reload */
    struct config_layer layers[CONFIG_TYPES];
    struct config_refusal {
        int64_t version; /* that was not applied here; -1 = none is refused */
        char why[ERR_MSG_MAX];
    } refused[CONFIG_TYPES];
    char *revision;           /* that was looked at last */
    bool anew;                /* look at it once more */
    struct config_kept *kept; /* strings that turns may still read */
    char label[160];          /* JSON: which versions are in force, for receipts */
};

/* Nothing is looked at before configs_load. */
void configs_open(struct configs *c, struct app *app);
void configs_close(struct configs *c);
/* After the last turn. */
void configs_free(struct configs *c);
/*
 * Apply what is active, and keep looking from now on. Migrations are through.
 * op   fails as pg_query does; what is refused is no failure
 */
void configs_load(struct configs *c, struct op *op);
/* SIGHUP: the same over another file, which stays alive. ERR_CONF: nothing has changed. */
enum err_kind configs_reload(struct configs *c, const struct settings *file, struct err *why);
/*
 * Could this process apply it, together with what else is active? Changes nothing.
 * type     one of config_types; "" = what is active, and no content
 * active   an object, by type, of the contents that are active in the database: newer, maybe, than
 *          what is in force here
 * ERR_CONF: the text names the key; "models:2" is the second entry
 */
enum err_kind configs_check(struct configs *c, struct str type, struct json *content,
                            struct json *active, struct err *why);
/* What is in force in this process, and what it refuses: an array, an object a type. */
void configs_state(const struct configs *c, struct json_out *to);
