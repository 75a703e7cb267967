"""How Telegram reads the text of a message: HTML to text and entities, trimming, limits, what it recognises itself.

Written after what TDLib's MessageEntity.cpp and the Bot API server do; an error has the server's wording.
"""
import re

RAW_BYTES_MAX = 32768
TEXT_MAX = 4096  # code points after parsing
TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
    "a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote", "tg-emoji": "custom_emoji",
}
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


class BadText(Exception):
    """The server's description, without "Bad Request: "."""


def utf16(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _decode(text, at):
    """The character of the reference at text[at] == "&" and what follows it, or None for no reference."""
    m = re.compile(r"&#(?:x([0-9a-fA-F]*)|([0-9]*))").match(text, at)
    if m:
        digits = m.group(1) if m.group(1) is not None else m.group(2)
        code = int(digits, 16 if m.group(1) is not None else 10) if digits else 0
        if code == 0 or code >= 0x10FFFF or m.end() - at >= 10:
            return None
        char, end = chr(code), m.end()
    else:
        m = re.compile(r"&([A-Za-z]*)").match(text, at)
        if m.group(1) not in NAMED:
            return None
        char, end = NAMED[m.group(1)], m.end()
    return char, end + (text[end:end + 1] == ";")


class _Html:
    def __init__(self, text):
        self.text = text + "\0"  # as in C: reading at the end finds an end
        self.at = 0
        self.out = []
        self.units = 0
        self.open = []  # (tag, argument, offset in units, index in out)
        self.entities = []

    def fail(self, what, begin):
        at = len(self.text[:begin].encode("utf-8", "surrogatepass"))
        raise BadText("can't parse entities: " + what.replace("{at}", str(at)))

    def emit(self, char):
        self.out.append(char)
        self.units += utf16(char)

    def skip(self, condition):
        while condition(self.text[self.at]):
            self.at += 1

    def parse(self):
        end = len(self.text) - 1
        while self.at < end:
            char = self.text[self.at]
            if char == "&":
                decoded = _decode(self.text, self.at)
                if decoded:
                    char, self.at = decoded
                    self.emit(char)
                    continue
            if char == "<":
                self.end_tag() if self.text[self.at + 1] == "/" else self.start_tag()
                continue
            self.emit(char)
            self.at += 1
        if self.open:
            self.fail(f"Can't find end tag corresponding to start tag \"{self.open[-1][0]}\"", 0)
        text = "".join(self.out)
        if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
            self.fail("Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                      "surrogate code units", 0)
        return text, sorted(self.entities, key=lambda e: (e["offset"], -e["length"]))

    def start_tag(self):
        begin = self.at
        self.at += 1
        self.skip(lambda c: not c.isspace() and c not in ">\0")
        if self.text[self.at] == "\0":
            self.fail("Unclosed start tag at byte offset {at}", begin)
        tag = self.text[begin + 1:self.at].lower()
        if tag not in TAGS:
            self.fail(f'Unsupported start tag "{tag}" at byte offset {{at}}', begin)
        argument = ""
        while self.text[self.at] != ">":
            self.skip(lambda c: c.isspace())
            if self.text[self.at] == ">":
                break
            name, value = self.attribute(tag, begin)
            if (tag, name) == ("a", "href") or (tag, name) == ("tg-emoji", "emoji-id"):
                argument = value
            elif (tag, name) == ("code", "class") and value.startswith("language-"):
                argument = value[len("language-"):]
            elif (tag, name) == ("span", "class") and value.startswith("tg-"):
                argument = value[len("tg-"):]
            elif (tag, name) == ("blockquote", "expandable"):
                argument = "expandable"
        if tag == "span" and argument != "spoiler":
            self.fail('Tag "span" must have class "tg-spoiler" at byte offset {at}', begin)
        self.at += 1
        self.open.append((tag, argument, self.units, len(self.out)))

    def attribute(self, tag, begin):
        start = self.at
        self.skip(lambda c: not c.isspace() and c not in "=>\0")
        name = self.text[start:self.at].lower()
        if not name:
            self.fail(f'Empty attribute name in the tag "{tag}" at byte offset {{at}}', begin)
        self.skip(lambda c: c.isspace())
        if (tag, name) == ("blockquote", "expandable") and self.text[self.at] != "=":
            return name, ""
        if self.text[self.at] != "=":
            self.fail(f'Expected equal sign in declaration of an attribute of the tag "{tag}" at byte offset {{at}}', begin)
        self.at += 1
        self.skip(lambda c: c.isspace())
        quote = self.text[self.at]
        value = []
        if quote in "'\"":
            self.at += 1
            while self.text[self.at] not in (quote, "\0"):
                decoded = _decode(self.text, self.at) if self.text[self.at] == "&" else None
                char, self.at = decoded or (self.text[self.at], self.at + 1)
                value.append(char)
            if self.text[self.at] == quote:
                self.at += 1
        else:
            start = self.at
            self.skip(lambda c: c.isascii() and (c.isalnum() or c in ".-"))
            value = self.text[start:self.at].lower()
            if not self.text[self.at].isspace() and self.text[self.at] != ">":
                self.fail("Unexpected end of name token at byte offset {at}", start)
        if self.text[self.at] == "\0":
            self.fail("Unclosed start tag at byte offset {at}", begin)
        return name, "".join(value)

    def end_tag(self):
        begin = self.at
        if not self.open:
            self.fail("Unexpected end tag at byte offset {at}", begin)
        self.skip(lambda c: not c.isspace() and c not in ">\0")
        name = self.text[begin + 2:self.at].lower()
        self.skip(lambda c: c.isspace())
        if self.text[self.at] != ">":
            self.fail("Unclosed end tag at byte offset {at}", begin)
        self.at += 1
        tag, argument, offset, index = self.open.pop()
        if name and name != tag:
            self.fail(f'Unmatched end tag at byte offset {{at}}, expected "</{tag}>", found "</{name}>"', begin)
        if self.units > offset:
            self.close(tag, argument, offset, "".join(self.out[index:]))

    def close(self, tag, argument, offset, inner):
        entity = {"type": TAGS[tag], "offset": offset, "length": self.units - offset}
        last = self.entities[-1] if self.entities else None
        same = last and (last["offset"], last["length"]) == (entity["offset"], entity["length"])
        if tag == "a":
            entity["url"] = argument or inner
            if not re.match(r"(https?|tg|ton|tonsite|mailto|tel)(://|:)", entity["url"]) and "." not in entity["url"]:
                return  # no link that Telegram would open: the text stays
        elif tag == "pre" and same and last["type"] == "code" and last.get("language"):
            last["type"] = "pre"
            return
        elif tag == "code" and same and last["type"] == "pre" and argument:
            last["language"] = argument
            return
        elif tag == "code" and argument:
            entity["language"] = argument
        elif tag == "blockquote" and argument:
            entity["type"] = "expandable_blockquote"
        self.entities.append(entity)


def parse_html(text):
    """(plain text, entities); BadText as Telegram would refuse it."""
    plain, entities = _Html(text).parse()
    for entity in entities:
        if entity["type"] == "code":
            entity.pop("language", None)
    return plain, _without_nested_in_code(entities)


def _without_nested_in_code(entities):
    code = [e for e in entities if e["type"] in ("code", "pre")]

    def inside(entity):
        return any(c is not entity and c["offset"] <= entity["offset"]
                   and entity["offset"] + entity["length"] <= c["offset"] + c["length"] for c in code)
    return [e for e in entities if not inside(e)]


def _clean(text):
    """Control characters become spaces, \\r goes."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", text.replace("\r", ""))


def message_text(text, parse_mode=None, entities=None):
    """What a message of ours shows: (text, entities). BadText with the server's words."""
    if len(text.encode("utf-8", "surrogatepass")) > RAW_BYTES_MAX:
        raise BadText("text is too long")
    text, found = _clean(text), list(entities or [])
    mode = (parse_mode or "").lower()
    if mode == "html":
        text, found = parse_html(text)
    elif mode in ("markdown", "markdownv2"):
        raise NotImplementedError("this fake reads parse_mode HTML only")
    elif mode:
        raise BadText("unsupported parse_mode")
    text, found = _trim(text, found)
    if not text:
        raise BadText("message text is empty")
    if len(text) > TEXT_MAX:
        raise BadText("message is too long")
    return text, found


def _trim(text, entities):
    text = text.rstrip(" \n\t\u00a0")
    end = utf16(text)
    kept = [dict(e, length=min(e["length"], end - e["offset"])) for e in entities if e["offset"] < end]
    first = min((e["offset"] for e in kept), default=end)
    lead = 0
    while lead < len(text) and lead < first and text[lead] in " \n":
        lead += 1
    return text[lead:], [dict(e, offset=e["offset"] - lead) for e in kept]


def recognised(text):
    """The entities that Telegram finds by itself in what a person writes: commands, mentions, links."""
    found = []
    for kind, pattern in (("bot_command", r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])"),
                          ("mention", r"(?<!\w)@[A-Za-z0-9_]{2,32}\b"), ("url", r"https?://[^\s<>\"]+")):
        for m in re.finditer(pattern, text):
            found.append({"type": kind, "offset": utf16(text[:m.start()]), "length": utf16(m.group())})
    found.sort(key=lambda e: e["offset"])
    return [e for i, e in enumerate(found)
            if not any(o["offset"] <= e["offset"] < o["offset"] + o["length"] for o in found[:i])]
