"""Zones from files: half-copied, vanished, included, found in directories."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest

from zones import file as file_module
from zones.auto import AutoDirectory
from zones.file import FileSource
from zones.source import SourceError
from zones.watch import DirectoryWatch

ORIGIN = dns.name.from_text("example.org.")
APEX = "@ 300 SOA ns hostmaster 7 3600 900 86400 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n"


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def source(path: Path, executor: Executor, reload: float | None = None) -> FileSource:
    return FileSource(ORIGIN, path, reload=reload, watch=DirectoryWatch(), executor=executor)


def aged(path: Path, text: str) -> Path:
    """A file that was written long ago, so that an error in it is final."""
    path.write_text(text)
    os.utime(path, (time.time() - 100, time.time() - 100))
    return path


def test_a_zone_is_read(tmp_path: Path, executor: Executor) -> None:
    path = aged(tmp_path / "db", APEX)
    zone = asyncio.run(source(path, executor).load())
    assert zone.serial == 7
    assert zone.record_count == 3


def test_an_error_says_file_line_column_and_how_many_more(
    tmp_path: Path, executor: Executor
) -> None:
    path = aged(tmp_path / "db", APEX + "a 300 A 192.0.2.300\nb 300 NOSUCHTYPE x\n")
    with pytest.raises(SourceError) as caught:
        asyncio.run(source(path, executor).load())
    assert re.match(rf"{path}:4:\d+$", caught.value.place)
    assert "1 more error" in caught.value.remedy


def test_a_file_that_is_not_there_says_so(tmp_path: Path, executor: Executor) -> None:
    with pytest.raises(SourceError, match="there is no such file; put it back"):
        asyncio.run(source(tmp_path / "db", executor).load())


def test_a_half_copied_file_is_waited_for(tmp_path: Path, executor: Executor) -> None:
    path = tmp_path / "db"
    text = APEX + "".join(f"h{i} 300 A 192.0.2.{i}\n" for i in range(100))

    async def scenario() -> int:
        # Ends in the middle of an address: wrong as it stands.
        path.write_text(text[: len(text) // 2] + " 300 A 192.0.")
        loading = asyncio.create_task(source(path, executor).load())
        await asyncio.sleep(3 * file_module.QUIET)
        path.write_text(text)
        return (await loading).record_count

    assert asyncio.run(scenario()) == 103


def test_a_change_gives_a_hint_and_rest_gives_none(tmp_path: Path, executor: Executor) -> None:
    path = aged(tmp_path / "db", APEX)

    async def scenario() -> tuple[bool, bool]:
        watch = DirectoryWatch()
        watching = asyncio.create_task(watch.run())
        subject = FileSource(ORIGIN, path, reload=None, watch=watch, executor=executor)
        await subject.load()
        hints = subject.changes()
        first = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0.5)
        early = first.done()
        path.write_text(APEX + "www 300 A 192.0.2.2\n")
        await asyncio.wait_for(first, 2)
        watching.cancel()
        return early, first.done()

    assert asyncio.run(scenario()) == (False, True)


def test_polling_sees_a_change_of_an_included_file(tmp_path: Path, executor: Executor) -> None:
    (tmp_path / "sub").mkdir()
    included = aged(tmp_path / "sub" / "hosts", "www 300 A 192.0.2.2\n")
    path = aged(tmp_path / "db", APEX + f"$INCLUDE {included.relative_to(tmp_path)}\n")

    async def scenario() -> tuple[int, int]:
        os.chdir(tmp_path)
        subject = source(path, executor, reload=0.1)
        before = (await subject.load()).record_count
        hint = asyncio.ensure_future(anext(subject.changes()))
        aged(included, "www 300 A 192.0.2.2\nftp 300 A 192.0.2.3\n")
        await asyncio.wait_for(hint, 2)
        return before, (await subject.load()).record_count

    assert asyncio.run(scenario()) == (4, 5)


def auto(directory: Path, pattern: str = r"db\.(.*)", template: str = "{1}") -> AutoDirectory:
    origins = (dns.name.from_text("test."),)
    return AutoDirectory(directory, re.compile(pattern), template, origins, None)


def test_auto_finds_zones_by_name_in_the_whole_tree(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("db.a.test", "more/db.B.test", "README", "db.example.org"):
        (tmp_path / name).write_text("")
    found = auto(tmp_path).find()
    assert {str(origin): path.name for origin, path in found.zones.items()} == {
        "a.test.": "db.a.test",
        "b.test.": "db.B.test",
    }
    assert found.passed_over == (
        f"{tmp_path}/db.example.org: example.org. is not at or below test.",
    )


def test_auto_builds_the_origin_from_a_template(tmp_path: Path) -> None:
    (tmp_path / "zone-one-x").write_text("")
    found = auto(tmp_path, r"zone-(\w+)-(\w+)", "{1}.{2}.test").find()
    assert [str(origin) for origin in found.zones] == ["one.x.test."]


def test_auto_says_when_the_directory_is_gone(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="create the directory"):
        auto(tmp_path / "gone").find()


def test_auto_gives_a_hint_when_files_come_or_go_and_none_for_what_is_in_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "db.a.test").write_text("")
    subject = auto(tmp_path)

    async def scenario() -> list[bool]:
        watch = DirectoryWatch()
        watching = asyncio.create_task(watch.run())
        known = subject.find().listing
        hints = subject.changes(watch, lambda: known)
        hint = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0.5)
        (tmp_path / "db.a.test").write_text("other")
        seen = [await done(hint, 0.7)]
        (tmp_path / "db.b.test").write_text("")
        seen.append(await done(hint, 5))
        known = subject.find().listing
        hint = asyncio.ensure_future(anext(hints))
        seen.append(await done(hint, 0.7))
        (tmp_path / "db.a.test").unlink()
        seen.append(await done(hint, 5))
        watching.cancel()
        return seen

    assert asyncio.run(scenario()) == [False, True, False, True]


def test_an_event_looks_at_the_files_that_it_may_concern(tmp_path: Path) -> None:
    """At a name that nobody follows it may be a link on the way to any of them."""
    looked: list[str] = []

    async def scenario() -> list[list[str]]:
        watch = DirectoryWatch()
        with contextlib.ExitStack() as stack:
            for name in ("a", "b"):
                stack.enter_context(
                    watch.follow(
                        tmp_path / name,
                        lambda name=name: bool(looked.append(name)),
                        lambda: None,
                        None,
                    )
                )
            watching = asyncio.create_task(watch.run())
            seen = []
            await asyncio.sleep(0.5)
            for name in ("a", "..data"):
                looked.clear()
                (tmp_path / name).write_text("")
                await until(lambda: bool(looked))
                await asyncio.sleep(0.1)
                seen.append(sorted(set(looked)))
            watching.cancel()
            return seen

    assert asyncio.run(scenario()) == [["a"], ["a", "b"]]


async def done(future: asyncio.Future[object], seconds: float) -> bool:
    return bool((await asyncio.wait((future,), timeout=seconds))[0])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)
