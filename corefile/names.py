"""Zone names as text: checked, lower case, absolute, escaped as RFC 1035 section 5.1 says."""

import hashlib
import re

# A component of a path has at most 255 octets; ordinary names at most 253.
_LONGEST_DIRECTORY = 253
_SPECIAL = frozenset('"().;\\@$')
# Names without anything special, which most are.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


def zone_name(text: str) -> str:
    """`text` as an absolute lower-case name ("example.org.").
    Raises ValueError with what is wrong with it."""
    if text == ".":
        return "."
    if not text:
        raise ValueError("a name can't be empty (the root is '.')")
    labels = _labels(text)
    if any(not label for label in labels):
        raise ValueError(f"'{text}' has an empty label")
    for label in labels:
        if len(label) > 63:
            raise ValueError(f"'{text}' has a label of {len(label)} octets; at most 63 are allowed")
    length = sum(len(label) + 1 for label in labels) + 1
    if length > 255:
        raise ValueError(f"'{text}' takes {length} octets; at most 255 are allowed")
    if _PLAIN.fullmatch(text):
        return text.lower().removesuffix(".") + "."
    return "".join(_label_text(label) + "." for label in labels)


def name_labels(text: str) -> tuple[bytes, ...]:
    """The labels of a name, escapes resolved, leftmost first, without the root's."""
    return () if text == "." else tuple(_labels(text))


def name_wire(text: str) -> bytes:
    """A name that `zone_name` gave, as uncompressed wire (RFC 1035 section 3.1)."""
    return b"".join(bytes([len(label)]) + label for label in name_labels(text)) + b"\0"


def wire_name(wire: bytes) -> str:
    """An uncompressed wire name as absolute lower-case text. Raises ValueError."""
    labels, at = [], 0
    while at < len(wire) and wire[at] != 0:
        end = at + 1 + wire[at]
        if wire[at] > 63 or end >= len(wire):
            raise ValueError("not an uncompressed wire name")
        labels.append(wire[at + 1 : end])
        at = end
    if at != len(wire) - 1 or len(wire) > 255:
        raise ValueError("not an uncompressed wire name")
    return "".join(_label_text(label) + "." for label in labels) or "."


def encloses(ancestor: str, name: str) -> bool:
    """Whether `name` is at or below `ancestor`; both as `zone_name` gives them."""
    upper, lower = name_labels(ancestor), name_labels(name)
    return len(upper) <= len(lower) and lower[len(lower) - len(upper) :] == upper


def directory_name(zone: str) -> str:
    """The directory of a zone's files: its text without the last dot, "@root" for the root;
    what is not harmless in a path is written %XX, and what would be too long for a file
    system ends in a digest."""
    if zone == ".":
        return "@root"
    # "." and ".." can't come of a zone's name: it has no empty label.
    name = "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.") else f"%{ord(char):02X}"
        for char in zone.removesuffix(".")
    )
    if len(name) <= _LONGEST_DIRECTORY:
        return name
    # No shorter name has a "~" in it.
    return name[:150] + "~" + hashlib.sha256(name.encode()).hexdigest()


def _labels(text: str) -> list[bytes]:
    if _PLAIN.fullmatch(text):
        return [plain.encode() for plain in text.removesuffix(".").split(".")]
    labels, label = [], bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == ".":
            labels.append(bytes(label))
            label.clear()
            if at == len(text):
                return labels
            continue
        if char == "\\":
            digits = text[at : at + 3]
            if len(digits) == 3 and digits.isascii() and digits.isdecimal():
                if int(digits) > 255:
                    raise ValueError(f"'{text}' has the escape \\{digits}, above \\255")
                label.append(int(digits))
                at += 3
                continue
            if not digits:
                raise ValueError(f"'{text}' ends in the middle of an escape")
            char = digits[0]
            at += 1
        if not char.isascii():
            raise ValueError(f"'{text}' is not ASCII; write an internationalised name as xn--…")
        if char.isspace() or not char.isprintable():
            raise ValueError(f"'{text}' has a space or control character in it")
        label += char.encode()
    labels.append(bytes(label))
    return labels


def _label_text(label: bytes) -> str:
    return "".join(
        f"\\{octet:03d}"
        if not 0x21 <= octet <= 0x7E
        else ("\\" if chr(octet) in _SPECIAL else "") + chr(octet)
        for octet in label.lower()
    )
