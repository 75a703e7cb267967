-- The yardstick of scripts/bench: the rows of one message, ids known, one commit, sent in one pipeline.
-- :ms is now, since messages are partitioned by time; people and conversations 1..64 exist.
\set p random(1, 64)
\set n random(1, 9000000000000000000)
\startpipeline
BEGIN;
INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, platform_message, query)
    VALUES ((lpad(to_hex(:ms::bigint), 12, '0') || '7001' || lpad(to_hex(:n::bigint), 16, '0'))::uuid, ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid,
            ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid, 'bench', :n::text,
            (lpad(to_hex(:ms::bigint), 12, '0') || '7002' || lpad(to_hex(:n::bigint), 16, '0'))::uuid, '12',
            'Could you tell me in a few words what number 12 of conversation 12 is about? #c12-12#');
INSERT INTO messages (id, conversation_id, user_id, role, content, metadata)
    VALUES ((lpad(to_hex(:ms::bigint), 12, '0') || '7002' || lpad(to_hex(:n::bigint), 16, '0'))::uuid, ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid,
            ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid, 'user',
            'Could you tell me in a few words what number 12 of conversation 12 is about? #c12-12#', '{"direct": true}');
UPDATE requests SET status = 'running', lease_owner = 'bench', lease_until = now() + interval '30 s', attempt = 1, urgent = true
    WHERE id = (lpad(to_hex(:ms::bigint), 12, '0') || '7001' || lpad(to_hex(:n::bigint), 16, '0'))::uuid;
INSERT INTO messages (id, conversation_id, role, content, model_used, token_count)
    VALUES ((lpad(to_hex(:ms::bigint), 12, '0') || '7003' || lpad(to_hex(:n::bigint), 16, '0'))::uuid, ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid,
            'assistant', 'It is about **this**: #c12-12#', 'bench', 9);
INSERT INTO deliveries (id, request_id, part, n_parts, content)
    VALUES ((lpad(to_hex(:ms::bigint), 12, '0') || '7004' || lpad(to_hex(:n::bigint), 16, '0'))::uuid, (lpad(to_hex(:ms::bigint), 12, '0') || '7001' || lpad(to_hex(:n::bigint), 16, '0'))::uuid,
            0, 1, 'It is about **this**: #c12-12#');
UPDATE requests SET status = 'sending', outcome = 'answered', model_used = 'bench', prompt_tokens = 40, completion_tokens = 9
    WHERE id = (lpad(to_hex(:ms::bigint), 12, '0') || '7001' || lpad(to_hex(:n::bigint), 16, '0'))::uuid;
UPDATE conversations SET last_activity = now(), message_count = message_count + 2
    WHERE id = ('00000000000070008000' || lpad(:p::text, 12, '0'))::uuid;
UPDATE deliveries SET status = 'sending', attempts = 1
    WHERE id = (lpad(to_hex(:ms::bigint), 12, '0') || '7004' || lpad(to_hex(:n::bigint), 16, '0'))::uuid;
UPDATE deliveries SET status = 'sent', platform_message = '7', sent_at = now()
    WHERE id = (lpad(to_hex(:ms::bigint), 12, '0') || '7004' || lpad(to_hex(:n::bigint), 16, '0'))::uuid;
UPDATE requests SET status = 'answered', completed_at = now(), lease_owner = NULL, lease_until = NULL
    WHERE id = (lpad(to_hex(:ms::bigint), 12, '0') || '7001' || lpad(to_hex(:n::bigint), 16, '0'))::uuid;
COMMIT;
\endpipeline
