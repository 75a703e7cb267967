-- Workspaces that have installed an app of ours which many may install: one token each, sealed with a
-- key that is not in the database.
CREATE TABLE installations (
    channel    text NOT NULL, -- the account's name in the configuration
    workspace  text NOT NULL, -- the platform's id of it
    title      text NOT NULL DEFAULT '',
    bot_user   text NOT NULL,
    bot        text NOT NULL DEFAULT '',
    token      text NOT NULL, -- sealed
    scopes     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel, workspace)
);
