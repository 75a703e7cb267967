-- What is looked for by, at a million messages.

-- Of one conversation: erased with it, merged into a question, listed. Without it each of these reads all requests.
CREATE INDEX requests_conversation ON requests (conversation_id, id);

-- For lists of what is seldom: what is not pays nothing for them.
CREATE INDEX requests_unanswered ON requests (status, id) WHERE status IN ('refused', 'cancelled', 'expired', 'merged');
CREATE INDEX deliveries_dropped ON deliveries (id) WHERE status = 'dropped';
CREATE INDEX users_role ON users (role, id) WHERE role <> 'user';
