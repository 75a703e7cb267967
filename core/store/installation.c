/* installation: the SQL of who has installed us. */
#include "core/store/installation.h"

static const struct pg_stmt put_stmt = {
    "installation_put",
    "INSERT INTO installations (channel, workspace, title, bot_user, bot, token, scopes)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (channel, workspace) DO UPDATE SET title = excluded.title,"
    "  bot_user = excluded.bot_user, bot = excluded.bot, token = excluded.token,"
    "  scopes = excluded.scopes, updated_at = now()"
};

void store_installation_put(struct store *s, struct op *op, const struct installation *in)
{
    const struct pg_value v[] = { pg_text(in->channel),  pg_text(in->workspace), pg_text(in->title),
                                  pg_text(in->bot_user), pg_text(in->bot),       pg_text(in->token),
                                  pg_text(in->scopes) };
    pg_query(s->pg, op, &put_stmt, v, 7, NULL);
}

static const struct pg_stmt get_stmt = {
    "installation_get", "SELECT workspace, title, bot_user, bot, token FROM installations"
                        " WHERE channel = $1 AND workspace = $2"
};

void store_installation_get(struct store *s, struct op *op, struct str channel,
                            struct str workspace, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(channel), pg_text(workspace) };
    pg_query(s->pg, op, &get_stmt, v, 2, rows);
}

static const struct pg_stmt drop_stmt = {
    "installation_drop", "DELETE FROM installations WHERE channel = $1 AND workspace = $2"
};

void store_installation_drop(struct store *s, struct op *op, struct str channel,
                             struct str workspace)
{
    const struct pg_value v[] = { pg_text(channel), pg_text(workspace) };
    pg_query(s->pg, op, &drop_stmt, v, 2, NULL);
}
