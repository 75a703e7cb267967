"""What the fake Discord refuses in bodies: docs.discord.com/developers/resources/message, .../components/reference and
.../interactions/application-commands, with the errors of .../topics/opcodes-and-status-codes."""
import re

CONTENT_MAX = 2000
SENDABLE_FLAGS = 1 << 2 | 1 << 12 | 1 << 13 | 1 << 15
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15


class ApiError(Exception):
    def __init__(self, status, code, message, errors=None):
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors

    def body(self):
        body = {"message": self.message, "code": self.code}
        return dict(body, errors=self.errors) if self.errors else body


def unknown(what, code):
    return ApiError(404, code, f"Unknown {what}")


class Form:
    """Collects what is wrong with the fields of a body, as Discord nests it."""

    def __init__(self):
        self.errors = {}

    def wrong(self, path, code, message):
        at = self.errors
        for key in path:
            at = at.setdefault(str(key), {})
        at.setdefault("_errors", []).append({"code": code, "message": message})

    def length(self, path, value, low, high):
        n = len(value.encode("utf-16-le", "surrogatepass")) // 2
        if low and not n:
            self.wrong(path, "BASE_TYPE_REQUIRED", "This field is required")
        elif not low <= n <= high:
            where = f"Must be between {low} and {high} in length." if low else f"Must be {high} or fewer in length."
            self.wrong(path, "BASE_TYPE_BAD_LENGTH" if low else "BASE_TYPE_MAX_LENGTH", where)

    def text(self, path, value, low, high):
        if isinstance(value, str):
            self.length(path, value, low, high)
        else:
            self.wrong(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')

    def done(self):
        if self.errors:
            raise ApiError(400, 50035, "Invalid Form Body", self.errors)


def _nonce(form, body):
    nonce = body.get("nonce")
    if nonce is None:
        return
    if isinstance(nonce, bool) or not isinstance(nonce, (str, int)):
        form.wrong(["nonce"], "NONCE_TYPE", "Nonce must be a string or an integer.")
    elif len(str(nonce)) > 25:
        form.wrong(["nonce"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")


def _mentions(form, body):
    allowed = body.get("allowed_mentions")
    if allowed is None:
        return
    if not isinstance(allowed, dict):
        form.wrong(["allowed_mentions"], "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    parse = allowed.get("parse") or []
    for i, word in enumerate(parse):
        if word not in ("roles", "users", "everyone"):
            form.wrong(["allowed_mentions", "parse", i], "BASE_TYPE_CHOICES",
                       "Value must be one of {'roles', 'users', 'everyone'}.")
    for kind in ("users", "roles"):
        listed = allowed.get(kind) or []
        if listed and kind in parse:
            form.wrong(["allowed_mentions"], "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                       f"parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.")
        if len(listed) > 100:
            form.wrong(["allowed_mentions", kind], "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
        for i, one in enumerate(listed):
            if not re.fullmatch(r"\d{1,20}", str(one)):
                form.wrong(["allowed_mentions", kind, i], "NUMBER_TYPE_COERCE", f'Value "{one}" is not snowflake.')


def _button(form, path, button, seen):
    style, custom_id = button.get("style"), button.get("custom_id")
    if button.get("type") != 2:
        form.wrong(path + ["type"], "BASE_TYPE_CHOICES", "Value must be one of {2, 3, 5, 6, 7, 8}.")
        return
    if style not in (1, 2, 3, 4, 5):
        form.wrong(path + ["style"], "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6}.")
    if style == 5:
        form.text(path + ["url"], button.get("url", ""), 1, 512)
    else:
        form.text(path + ["custom_id"], custom_id if custom_id is not None else "", 1, 100)
        if custom_id in seen:
            form.wrong(path + ["custom_id"], "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
        seen.add(custom_id)
    if button.get("label") is not None:
        form.text(path + ["label"], button["label"], 0, 80)
    if not button.get("label") and not button.get("emoji"):
        form.wrong(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji.")


def _components(form, body):
    rows = body.get("components")
    if rows is None or (body.get("flags") or 0) & COMPONENTS_V2:
        return
    if not isinstance(rows, list) or len(rows) > 5:
        form.wrong(["components"], "BASE_TYPE_MAX_LENGTH", "Must be 5 or fewer in length.")
        return
    seen = set()
    for i, row in enumerate(rows):
        buttons = row.get("components") if isinstance(row, dict) else None
        if not isinstance(row, dict) or row.get("type") != 1:
            form.wrong(["components", i, "type"], "BASE_TYPE_CHOICES", "Value must be one of {1}.")
        elif not isinstance(buttons, list) or not 1 <= len(buttons) <= 5:
            form.wrong(["components", i, "components"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        else:
            for j, button in enumerate(buttons):
                _button(form, ["components", i, "components", j], button, seen)


def check_message(body):
    """The fields of a message that is sent or changed."""
    form = Form()
    if body.get("content") is not None:
        form.text(["content"], body["content"], 0, CONTENT_MAX)
        if (body.get("flags") or 0) & COMPONENTS_V2:
            form.wrong(["content"], "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                       "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2")
    if len(body.get("embeds") or []) > 10:
        form.wrong(["embeds"], "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    if isinstance(body.get("flags"), bool) or not isinstance(body.get("flags", 0) or 0, int):
        form.wrong(["flags"], "NUMBER_TYPE_COERCE", f'Value "{body["flags"]}" is not int.')
    _nonce(form, body)
    _mentions(form, body)
    _components(form, body)
    form.done()


def is_empty(body):
    content = body.get("content")
    return not ((content or "").strip() or body.get("embeds") or body.get("components") or body.get("attachments")
                or body.get("sticker_ids") or body.get("poll"))


def _name(form, path, name):
    fine = isinstance(name, str) and 1 <= len(name) <= 32 and all(c in "-_'" or c.isalnum() for c in name)
    if not fine or name != name.lower():
        form.wrong(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _options(form, path, options):
    optional, names = False, set()
    if len(options) > 25:
        form.wrong(path, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for i, option in enumerate(options):
        here = path + [i]
        _name(form, here + ["name"], option.get("name"))
        form.text(here + ["description"], option.get("description", ""), 1, 100)
        if option.get("type") not in range(1, 12):
            form.wrong(here + ["type"], "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}.")
        if option.get("name") in names:
            form.wrong(path, "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
        names.add(option.get("name"))
        if option.get("required") and optional:
            form.wrong(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                       "Required options must be placed before non-required options")
        optional = optional or not option.get("required")
        _choices(form, here, option)
        if option.get("type") in (1, 2):
            _options(form, here + ["options"], option.get("options") or [])


def _choices(form, here, option):
    choices = option.get("choices") or []
    if len(choices) > 25:
        form.wrong(here + ["choices"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for i, choice in enumerate(choices):
        form.text(here + ["choices", i, "name"], choice.get("name", ""), 1, 100)
        if option.get("type") == 3:
            form.text(here + ["choices", i, "value"], choice.get("value"), 0, 100)
    for key, low in (("min_length", 0), ("max_length", 1)):
        n = option.get(key)
        if n is not None and not low <= n <= 6000:
            form.wrong(here + [key], "NUMBER_TYPE_MAX", f"int value should be between {low} and 6000.")


def check_commands(commands):
    """The body of "bulk overwrite": a list of commands."""
    form, names = Form(), set()
    if not isinstance(commands, list):
        raise ApiError(400, 50035, "Invalid Form Body", {"_errors": [{"code": "LIST_TYPE_CONVERT",
                                                                      "message": "Only iterables may be used in a ListType"}]})
    for i, command in enumerate(commands):
        kind = command.get("type", 1)
        if kind == 1:
            _name(form, [i, "name"], command.get("name"))
            form.text([i, "description"], command.get("description", ""), 1, 100)
            _options(form, [i, "options"], command.get("options") or [])
        else:
            form.text([i, "name"], command.get("name", ""), 1, 32)
            if command.get("description"):
                form.wrong([i, "description"], "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION",
                           "Context menu commands cannot have description")
        if (kind, command.get("name")) in names:
            form.wrong([], "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        names.add((kind, command.get("name")))
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        if sum(1 for k, _ in names if k == kind) > most:
            raise ApiError(400, 30032, f"Maximum number of application commands reached ({most})")
    form.done()
