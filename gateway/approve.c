/* approve: `parley approve CODE [admin]`, where a channel has access = "pairing". */
#include "core/chat/code.h"
#include "core/store/person.h"
#include "gateway/app.h"
#include "gateway/commands.h"
#include <stdio.h>
#include <string.h>

static int approve(struct app *app, const char *code, bool admin)
{
    struct pg_rows rows = { 0 };
    struct arena arena;
    struct op op;
    arena_init(&arena);
    op_init(&op, &app->loop, on_app_op);
    store_approve(&app->store, &op, code_hash(&arena, str_of(code)), admin, &rows);
    bool failed = app_wait(app, &op);
    bool found = !failed && rows.n > 0;
    if (failed)
        fprintf(stderr, "parley: %s\n", op.err.msg);
    else if (!found)
        fprintf(stderr, "parley: nobody was given this code, or it is older than a day\n");
    else
        printf("%.*s may write now%s\n", STR_ARG(pg_rows_str(&rows, 0, 0)),
               admin ? ", as an admin" : "");
    pg_rows_done(&rows);
    arena_done(&arena);
    return found ? 0 : 1;
}

int approve_main(const char *conf_path, char **args)
{
    struct app app;
    struct err why;
    bool admin = args[0] && args[1] && strcmp(args[1], "admin") == 0;
    if (!args[0] || (args[1] && !admin) || (admin && args[2])) {
        fprintf(stderr, "usage: parley approve CODE [admin]\n");
        return 2;
    }
    if (app_open(&app, conf_path, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        return 2;
    }
    int status = approve(&app, args[0], admin);
    app_close(&app);
    return status;
}
