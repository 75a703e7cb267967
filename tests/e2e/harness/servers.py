"""A private PostgreSQL and Redis for tests, made by scripts/servers."""
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg2
import redis

from .wait import wait_until

ROOT = Path(__file__).parents[3]
REDIS_DATABASES = 64


def memory():
    """A folder in memory, where there is room: a database for each test is many files, which a disk makes and removes slowly."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= 2 << 30
    return folder if roomy else None


class Servers:
    """Both run in one folder; each can be killed, stopped, frozen and started on its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="parley-e2e-", dir=memory())
        os.chmod(self.folder, 0o755)
        self.start()
        env = dict(re.findall(r"(\w+)=(.*)", self._run("env").stdout))
        self.postgres_url = shlex.split(env["PARLEY_POSTGRES_URL"])[0]
        self.redis_url = shlex.split(env["PARLEY_REDIS_URL"])[0]
        self._data = Path(shlex.split(env["PARLEY_POSTGRES_DATA"])[0])
        self._numbers = itertools.count(1)

    def _run(self, action, *which):
        return subprocess.run([ROOT / "scripts/servers", action, "--fast", self.folder, *which], check=True, text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def start(self, *which):
        self._run("start", *which)

    def stop(self, *which):
        self._run("stop", *which)

    def close(self):
        self.resume()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- PostgreSQL ------------------------------------------------------------------------------------------

    def url_of(self, database):
        return self.postgres_url.replace("/parley?", f"/{database}?")

    @property
    def postgres_log(self):
        return self._data / "log"

    def connect(self, database="postgres", user="postgres"):
        connection = psycopg2.connect(self.url_of(database).replace("user=parley", f"user={user}"))
        connection.autocommit = True
        return connection

    def execute(self, sql, database="postgres"):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def database_new(self, template=None):
        """A fresh database, a copy of `template` if given. Its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER parley" + (f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""))
        return name

    def database_drop(self, name):
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def postgres_pids(self):
        """The server, then its children."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def kill_postgres(self):
        for pid in self.postgres_pids():
            _signal(pid, signal.SIGKILL)

    def freeze_postgres(self):
        self._frozen = self.postgres_pids()
        for pid in self._frozen:
            _signal(pid, signal.SIGSTOP)

    _frozen = ()

    def resume(self):
        for pid in self._frozen:
            _signal(pid, signal.SIGCONT)
        self._frozen = ()

    # --- Redis -----------------------------------------------------------------------------------------------

    @property
    def redis_socket(self):
        return self.redis_url.removeprefix("unix://")

    def redis_new(self):
        """An empty database: its number."""
        number = 1 + next(self._numbers) % (REDIS_DATABASES - 1)
        self.redis(number).flushdb()
        return number

    def redis(self, number=0):
        return redis.Redis(unix_socket_path=self.redis_socket, db=number, decode_responses=True)

    def kill_redis(self):
        pid = int((Path(self.folder) / "redis/pid").read_text())
        _signal(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())

    def freeze_redis(self):
        self._frozen = [int((Path(self.folder) / "redis/pid").read_text())]
        _signal(self._frozen[0], signal.SIGSTOP)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
