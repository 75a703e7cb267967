/*
 * experiment - who gets which variant: pure. What experiments there are is in experiments.h.
 *
 * A variant is values of flags; the first one is the control and has none. It is chosen by a hash
 * of the experiment's salt and the unit (a conversation or a person), scaled by the weights; who
 * has one keeps it, also when the weights change.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/flag/flag.h"

#define EXPERIMENTS_MAX         16 /* that run at once */
#define EXPERIMENT_VARIANTS_MAX 10

struct experiment_value {
    enum flag_id id;
    struct flag_value value;
};

struct experiment_variant {
    struct str name;
    uint32_t weight;
    struct experiment_value v[FLAG_N];
    size_t n;
};

struct experiment {
    struct str name, salt;
    bool person; /* the unit is a person; else a conversation */
    struct experiment_variant v[EXPERIMENT_VARIANTS_MAX];
    size_t n;
};

/*
 * Read one.
 * variants   JSON: [{"name", "weight", "flags": {name: value}}]
 * a          what `ret` keeps lives there
 * ERR_PROTO: it makes no sense to this program (a newer one wrote it).
 */
enum err_kind experiment_read(struct arena *a, struct str name, struct str salt, bool person,
                              struct str variants, struct experiment *ret, struct err *why);

/*
 * Which variant is a unit's. For others who want to know: the first 8 bytes of
 * SHA-256("SALT:UUID"), as a big-endian number, modulo the sum of the weights; then the variants
 * in their order take as many numbers as they have weight. Never to be changed: people would
 * change sides.
 */
size_t experiment_choose(const struct experiment *e, const struct uuid *unit);

/* Those that run. */
struct experiment_set {
    struct arena arena;
    struct experiment *v;
    size_t n;
};

struct experiment_who {
    struct uuid conversation, person;
    struct str kept; /* JSON object: the variants that they have already; "" = none */
    bool own_model;  /* they have chosen one: experiments on the model do not apply */
};

/* What is tried on a turn: of each experiment that applies, the variant. */
struct experiment_uses {
    struct experiment_use {
        const char *experiment, *variant;
        bool person; /* the unit is the person */
        bool fresh;  /* they did not have it yet */
    } * v;
    size_t n;
    struct flag_layer layer; /* what the variants set */
};

/*
 * One that changes a flag which is killed does not apply: nobody would see its variants.
 * set    NULL: none runs
 * f      where flags are killed; NULL: none is
 * a      what `ret` points to lives there, whatever becomes of the experiments
 */
void experiment_pick(const struct experiment_set *set, const struct flags *f,
                     const struct experiment_who *who, struct arena *a,
                     struct experiment_uses *ret);
