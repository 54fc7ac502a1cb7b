"""BIND's `dnssec-policy`, followed through rollovers of months in seconds.

named makes the keys and moves their records. Where it would wait, the dates in its key files are
moved back by as long, and it is started again: all zones of a walk side by side.
"""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from house import until

from signer.keyset import RecordKind
from signer.policy import ALGORITHM_NAMES, KeyLayout, Policy

#: A key ("KSK2": the second of its role), a record, the letter of its state; and when.
Timeline = dict[tuple[str, RecordKind, str], float]

_NEXT_EVENT = re.compile(r"zone (\S+?)/IN \(signed\): next key event in (\d+) seconds")
_DATE = re.compile(r"\b\d{14}\b")
_DATE_FORMAT = "%Y%m%d%H%M%S"
_ROLES = {("yes", "yes"): "CSK", ("yes", "no"): "KSK", ("no", "yes"): "ZSK"}
_MOST_ROUNDS = 60
_ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
ns A 192.0.2.53
"""


@attrs.frozen
class Story:
    """A zone's life: under `policy` from nothing until it is settled or, without a `change`,
    until `until`; then, under `change`, until `until`. Seconds from its beginning, and from
    the change. A policy that is not `secure` is BIND's own of the name insecure. The parent
    takes each DS at once and, if it `drops`, lets go of each at once too."""

    name: str
    policy: Policy
    until: float
    change: Policy | None = None
    drops: bool = True


@attrs.define
class _Walk:
    story: Story
    home: Path
    policy: Policy
    changed: bool = False
    # What the dates were moved back by, and the Unix time that the timeline counts from.
    back: float = 0.0
    origin: float = 0.0
    timeline: Timeline = attrs.field(factory=dict)
    names: dict[str, str] = attrs.field(factory=dict)
    states: dict[tuple[str, RecordKind], str] = attrs.field(factory=dict)
    done: bool = False

    def look(self, next_event: int) -> None:
        """Note what named did, and go to where it would do something next."""
        if self._note():
            return
        if self.story.change is not None and set(self.states.values()) <= {"O", "H"}:
            if self.changed:
                self.done = bool(self.timeline)
                return
            self.policy, self.changed = self.story.change, True
            self.origin = time.time() + self.back
            self.timeline.clear()
        elif time.time() + self.back - self.origin + next_event > self.story.until:
            self.done = True
        else:
            self._pass(next_event)

    def _note(self) -> bool:
        """Take over the states; whether named was told something new of the parent."""
        told = False
        for path in sorted(self.home.glob("K*.state"), key=self._age):
            lines = _read(path)
            name = self._name(path.stem, lines)
            for kind in RecordKind:
                letter = lines.get(f"{kind.value}State", "-")[0].upper()
                if letter == "-":
                    continue
                since = _unix(lines[f"{kind.value}Change"])
                if self.states.get((name, kind), "H") != letter:
                    self.timeline[name, kind, letter] = since + self.back - self.origin
                self.states[name, kind] = letter
                if kind is RecordKind.DS and (letter != "U" or self.story.drops):
                    told = _tell(path, lines, letter, since) or told
        return told

    def _age(self, path: Path) -> tuple[str, str]:
        return _read(path)["Generated"], path.name

    def _name(self, stem: str, lines: Mapping[str, str]) -> str:
        if stem not in self.names:
            role = _ROLES[lines["KSK"], lines["ZSK"]]
            count = sum(name.startswith(role) for name in self.names.values())
            self.names[stem] = f"{role}{count + 1}"
        return self.names[stem]

    def _pass(self, seconds: int) -> None:
        """So many seconds later, as far as the key files tell."""
        self.back += seconds
        for path in self.home.glob("K*"):
            path.write_text(_DATE.sub(lambda date: _earlier(date[0], seconds), path.read_text()))


def _read(path: Path) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in path.read_text().splitlines() if line[:1] != ";")
    return {pair[0]: pair[1] for pair in pairs}


def _unix(text: str) -> float:
    return datetime.strptime(text[:14], _DATE_FORMAT).replace(tzinfo=UTC).timestamp()


def _earlier(date: str, seconds: int) -> str:
    moment = datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=UTC)
    return (moment - timedelta(seconds=seconds)).strftime(_DATE_FORMAT)


def _tell(path: Path, lines: Mapping[str, str], letter: str, since: float) -> bool:
    """Tell named that the parent did as asked, as `rndc dnssec -checkds` does; whether that
    was news."""
    field = {"R": "DSPublish", "U": "DSRemoved"}.get(letter)
    if field is None or field in lines:
        return False
    stamp = datetime.fromtimestamp(since, UTC).strftime(_DATE_FORMAT)
    with path.open("a") as file:
        file.write(f"{field}: {stamp}\n")
    return True


def walk(directory: Path, stories: Sequence[Story]) -> dict[str, Timeline]:
    """What BIND's records did and when, by story. Raises AssertionError where named ends, or
    does not come to an end of a story."""
    walks = []
    for story in stories:
        home = directory / story.name
        home.mkdir()
        walks.append(_Walk(story, home, story.policy, origin=time.time()))
    for _ in range(_MOST_ROUNDS):
        going = [one for one in walks if not one.done]
        if not going:
            return {one.story.name: one.timeline for one in walks}
        events = _round(directory, going)
        for one in going:
            one.look(events[one.story.name])
    raise AssertionError(f"no end of {[one.story.name for one in walks if not one.done]}")


def _round(directory: Path, walks: Sequence[_Walk]) -> dict[str, int]:
    """Start named, let it look at each zone's keys once, and end it. In how many seconds it
    would look again, by zone."""
    policies: dict[Policy, str] = {}
    zones = []
    for one in walks:
        for file in one.home.glob("zone*"):
            file.unlink()
        (one.home / "zone").write_text(_ZONE)
        name = "insecure"
        if one.policy.secure:
            name = policies.setdefault(one.policy, f"policy{len(policies)}")
        zones.append(
            f'zone "{one.story.name}" {{ type primary; file "{one.home}/zone"; '
            f'key-directory "{one.home}"; dnssec-policy "{name}"; inline-signing yes; }};'
        )
    config = directory / "named.conf"
    options = (
        f'options {{ directory "{directory}"; listen-on {{ none; }}; listen-on-v6 {{ none; }};'
        f" recursion no; dnssec-validation no; notify no; pid-file none; session-keyfile none; }};"
    )
    texts = [_policy(name, policy) for policy, name in policies.items()]
    config.write_text("\n".join([options, "controls { };", *texts, *zones, ""]))
    log = directory / "log"
    with log.open("wb") as output:
        command = ["named", "-g", "-d", "3", "-c", str(config)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:

        def looked() -> dict[str, int] | None:
            text = log.read_text(errors="replace")
            assert process.poll() is None, text[-2000:]
            found: dict[str, int] = {}
            for zone, seconds in _NEXT_EVENT.findall(text):
                found.setdefault(zone, int(seconds))
            return found if len(found) == len(walks) else None

        return until(looked, 60, "named looked at the keys of every zone")
    finally:
        process.terminate()
        process.wait(20)


def _policy(name: str, policy: Policy) -> str:
    """A policy of ours in BIND's words."""
    roles = ("csk",) if policy.keys is KeyLayout.CSK else ("ksk", "zsk")
    keys = "".join(
        f"{role} lifetime {policy.lifetime(role) or 'unlimited'} "
        f"algorithm {ALGORITHM_NAMES[policy.algorithm]}; "
        for role in roles
    )
    return f"""dnssec-policy "{name}" {{
    keys {{ {keys}}};
    dnskey-ttl {policy.dnskey_ttl};
    max-zone-ttl {policy.max_zone_ttl};
    zone-propagation-delay {policy.propagation};
    publish-safety {policy.publish_safety};
    retire-safety {policy.retire_safety};
    parent-ds-ttl {policy.parent_ds_ttl};
    parent-propagation-delay {policy.parent_propagation};
    signatures-validity {policy.validity};
    signatures-validity-dnskey {policy.validity};
    signatures-refresh {policy.refresh};
    purge-keys {policy.purge};
}};"""
