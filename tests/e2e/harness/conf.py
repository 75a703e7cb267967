"""Python values as a libconfig file."""


def conf_text(settings):
    return "".join(f"{key} = {_value(value)};\n" for key, value in settings.items())


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 0x7FFFFFFF else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {_value(v)};" for k, v in value.items()) + " }"
    if all(isinstance(v, str) for v in value) and value:
        return "[ " + ", ".join(map(_value, value)) + " ]"
    return "( " + ", ".join(map(_value, value)) + " )"
