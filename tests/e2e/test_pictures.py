"""Pictures for models that see: fetched by us, through a guard, from the platform or a public address."""
import base64

import pytest
from aiohttp import web
from fakes.server import FakeServer
from harness.discord import Town
from harness.slack import Workspace
from harness.wait import wait_until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()


class FakeFiles(FakeServer):
    """A server of somebody's, with good files and bad ones."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.app.router.add_get("/{name}", self._get)

    async def _get(self, request):
        name = request.match_info["name"]
        self.asked.append(name)
        if name == "moved.png":
            return web.Response(status=302, headers={"Location": f"{self.url}/cat.png"})
        if name == "big.png":
            return web.Response(body=PNG + bytes(10 << 20), content_type="image/png")
        if name == "page.png":
            return web.Response(text="<html>not here</html>", content_type="image/png")
        if name == "cat.png":
            return web.Response(body=PNG, content_type="image/png")
        return web.Response(status=404)


@pytest.fixture
def files():
    server = FakeFiles().start()
    yield server
    server.stop()


@pytest.fixture
def town(world):
    town = Town(world)
    yield town
    town.close()


@pytest.fixture
def room(world):
    room = Workspace(world)
    yield room
    room.close()


def seen(world):
    """The text and the pictures of the last question."""
    wait_until(lambda: world.model.asks)
    content = world.model.asks[-1].body["messages"][-1]["content"]
    if isinstance(content, str):
        return content, []
    return content[0]["text"], [part["image_url"]["url"] for part in content[1:]]


def show(town, files, *urls, trusted=True):
    gateway = town.gateway()
    gateway.settings["models"][0]["sees"] = True
    if trusted:
        gateway.settings["chat"]["picture_hosts"] = [f"127.0.0.1:{files.port}"]
    gateway.start()
    town.wait_live()
    town.alice.say(town.channel, "look", mention=town.bot, attachments=[
        {"filename": "a.png", "content_type": "image/png", "url": url} for url in urls])
    wait_until(lambda: len(town.answers()) == 1, what="the answer goes on")
    return seen(town.world)


def test_a_picture_by_address(town, files):
    text, pictures = show(town, files, f"{files.url}/cat.png?ex=1")
    assert pictures == [DATA] and "could not" not in text


@pytest.mark.parametrize("name, why", [
    ("moved.png", "its server sends one elsewhere"), ("big.png", "it is too large"), ("page.png", "it is no picture"),
    ("gone.png", "its server answered 404")])
def test_what_is_not_taken(town, files, name, why):
    text, pictures = show(town, files, f"{files.url}/{name}?secret=1", f"{files.url}/cat.png")
    assert pictures == [DATA], "the others are shown"
    assert f"[picture {name} could not be loaded: {why}]" in text and "secret" not in text
    assert sorted(files.asked) == sorted([name, "cat.png"]), "a redirect is not followed"


@pytest.mark.parametrize("scheme, why", [("http", "its address is none that is fetched"), ("https", "its address is not a public one")])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_private_is_asked(town, files, scheme, why, host):
    text, pictures = show(town, files, f"{scheme}://{host}:{files.port}/cat.png", trusted=False)
    assert (pictures, files.asked) == ([], []) and f"[picture cat.png could not be loaded: {why}]" in text


def telegram(world, **sections):
    gateway = world.gateway(**sections)
    gateway.settings["models"][0]["sees"] = True
    world.hook(gateway.start())
    return gateway


def size(name, n_bytes):
    return {"file_id": name, "file_unique_id": name, "width": 90, "height": 90, "file_size": n_bytes}


def test_telegram_photos(world):
    world.bot.files["middle"] = (PNG, "photos/file_1.jpg")
    gateway = telegram(world)
    alice = world.bot.person(7)
    world.bot.say(alice, None, photo=[size("small", 100), size("middle", 4 << 20), size("large", (4 << 20) + 1)], caption="what is this?")
    world.wait_settled(1)
    assert seen(world) == ("what is this?\n[attached: photo]", [DATA]), "the largest that is not too large"
    assert world.bot.token not in gateway.log() and world.bot.token.split(":")[1] not in gateway.log()
    assert world.bot.token not in str(world.sql("SELECT metadata::text FROM messages"))


@pytest.mark.parametrize("path", [None, "../secret", "/etc/passwd", "photos/a.jpg?x=1", "photos/missing\n.jpg"])
def test_telegram_hands_out_nothing(world, path):
    if path:
        world.bot.files["f"] = (PNG, path)
    gateway = telegram(world)
    world.bot.say(world.bot.person(7), None, photo=[size("f", 100)], caption="look")
    world.wait_settled(1)
    text, pictures = seen(world)
    assert pictures == [] and "[picture 1 could not be loaded: Telegram does not hand it out]" in text
    assert world.bot.token not in gateway.log()


def share(room, url):
    gateway = room.gateway()
    gateway.settings["models"][0]["sees"] = True
    room.ready(gateway.start())
    room.slack.say(room.dm, room.alice, "look", subtype="file_share",
                   files=[{"id": "F1", "name": "cat.png", "mimetype": "image/png", "size": len(PNG), "url_private": url}])
    wait_until(lambda: room.answers(room.dm))
    assert room.team.token not in gateway.log()
    return seen(room.world)


def test_slack_pictures(world, room):
    room.slack.files["/files-pri/T1-F1/cat.png"] = PNG
    assert share(room, f"{room.slack.url}/files-pri/T1-F1/cat.png") == ("look\n[attached: photo cat.png]", [DATA])
    assert room.slack.asked_for_files == [f"Bearer {room.team.token}"]
    assert room.team.token not in str(world.sql("SELECT metadata::text FROM messages"))


def test_slack_gets_its_token_and_nobody_else(room, files):
    text, pictures = share(room, f"{files.url}/cat.png")
    assert (pictures, files.asked) == ([], []) and "[picture 1 could not be loaded: Slack does not hand it out]" in text
