/*
 * fault - named points at which a test has this process killed or stopped.
 */
#include "core/base/fault.h"

#include "core/base/str.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fault {
    char point[120];
    uint64_t n_left; /* times to pass, this one included; 0 = not set */
    int signal;
};

bool fault_armed;
static struct fault faults[2];

static void arm(struct fault *f, const char *variable, int signal)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): before any thread */
    struct str rest = str_of(getenv(variable));
    *f = (struct fault){ .signal = signal };
    if (rest.n == 0) return;

    bool counted = str_find_char(rest, ':') != SIZE_MAX;
    struct str point = str_cut(&rest, ':');
    f->n_left = 1;
    /* A mistyped point would make a crash test that tests nothing. */
    if (point.n == 0 || point.n >= sizeof(f->point) ||
        (counted && (!str_u64(rest, &f->n_left) || f->n_left == 0))) {
        fprintf(stderr, "parley: %s is not flow.step.phase[:N]\n", variable);
        exit(2);
    }
    /* NOLINTEND(concurrency-mt-unsafe) */
    memcpy(f->point, point.p, point.n);
    fault_armed = true;
}

void fault_setup(void)
{
    fault_armed = false;
    arm(&faults[0], "PARLEY_ABORT_AT", SIGKILL);
    arm(&faults[1], "PARLEY_STOP_AT", SIGSTOP);
}

void fault_check(const char *flow, const char *step, const char *phase)
{
    char point[sizeof(faults[0].point)];
    snprintf(point, sizeof(point), "%s.%s.%s", flow, step, phase);
    for (size_t i = 0; i < 2; i++) {
        struct fault *f = &faults[i];
        if (f->n_left && strcmp(f->point, point) == 0 && --f->n_left == 0)
            kill(getpid(), f->signal);
    }
}
