"""A gateway's past, written by a few statements: people, conversations, what was asked and answered in them, what admins did."""

CHANNEL, SELDOM = "support", "seldom"
COMMON, MIDDLING = "weather", "umbrella"  # a word of every second question, and of every fourteenth


def rare(n):
    """A word of the question with this number alone: 0, 1000, 2000 ..."""
    return f"quokka{n}"


def statements(people, conversations, requests, days):
    """
    What to execute, in this order, in a migrated database without any of it.
    requests    each is a question and its answer, two messages. They spread evenly over the last `days` days, in turn
                over all conversations, and those in turn over all people.
    """
    began = f"(date_trunc('minute', now()) - interval '{days} days')"
    at = f"({began} + n * interval '{days} days' / {requests})"
    later = f"({at} + interval '1 s')"

    def made(table, number, when):
        """An id as the program makes them: they sort by time."""
        return f"(lpad(to_hex((extract(epoch FROM {when}) * 1000)::bigint), 12, '0') || '70008{table:03}' || lpad(to_hex({number}), 12, '0'))::uuid"

    def person(p):
        return made(1, p, f"{began} + ({p}) * interval '1 ms'")

    def conversation(c):
        return made(2, c, f"{began} + ({c}) * interval '1 ms'")

    def channel(c):
        return f"CASE WHEN {c} % 1000 = 9 THEN '{SELDOM}' ELSE '{CHANNEL}' END"

    question, answer, request = made(4, "n", at), made(5, "n", later), made(6, "n", at)
    which = f"n % {conversations}"
    who = f"{which} % {people}"
    numbers = f"generate_series(0, {requests - 1}) AS n"
    return [
        f"""DO $$
            DECLARE
                month timestamp;
            BEGIN
                FOR month IN SELECT generate_series(date_trunc('month', {began} AT TIME ZONE 'UTC'), now() AT TIME ZONE 'UTC', '1 month') LOOP
                    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF messages FOR VALUES FROM (%L) TO (%L)',
                                   to_char(month, '"messages_"YYYY_MM'), uuid_v7_floor(month AT TIME ZONE 'UTC'),
                                   uuid_v7_floor((month + interval '1 month') AT TIME ZONE 'UTC'));
                END LOOP;
            END $$""",
        f"""INSERT INTO users (id, username, role, created_at)
            SELECT {person("p")}, 'person' || p, CASE WHEN p % 1000 = 7 THEN 'manager' ELSE 'user' END, {began}
            FROM generate_series(0, {people - 1}) AS p""",
        f"""INSERT INTO identities (id, user_id, channel_type, channel_user_id, username, display_name)
            SELECT {made(3, "p", began)}, {person("p")}, 'telegram', (100000 + p)::text, 'person' || p, 'Person ' || p
            FROM generate_series(0, {people - 1}) AS p""",
        f"""INSERT INTO conversations (id, user_id, channel_type, channel, place_channel, title, is_active, message_count)
            SELECT {conversation("c")}, {person(f"c % {people}")}, 'telegram', {channel("c")}, (1000000 + c)::text, 'About ' || c,
                   c % 10 <> 0, {2 * requests // conversations}
            FROM generate_series(0, {conversations - 1}) AS c""",
        f"""INSERT INTO messages (id, conversation_id, user_id, role, content, created_at)
            SELECT {question}, {conversation(which)}, {person(who)}, 'user',
                   format('Could you tell me in a few words what number %s is about%s?%s%s', n,
                          CASE n % 2 WHEN 0 THEN ', and the {COMMON} there' ELSE '' END,
                          CASE n % 14 WHEN 0 THEN ' With an {MIDDLING}?' ELSE '' END,
                          CASE n % 1000 WHEN 0 THEN ' quokka' || n ELSE '' END), {at}
            FROM {numbers}""",
        f"""INSERT INTO messages (id, conversation_id, role, content, model_used, token_count, answers, created_at)
            SELECT {answer}, {conversation(which)}, 'assistant',
                   format('It is about **this**, number %s: what begins with %s is seldom what ends with %s, and those who '
                          'look for it in the %s find that there is more to it than they thought.', n, n % 7919, n % 104729,
                          (ARRAY['morning', 'evening', 'autumn', 'north', 'library', 'kitchen'])[1 + n % 6]),
                   'test-model', 40, ARRAY[{question}], {later}
            FROM {numbers}""",
        f"""INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, platform_message, query, status, attempt,
                                  reply_id, model_used, prompt_tokens, completion_tokens, total_cost, total_latency_ms, created_at,
                                  completed_at)
            SELECT {request}, {conversation(which)}, {person(who)}, {channel(which)}, 'past:' || n, {question}, n::text,
                   'what number ' || n || ' is about',
                   CASE WHEN n % 97 = 1 THEN 'refused' WHEN n % 89 = 2 THEN 'cancelled' WHEN n % 83 = 4 THEN 'merged'
                        WHEN n % 2999 = 3 THEN 'expired' ELSE 'answered' END, 1,
                   {answer}, 'test-model', 200, 40, 0.0012, 300 + n % 2000, {at}, {later}
            FROM {numbers}""",
        f"""INSERT INTO deliveries (id, request_id, part, n_parts, content, status, platform_message, attempts, created_at, sent_at)
            SELECT {made(7, "n", later)}, {request}, 0, 1, 'It is about **this**, number ' || n,
                   CASE WHEN n % 1009 = 5 THEN 'dead' WHEN n % 1013 = 6 THEN 'unknown' WHEN n % 2003 = 7 THEN 'dropped'
                        ELSE 'sent' END, (5000000 + n)::text, 1, {later}, {later}
            FROM {numbers}""",
        f"""INSERT INTO cost_records (id, request_id, conversation_id, user_id, channel, provider, model, prompt_tokens,
                                      completion_tokens, cost, estimated, created_at)
            SELECT {made(8, "n", later)}, {request}, {conversation(which)}, {person(who)}, {channel(which)}, 'openai', 'test-model',
                   200, 40, 0.0012, false, {later}
            FROM {numbers}""",
        f"""INSERT INTO feedback (request_id, channel_type, channel_user_id, vote)
            SELECT {request}, 'telegram', (100000 + {who})::text, 1 FROM {numbers} WHERE n % 20 = 0""",
    ]


def admin_statements(lines):
    """The same of what admins and programs did: so many lines of the record, uses of a key, webhooks that were sent."""
    return [
        f"""SELECT audit('{{"name": "somebody"}}', CASE n % 500 WHEN 9 THEN 'key.created' ELSE 'flag.changed' END,
                         CASE n % 500 WHEN 9 THEN 'key' ELSE 'flag' END, 'thing' || n % 300, NULL, NULL)
            FROM generate_series(1, {lines}) AS n""",
        """INSERT INTO api_keys (id, key_hash, key_prefix, name, role) VALUES (uuid_v7(), 'nobody has it', '0past0', 'past', 'user')""",
        f"""INSERT INTO api_key_audit_log (api_key_id, action, endpoint)
            SELECT k.id, 'used', 'flags.list' FROM api_keys k, generate_series(1, {lines}) WHERE k.key_prefix = '0past0'""",
        """INSERT INTO webhook_subscriptions (id, name, url, events, secret, is_active, created_by)
           VALUES (uuid_v7(), 'past', 'https://past.example/', '{*}', '', false, 'somebody'),
                  (uuid_v7(), 'other', 'https://past.example/', '{*}', '', false, 'somebody')""",
        f"""INSERT INTO webhook_deliveries (id, subscription_id, type, body, status, finished_at)
            SELECT uuid_v7(), s.id, 'message.answered', '{{}}', CASE n % 500 WHEN 9 THEN 'dead' ELSE 'delivered' END, now()
            FROM webhook_subscriptions s, generate_series(1, {lines}) AS n
            ORDER BY s.name DESC""",  # the latest are all of the other one
    ]
