"""Rules of the house that are about text: floors, third-party headers, banned functions, words.

check_source.py            prints findings, exit status 1 if there are any
check_source.py --longest  prints the longest functions and files, for information
"""
import re
import subprocess
import sys
from pathlib import Path

FLOORS = ["base", "loop", "net", "store", "cache", "model", "tool", "chat", "hook"]

# A library's headers are included in its own place only.
THIRD_PARTY = [
    (r"json-c/|json\.h", r"core/base/json"),
    (r"libconfig", r"core/base/conf"),
    (r"uv\.h", r"core/(loop|net)/"),
    (r"curl/", r"core/net/(http_client|curl_loop)"),
    (r"llhttp", r"core/net/http_server|core/net/http_parse"),
    (r"libpq|postgres", r"core/net/pg"),
    (r"hiredis", r"core/net/redis"),
    (r"libwebsockets", r"core/net/ws"),
    (r"zlib", r"core/net/inflate"),
    (r"sodium", r"core/net/sign"),
    (r"openssl/", r"core/net/(http_server|tls|redis)"),
    (r"cmark-gfm", r"core/chat/markdown"),
]

BANNED = {
    "strcpy": "str.h, buf.h", "strcat": "buf.h", "strncpy": "str.h", "strncat": "buf.h", "stpcpy": "buf.h",
    "sprintf": "snprintf, buf_printf", "vsprintf": "vsnprintf", "gets": "a bounded read",
    "strtok": "str_cut", "strtok_r": "str_cut", "scanf": "str_i64", "sscanf": "str_i64", "fscanf": "str_i64",
    "atoi": "str_i64", "atol": "str_i64", "atoll": "str_i64", "atof": "strtod with checks",
    "strtol": "str_i64", "strtoll": "str_i64", "strtoul": "str_u64", "strtoull": "str_u64",
    "gmtime": "gmtime_r", "localtime": "localtime_r", "ctime": "strftime", "asctime": "strftime",
    "alloca": "arena", "strdup": "mem_dup", "malloc": "mem.h", "calloc": "mem.h", "realloc": "mem.h",
    "rand": "rand.h", "srand": "rand.h", "random": "rand.h", "drand48": "rand.h",
    "system": "nothing", "popen": "nothing", "mktemp": "mkstemp", "tmpnam": "mkstemp",
    "setenv": "nothing", "putenv": "nothing", "usleep": "a timer", "sleep": "a timer",
    "gethostbyname": "uv_getaddrinfo", "inet_ntoa": "inet_ntop", "setjmp": "goto", "longjmp": "goto",
}
# Where the thing itself is made.
BANNED_BUT = {
    "malloc": r"core/base/mem\.c", "calloc": r"core/base/mem\.c", "realloc": r"core/base/mem\.c",
}

# Written in pieces: this file is text of the project, too.
WORDS = [
    (r"/wor" r"k/|\.\./shar" r"ed|\.lib" r"rary|/roo" r"t/", "a path of one machine"),
    (r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", "finish it, or say NEEDSWORK and what is known"),
    (r"<<<<<" r"<< |>>>>>" r">> ", "a merge conflict"),
]


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    paths = [Path(p) for p in listed.stdout.splitlines()]
    if listed.returncode:
        paths = [p for d in ("core", "channels", "gateway", "tests", "scripts", "migrations", "conf") for p in Path(d).rglob("*")]
    return sorted(p for p in paths if p.is_file())


def is_source(path):
    return path.suffix in (".c", ".h") and path.parts[0] in ("core", "channels", "gateway")


def code_of(text):
    """The text with comments and literals blanked, line numbers kept."""
    def blank(m):
        s = m.group(0)
        return ("" if s.startswith("/") else '""') + "\n" * s.count("\n")
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_includes(path, text):
    parts = path.parts
    for n, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)', line)
        if not m:
            continue
        quote, name = m.groups()
        if quote == "<":
            for header, place in THIRD_PARTY:
                if re.match(header, name) and not re.match(place, path.as_posix()):
                    yield n, f"<{name}> belongs to {place}"
            continue
        other = Path(name).parts
        if parts[0] == "core":
            if other[0] != "core":
                yield n, f'core knows nothing of "{name}"'
            elif other[1] not in FLOORS or FLOORS.index(other[1]) > FLOORS.index(parts[1]):
                yield n, f'"{name}" is on a higher floor than core/{parts[1]}'
        elif parts[0] == "channels":
            if other[0] == "gateway" or (other[0] == "channels" and other[1] != parts[1]):
                yield n, f'a channel includes core and itself, not "{name}"'


def check_calls(path, text):
    for n, line in enumerate(code_of(text).splitlines(), 1):
        for name in re.findall(r"(?<![\w.>])([a-z_0-9]+)\s*\(", line):
            if name in BANNED and not re.match(BANNED_BUT.get(name, r"\Z"), path.as_posix()):
                yield n, f"{name} is banned, use: {BANNED[name]}"


def check_shape(path, text):
    if not text.startswith("/*"):
        yield 1, "begin with a comment that says what this file does"
    if path.suffix == ".h" and "#pragma once" not in text:
        yield 1, "#pragma once is missing"


def check_words(path, text):
    for n, line in enumerate(text.splitlines(), 1):
        for word, why in WORDS:
            if re.search(word, line):
                yield n, f"{why}: {line.strip()[:80]}"


def functions(path, text):
    """(lines, parameters, name) of each function: house style has both braces in the first column."""
    lines = code_of(text).splitlines()
    begin = None
    for n, line in enumerate(lines):
        if line == "{":
            begin = n
        elif line == "}" and begin is not None:
            head = begin - 1
            while head > 0 and lines[head - 1] and not re.search(r"[;}#/]\s*$", lines[head - 1]):
                head -= 1
            m = re.search(r"(\w+)\s*\((.*)\)", " ".join(lines[head:begin]))
            if m:
                outer = re.sub(r"\([^()]*\)", "", m.group(2))
                params = 0 if outer.strip() in ("", "void") else outer.count(",") + 1
                yield n - begin - 1, params, f"{path}:{begin} {m.group(1)}"
            begin = None


def longest():
    sources = [(p, p.read_text()) for p in files() if is_source(p)]
    found = [f for p, t in sources for f in functions(p, t)]
    sizes = sorted((len(t.splitlines()), str(p)) for p, t in sources)
    lengths = sorted(f[0] for f in found) or [0]
    print(f"{len(sources)} files, {len(found)} functions; lines of a function: median {lengths[len(lengths) // 2]}, "
          f"90 % {lengths[len(lengths) * 9 // 10]}, longest {lengths[-1]}")
    print("longest files:      " + ", ".join(f"{p} {n}" for n, p in sizes[:-4:-1]))
    print("longest functions:  " + ", ".join(f"{n} {k}" for k, _, n in sorted(found)[:-6:-1]))
    print("most parameters:    " + ", ".join(f"{n} {k}" for _, k, n in sorted(found, key=lambda f: -f[1])[:5]))


def main():
    if "--longest" in sys.argv:
        longest()
        return 0
    bad = 0
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        rules = [check_words]
        if is_source(path):
            rules += [check_includes, check_calls, check_shape]
        for rule in rules:
            for n, what in rule(path, text):
                print(f"{path}:{n}: {what}")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
