-- A summary that stands for the older part of a conversation when a model is asked. The messages themselves stay.
ALTER TABLE conversations
    ADD COLUMN summary       text,
    ADD COLUMN summary_until integer NOT NULL DEFAULT 0,    -- the last message that it covers
    ADD COLUMN summary_off   boolean NOT NULL DEFAULT false; -- they took it back
