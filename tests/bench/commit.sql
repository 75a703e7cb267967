-- The least that PostgreSQL makes durable: what a message must wait for before it is acknowledged.
SELECT pg_logical_emit_message(true, 'bench', '');
