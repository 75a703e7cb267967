-- Calls of tools that wait for a person's yes: the last one of each conversation.
CREATE TABLE tool_questions (
    conversation_id uuid PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE, -- who asked, and alone may answer
    answers         uuid[] NOT NULL, -- the person's messages that are being answered
    state           text NOT NULL, -- JSON: what was said between model and tools; never looked into here
    expires_at      timestamptz NOT NULL,
    answered_by     uuid, -- the request that says yes or no: its second try finds it again
    answered_at     timestamptz
);
CREATE INDEX tool_questions_expires ON tool_questions (expires_at);
CREATE INDEX tool_questions_user ON tool_questions (user_id);
