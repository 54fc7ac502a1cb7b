"""Blocks, directives, snippets, imports, the options block: what they give and what is refused."""

from collections.abc import Mapping

import pytest

import corefile
from corefile import Block, Corefile, CorefileError, Directive


def parse(text: str, files: Mapping[str, str] | None = None, **environ: str) -> Corefile:
    library = {f"conf/{name}": content for name, content in (files or {}).items()}

    def read(path: str) -> str:
        if path not in library:
            raise FileNotFoundError(2, "No such file or directory", path)
        return library[path]

    def find(pattern: str) -> list[str]:
        before, _, after = pattern.partition("*")
        return sorted(path for path in library if path.startswith(before) and path.endswith(after))

    return corefile.parse(text, path="conf/Corefile", environ=environ, read=read, find=find)


def outline(directives: tuple[Directive, ...]) -> list[object]:
    return [
        (line.name, [token.text for token in line.args])
        if line.body is None
        else (line.name, [token.text for token in line.args], outline(line.body))
        for line in directives
    ]


def keys(block: Block) -> list[str]:
    return [str(key) for key in block.keys]


def refusal(text: str, files: Mapping[str, str] | None = None) -> str:
    with pytest.raises(CorefileError) as caught:
        parse(text, files)
    return str(caught.value)


def test_a_block() -> None:
    found = parse("example.org {\n  file db {\n    reload 1m\n  }\n  log\n}\n")
    (block,) = found.blocks
    assert keys(block) == ["dns://example.org.:53"]
    assert outline(block.directives) == [("file", ["db"], [("reload", ["1m"])]), ("log", [])]
    assert str(block.directives[0].place) == "conf/Corefile:2:3"


def test_keys_go_on_after_a_comma() -> None:
    (block,) = parse("example.org,\nexample.com:5300 . {\n}").blocks
    assert keys(block) == ["dns://example.org.:53", "dns://example.com.:5300", "dns://.:53"]


def test_one_block_needs_no_braces() -> None:
    (block,) = parse("example.org:5300\nfile db {\n  reload 0\n}\nlog\n").blocks
    assert outline(block.directives) == [("file", ["db"], [("reload", ["0"])]), ("log", [])]


def test_an_empty_body_differs_from_none() -> None:
    (block,) = parse(". {\n log\n errors {\n }\n}").blocks
    assert [line.body for line in block.directives] == [None, ()]


def test_quoted_braces_are_words() -> None:
    (block,) = parse('. {\n log . "{" "}"\n}').blocks
    assert outline(block.directives) == [("log", [".", "{", "}"])]


def test_global_options_lead() -> None:
    found = parse("{\n  threads 2\n  keystore file {\n    passphrase env:P\n  }\n}\n. {\n}")
    assert outline(found.options) == [
        ("threads", ["2"]),
        ("keystore", ["file"], [("passphrase", ["env:P"])]),
    ]
    assert len(found.blocks) == 1


def test_snippets_stand_where_they_are_imported() -> None:
    (block,) = parse("(common) {\n log\n errors\n}\n. {\n import common\n whoami\n}").blocks
    assert outline(block.directives) == [("log", []), ("errors", []), ("whoami", [])]
    assert block.directives[0].place.line == 2


def test_a_snippet_can_fill_a_directives_body() -> None:
    (block,) = parse("(lame) {\n lameduck 1s\n}\n. {\n health {\n import lame\n }\n}").blocks
    assert outline(block.directives) == [("health", [], [("lameduck", ["1s"])])]


def test_files_are_imported_relative_to_the_one_that_imports() -> None:
    found = parse(
        "import sub/blocks\n. {\n import lines\n}",
        {"sub/blocks": "example.org {\n import more\n}", "sub/more": "log", "lines": "whoami"},
    )
    assert [keys(block) for block in found.blocks] == [["dns://example.org.:53"], ["dns://.:53"]]
    assert [outline(block.directives) for block in found.blocks] == [
        [("log", [])],
        [("whoami", [])],
    ]
    assert found.blocks[0].directives[0].place.file == "conf/sub/more"


def test_a_star_imports_all_that_match_in_order() -> None:
    files = {"zones/b.conf": "b.test {\n}", "zones/a.conf": "a.test {\n}", "zones/c.txt": "("}
    found = parse("import zones/*.conf", files)
    assert [block.zones for block in found.blocks] == [("a.test.",), ("b.test.",)]


def test_a_star_that_matches_nothing_warns() -> None:
    found = parse("import zones/*.conf\n. {\n}")
    assert [str(warning) for warning in found.warnings] == [
        "conf/Corefile:1:8: warning: 'zones/*.conf' matches no file; nothing is imported"
    ]


def test_variables_in_keys_and_arguments() -> None:
    (block,) = parse("{$ZONE}:{%PORT%} {\n file {$FILE}\n}", ZONE="a.test", PORT="5300").blocks
    assert keys(block) == ["dns://a.test.:5300"]
    assert outline(block.directives) == [("file", [""])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (". {", "1:3: this '{' is never closed: a '}' is missing"),
        (". {\n log {\n}\n", "1:3: this '{' is never closed: a '}' is missing"),
        ("}", "1:1: '}' without a '{' that it closes"),
        (". {\n}\n}", "3:1: '}' without a '{' that it closes"),
        (".{\n}", "1:1: '.{': a space is missing before the '{'"),
        (
            ". {\n}\n{\n threads 1\n}",
            "3:1: '{' without a zone before it; the block of global "
            "options has to be the first thing in the Corefile",
        ),
        (
            ". { whoami }",
            "1:5: 'whoami' has to start a line of its own: '{' is the last thing on its line",
        ),
        (". {\n log }\n}", "2:6: '}' has to start a line of its own"),
        (". {\n {\n }\n}", "2:2: '{' where the name of a directive should be"),
        (". {\n log {\n } more\n}", "3:4: 'more' after '}' has to start a new line"),
        (".\n{\n}", "2:1: the '{' has to stand on the line of the block's keys"),
        (
            "a.test {\n}\nb.test\nlog",
            "3:1: braces may be left out only where the Corefile has a "
            "single block; 'b.test.' needs '{' and '}'",
        ),
        ("a.test,", "1:1: another key has to follow the ','"),
        (", {\n}", "1:1: a server block needs a zone, as in 'example.org {'"),
        ("(a) {\n}\n(a) {\n}", "3:1: the snippet 'a' is defined a second time"),
        ("(a)\n{\n}", "1:1: a snippet is written '(a) {', its '{' on the same line"),
        (". {\n import\n}", "2:2: 'import' takes one snippet or file, not 0 arguments"),
        (". {\n import a b\n}", "2:2: 'import' takes one snippet or file, not 2 arguments"),
        (". {\n import a*b*\n}", "2:9: 'a*b*': an import may have one '*' and no other wildcard"),
        (". {\n import a*[b]\n}", "2:9: 'a*[b]': an import may have one '*' and no other wildcard"),
        (
            ". {\n import nothing\n}",
            "2:9: 'nothing' is neither a snippet defined above (none) nor a file (conf/nothing)",
        ),
    ],
)
def test_refusals(text: str, expected: str) -> None:
    assert refusal(text) == f"conf/Corefile:{expected}"


def test_import_loops_are_refused() -> None:
    assert refusal("import a", {"a": "import b", "b": "import a"}) == (
        "conf/b:1:8: import loop: conf/a -> conf/b -> conf/a"
    )
    assert refusal("import Corefile", {"Corefile": ""}) == (
        "conf/Corefile:1:8: import loop: conf/Corefile -> conf/Corefile"
    )
    looped = refusal("(a) {\n import a\n}\n. {\n import a\n}")
    assert looped == "conf/Corefile:2:9: import loop: (a) -> (a)"


def test_nesting_has_an_end() -> None:
    deep = ". {\n" + "a {\n" * 1000 + "}\n" * 1000 + "}"
    assert refusal(deep).endswith("nested more than 32 deep")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a.test {\n}\nb.test A.TEST {\n}", "3:8"),
        ("a.test:53 {\n}\ndns://a.test {\n}", "3:1"),
        ("a.test {\n bind 127.0.0.1 127.0.0.2\n}\na.test {\n bind 127.0.0.2\n}", "4:1"),
        ("a.test {\n view v\n}\na.test {\n view v\n}", "4:1"),
    ],
)
def test_the_same_zone_twice_is_refused(text: str, place: str) -> None:
    error = refusal(text)
    assert error.startswith(f"conf/Corefile:{place}: 'a.test.' on port 53")
    assert "is already served by the block at conf/Corefile:1:1" in error


@pytest.mark.parametrize(
    "text",
    [
        "a.test {\n}\na.test {\n view v\n}",
        "b.test a.test {\n}\nb.test:54 a.test {\n view v\n}",
        "a.test {\n bind ::1 ::2\n}\na.test {\n bind ::2\n view v\n}",
    ],
)
def test_a_view_behind_a_block_that_takes_all_is_refused(text: str) -> None:
    assert "this view is never asked: the block at conf/Corefile:1:" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "a.test {\n}\na.test:54 {\n}",
        "a.test {\n bind 127.0.0.1\n}\na.test {\n bind 127.0.0.2\n}",
        "a.test {\n view v\n}\na.test {\n view w\n}",
        "a.test {\n view v\n}\na.test {\n}",
    ],
)
def test_zones_that_differ_somewhere_stand_side_by_side(text: str) -> None:
    assert len(parse(text).blocks) == 2


def test_what_cannot_be_read_names_the_place_of_its_import() -> None:
    def read(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    with pytest.raises(CorefileError, match=r"C:1:8: x: the file can't be read: Permission denied"):
        corefile.parse("import x", path="C", environ={}, read=read)
