"""The commands of the admin API that README shows: each does what stands there."""
import re
import subprocess

from harness.admin import admin_gateway, key_make
from harness.gateway import BINARY
from harness.servers import ROOT

SECTIONS = ["Change it at run time", "Administration", "Feature flags", "Try it on some", "Webhooks in", "Webhooks out"]


def commands_of(section):
    text = re.search(rf"^#+ {section}\n(.*?)(?=^##|\Z)", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))
    return re.findall(r"^(?:parley|export) .*(?:\n +.*)*", lines, re.M)


def test_the_commands_of_the_readme(world, tmp_path):
    model = {"type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": "m"}
    gateway = admin_gateway(world, telegram="webhook", models=[{"name": "test", **model}, {"name": "gpt", **model}])
    gateway.env["OPENAI_API_KEY"] = "sk-test"
    gateway.start()
    world.hook(gateway)
    world.bot.say(world.bot.person(7), "Hello")
    world.wait_settled(1)
    (tmp_path / "parley").symlink_to(BINARY)
    person = world.one("UPDATE users SET version = 3 RETURNING id::text")
    words = {"team": "support", "ID": person, "FILE": gateway.write_conf(), "https://chat.example.org": gateway.url,
             "parley_...": key_make(world), "2027-01-31": "2999-01-31", " | jq -r .id": ""}
    env = gateway.environment({"PATH": f"{tmp_path}:/usr/bin:/bin", "PARLEY_URL": gateway.url, "PARLEY_KEY": key_make(world)})

    def run(command):
        for word, stands_for in words.items():
            command = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", stands_for, command)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], env=env, text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    run("parley configs create models '[]' --activate")  # there is a version before
    for section in SECTIONS:
        commands = commands_of(section)
        assert commands, section
        for command in commands:
            run(command)
