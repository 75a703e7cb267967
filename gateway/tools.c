/* tools: the small subcommands. */
#include "core/base/clock.h"
#include "core/chat/delivery.h"
#include "core/chat/turn.h"
#include "core/store/migrate.h"
#include "gateway/app.h"
#include "gateway/commands.h"
#include <stdio.h>

int migrate_main(const char *conf_path, char **args)
{
    (void)args;
    struct app app;
    struct err why;
    struct op op;
    struct migrate_report report;
    if (app_open(&app, conf_path, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        return 2;
    }
    op_init(&op, &app.loop, on_app_op);
    store_migrate(&app.store, &op, false, &report);
    bool failed = app_wait(&app, &op);
    if (failed)
        fprintf(stderr, "parley: %s\n", op.err.msg);
    else
        printf("%d of %d migrations applied now, the newest is %s\n", report.n_applied,
               report.n_known, report.last);
    app_close(&app);
    return failed;
}

int conf_main(const char *conf_path, char **args)
{
    (void)conf_path, (void)args;
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    if (!settings_example(&b)) return 1;
    fwrite(b.p, 1, b.n, stdout);
    return 0;
}

int steps_main(const char *conf_path, char **args)
{
    (void)conf_path, (void)args;
    const struct flow_kind *const flows[] = { &intake_flow, &turn_flow, &delivery_flow };
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++)
        for (size_t k = 0; k < flows[i]->n_steps; k++)
            printf("%s.%s.start\n%s.%s.done\n", flows[i]->name, flows[i]->steps[k].name,
                   flows[i]->name, flows[i]->steps[k].name);
    return 0;
}
