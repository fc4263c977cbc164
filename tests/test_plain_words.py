"""Words and shapes that the project's text and code avoid; the glossary has the terms to use."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SELF = Path(__file__).relative_to(ROOT).as_posix()

# A word that identifiers do not use, and words to choose from instead.
PRIVATE_WORDS = {
    "begun": "started",
    "bringing": "importing",
    "brought": "imported",
    "door": "interface",
    "doors": "interfaces",
    "drawing": "graph",
    "drawings": "graphs",
    "drawn": "saved",
    "face": "interface",
    "faces": "interfaces",
    "gone": "deleted, missing",
    "held": "pinned, locked",
    "hook": "webhook",
    "hooks": "webhooks",
    "house": "safeguards",
    "judged": "checked",
    "kept": "stored, retained",
    "law": "invariant",
    "laws": "invariants",
    "likened": "compared",
    "remembered": "cached",
    "seal": "write_once",
    "sealed": "write_once",
    "seals": "write_once",
    "shown": "rendered, displayed",
    "standing": "current_steps",
    "stands": "is_at",
    "tell": "notify, record, format",
    "telling": "notifying, reporting",
    "tells": "reports",
    "told": "recorded, notified, formatted",
    "ways": "paths, exits",
    "whoever": "user",
    "whom": "assignees",
    "world": "entity_context",
    "worlds": "entity_contexts",
}
# Names of the schema and of the report, which stay as they are.
FIXED_NAMES = {"face", "held_key", "kept"}

OPENER = re.compile(
    r"(What|Whatever|Whether|Who|Whoever|Whose|Whom|Where|When|How|Which|That|It)\b"
)
PHRASES = re.compile(
    r"\b(whoever|whatever|whichever|whomever|behind the product's back|in the way of|"
    r"stands? in the way|came of it|what helps|the laws?|what is drawn|what is due|seals?|faces?|"
    r"begun|told|tells|telling|means nothing|gone round|for whoever)\b",
    re.IGNORECASE,
)
# Names in pages: members of the API and of files.
CODE = re.compile(r"`[^`]*`")
# Its names and texts are those of the OpenAPI document.
GENERATED = "clients/python/src/holdfast_client/models.py"
# Import paths of landed migrations.
IMPORT_PATHS = {"workflows/cuid.py", "workflows/keys.py"}
# Several modules of one name in one app: only where the layout has a module for each page,
# resource or model.
LAYERS = {"admin", "api", "commands", "models", "nodes"}


def tracked(*patterns: str) -> list[str]:
    """Return the tracked files that match; landed migrations are never edited and left out."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [
        path
        for path in listed
        if "/migrations/" not in path and path not in (SELF, GENERATED) and (ROOT / path).exists()
    ]


def words_of(name: str) -> list[str]:
    """Split ``snake_case`` and ``CamelCase`` into lower-case words."""
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def private_words(name: str) -> list[str]:
    """Return a line for each word of an identifier that has a plainer one."""
    if name in FIXED_NAMES:
        return []
    return [f"{word} -> {PRIVATE_WORDS[word]}" for word in words_of(name) if word in PRIVATE_WORDS]


def names_bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that this node defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {path: ast.parse((ROOT / path).read_text()) for path in tracked("*.py")}


def test_identifiers_use_words_of_the_glossary(trees: dict[str, ast.Module]) -> None:
    found = {
        f"{path}:{getattr(node, 'lineno', 0)}: {name} ({', '.join(problems)})"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        for name in names_bound(node)
        if (problems := private_words(name))
    }
    assert not found, "\n".join(sorted(found))


def test_modules_use_words_of_the_glossary() -> None:
    found = [path for path in tracked("*.py", "*.html") if private_words(Path(path).stem)]
    assert not found, "\n".join(found)


def test_docstrings_begin_with_a_verb_or_a_noun(trees: dict[str, ast.Module]) -> None:
    # Texts that stand alone: docstrings, and those below attributes and constants.
    found = [
        f"{path}:{node.lineno}: {node.value.value.splitlines()[0]}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and OPENER.match(node.value.value)
    ]
    assert not found, "\n".join(found)


def test_strings_and_comments_use_plain_words(trees: dict[str, ast.Module]) -> None:
    found = [
        f"{path}:{node.lineno}: {match[0]!r} in {node.value[:100]!r}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
        if (match := PHRASES.search(node.value))
    ]
    found += [
        f"{path}:{number}: {match[0]!r}"
        for path in trees
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if line.lstrip().startswith("#") and (match := PHRASES.search(line))
    ]
    assert not found, "\n".join(found)


def test_pages_and_templates_use_plain_words() -> None:
    found = [
        f"{path}:{number}: {match[0]!r} in {line.strip()[:100]!r}"
        for path in tracked("*.md", "*.html", "*.css", "*.js")
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if (match := PHRASES.search(CODE.sub("", line)))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("app", ["workflows", "executions", "workflows_project"])
def test_module_names_are_unique_in_an_app(app: str) -> None:
    places = defaultdict(list)
    for path in tracked(f"{app}/*.py"):
        parts = Path(path).parts
        if path in IMPORT_PATHS or parts[-1] in ("__init__.py", "base.py"):
            continue
        if not LAYERS & set(parts):
            places[parts[-1]].append(path)
    found = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not found


@pytest.mark.parametrize("name", ["told_secret", "ToldSecret", "_is_kept", "WAYS", "the_law_holds"])
def test_private_words_are_found_in_every_spelling(name: str) -> None:
    assert private_words(name)
