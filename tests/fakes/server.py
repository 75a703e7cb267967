"""An HTTP server in a thread of its own, for fakes: tests stay plain, synchronous code."""
import asyncio
import threading

from aiohttp import web

from .ports import free_port


class FakeServer:
    """Serves `self.app` on a free port of 127.0.0.1. Tests may `shut` the port and `reopen` it."""

    def __init__(self):
        self.app = web.Application(client_max_size=64 << 20)
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner = self._listener = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine, timeout=30):
        """Run a coroutine on the server's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def call(self, function, *args):
        """Run a plain function on the server's loop: state is touched by one thread only."""
        async def wrapped():
            return function(*args)
        return self.run(wrapped())

    def start(self):
        self._thread.start()
        self.run(self._begin())
        self.reopen()
        return self

    async def _begin(self):
        self._runner = web.AppRunner(self.app, access_log=None)
        await self._runner.setup()

    def reopen(self):
        async def listen():
            self._listener = await self._loop.create_server(self._runner.server, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._listener.sockets[0].getsockname()[1]
        self.run(listen())

    def shut(self):
        """Connections are refused from now on, and the open ones are dropped."""
        self.call(self._shut)

    def _shut(self):
        self._listener.close()
        for connection in list(self._runner.server.connections):
            if connection.transport:
                connection.transport.abort()

    def stop(self):
        async def end():
            self._shut()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            await self._runner.cleanup()
            await self.finish()
        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def finish(self):
        """For subclasses: close what they opened."""


def cut(request):
    """Drop the connection without an answer: what a peer sees when a server dies."""
    if request.transport:
        request.transport.abort()
    raise ConnectionResetError("dropped on purpose")
