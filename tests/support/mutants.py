"""A module with one thing taken out, for each thing that can be: mechanically, by its syntax.

Taken out are operands of ``and`` and ``or``, filters, early returns, members of tables, masks,
and single letters of masks.
"""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs

_LONGEST = 64
_MASK = re.compile(r"[HROU-]{4}")


@attrs.frozen
class Mutant:
    """`name` says what is missing, and where; `load` gives the module without it."""

    name: str
    module: str
    path: str
    code: str

    def load(self) -> ModuleType:
        found = ModuleType(self.module)
        found.__file__ = self.path
        # The source is this project's own, less one part.
        exec(compile(self.code, self.path, "exec"), found.__dict__)
        return found


def mutants(module: ModuleType, tables: frozenset[str], skip: frozenset[str]) -> list[Mutant]:
    """Of each function but `skip`, and of these tables."""
    path = str(module.__file__)
    tree = ast.parse(Path(path).read_text())
    found: dict[str, Mutant] = {}
    for number, statement in enumerate(tree.body):
        if isinstance(statement, ast.FunctionDef):
            where = statement.name
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            where = statement.targets[0].id
            if where not in tables:
                continue
        else:
            continue
        if where in skip:
            continue
        for path_to, what, edit in _edits(statement):
            changed = copy.deepcopy(tree)
            _at(changed.body[number], path_to, edit)
            name = f"{where}: {_short(what)}"
            while name in found:
                name += " (again)"
            code = ast.unparse(ast.fix_missing_locations(changed))
            found[name] = Mutant(name, module.__name__, path, code)
    return list(found.values())


_Way = tuple[tuple[str, int | None], ...]


def _edits(statement: ast.stmt) -> Iterator[tuple[_Way, str, object]]:
    for way, node in _walk(statement, ()):
        if isinstance(node, ast.BoolOp):
            for index, value in enumerate(node.values):
                kept = [one for at, one in enumerate(node.values) if at != index]
                new = kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)
                kind = "and" if isinstance(node.op, ast.And) else "or"
                yield way, f"without {kind} {ast.unparse(value)}", new
        elif (
            isinstance(node, ast.comprehension)
            and node.ifs
            and not isinstance(node.ifs[0], ast.BoolOp)
        ):
            new_loop = copy.deepcopy(node)
            new_loop.ifs = []
            yield way, f"without if {ast.unparse(node.ifs[0])}", new_loop
        elif isinstance(node, ast.If) and isinstance(node.body[0], ast.Return) and not node.orelse:
            yield way, f"without if {ast.unparse(node.test)}: return", ast.Pass()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _MASK.fullmatch(node.value):
                for index, letter in enumerate(node.value):
                    if letter != "-":
                        loose = node.value[:index] + "-" + node.value[index + 1 :]
                        yield way, f"{loose} for {node.value}", ast.Constant(loose)
        elif isinstance(node, ast.Tuple) and len(node.elts) > 1 and _is_table(node):
            for index, member in enumerate(node.elts):
                rest = [one for at, one in enumerate(node.elts) if at != index]
                yield way, f"without {_title(member)}", ast.Tuple(rest, node.ctx)
        elif isinstance(node, ast.Call) and any(one.arg == "whole_zone" for one in node.keywords):
            loose_call = copy.deepcopy(node)
            loose_call.keywords = []
            yield way, f"{_title(node)} without whole_zone", loose_call


def _is_table(node: ast.Tuple) -> bool:
    return all(
        isinstance(one, ast.Call)
        or (isinstance(one, ast.Constant) and _MASK.fullmatch(str(one.value)))
        for one in node.elts
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _title(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        parts = [ast.unparse(one).rpartition(".")[2].strip("'") for one in node.args[:3]]
        return " ".join(part for part in parts if "(" not in part)
    return ast.unparse(node).strip("'")


def _walk(node: ast.AST, way: _Way) -> Iterator[tuple[_Way, ast.AST]]:
    yield way, node
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield from _walk(value, (*way, (field, None)))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                if isinstance(one, ast.AST):
                    yield from _walk(one, (*way, (field, index)))


def _at(root: ast.AST, way: _Way, new: object) -> None:
    node: object = root
    for field, index in way[:-1]:
        node = getattr(node, field)
        if index is not None:
            node = node[index]  # type: ignore[index]
    field, index = way[-1]
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new
