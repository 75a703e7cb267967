/*
 * Faults: only the named point, only the Nth time, and by the right signal.
 */
#include "core/base/fault.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passes three points, three times each, in a child; returns how it went on. */
static int child_status(const char *variable, const char *value)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv(variable, value, 1);
        fault_setup();
        for (int i = 0; i < 3; i++) {
            fault_point("turn", "keep", "start");
            fault_point("turn", "keep", "done");
            fault_point("turn", "ask", "done");
        }
        _exit(7);
    }
    int status = 0;
    waitpid(pid, &status, WUNTRACED);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGCONT);
        int after = 0;
        waitpid(pid, &after, 0);
        cr_expect(WIFEXITED(after) && WEXITSTATUS(after) == 7, "it goes on after SIGCONT");
    }
    return status;
}

Test(fault, kills_and_stops_where_it_says)
{
    static const struct {
        const char *variable, *value;
        int killed_by, stopped_by, exits;
    } table[] = {
        { "PARLEY_ABORT_AT", "turn.keep.done", SIGKILL, 0, 0 },
        { "PARLEY_ABORT_AT", "turn.keep.done:3", SIGKILL, 0, 0 },
        { "PARLEY_ABORT_AT", "turn.keep.done:4", 0, 0, 7 },
        { "PARLEY_ABORT_AT", "turn.keep", 0, 0, 7 },
        { "PARLEY_ABORT_AT", "", 0, 0, 7 },
        { "PARLEY_STOP_AT", "turn.ask.done:2", 0, SIGSTOP, 0 },
        { "PARLEY_ABORT_AT", "turn.keep.done:0", 0, 0, 2 },
        { "PARLEY_ABORT_AT", "turn.keep.done:", 0, 0, 2 },
        { "PARLEY_ABORT_AT", "turn.keep.done:x", 0, 0, 2 },
        { "PARLEY_STOP_AT", ":1", 0, 0, 2 },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int status = child_status(table[i].variable, table[i].value);
        cr_expect_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, table[i].killed_by, "row %zu", i);
        cr_expect_eq(WIFSTOPPED(status) ? WSTOPSIG(status) : 0, table[i].stopped_by, "row %zu", i);
        cr_expect_eq(WIFEXITED(status) ? WEXITSTATUS(status) : 0, table[i].exits, "row %zu", i);
    }
}

Test(fault, costs_nothing_when_unset)
{
    unsetenv("PARLEY_ABORT_AT");
    unsetenv("PARLEY_STOP_AT");
    fault_setup();
    cr_expect_not(fault_armed);
    fault_point("turn", "keep", "done");
}
