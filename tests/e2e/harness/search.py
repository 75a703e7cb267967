"""Looks for traces: in every column of every table, and in every key and value of Redis."""


def in_postgres(world, needles):
    """[(table, needle)] of all rows that hold one of the texts, in any column."""
    found = []
    tables = world.sql("""SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition""")
    for (table,) in tables:
        for needle in needles:
            n = world.one(f'SELECT count(*) FROM "{table}" t WHERE strpos(lower(t::text), lower(%s)) > 0', needle)
            if n:
                found.append((table, needle))
    return found


def in_redis(world, needles):
    found = []
    for key in world.redis.scan_iter("*"):
        kind = world.redis.type(key)
        kind = kind.decode() if isinstance(kind, bytes) else kind
        read = {"string": lambda: world.redis.get(key), "hash": lambda: world.redis.hgetall(key),
                "list": lambda: world.redis.lrange(key, 0, -1), "zset": lambda: world.redis.zrange(key, 0, -1),
                "set": lambda: world.redis.smembers(key), "none": lambda: ""}[kind]  # none: gone meanwhile
        text = f"{key} {read()}".lower()
        found += [(key, needle) for needle in needles if needle.lower() in text]
    return found


def traces(world, needles):
    return in_postgres(world, needles) + in_redis(world, needles)
