"""Is every notebook a lesson? Counts, for each, what CONTRIBUTING asks of it; `--check` ends with 1 where a rule is broken.

`python tools/lessons.py [FOLDER ...] [--check]`; the last lines say what stands between here and the rule.
"""

import ast
import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES, MEDIAN_LINES, PROSE, EVIDENCE = 20, 10, 0.25, 0.9
DAMAGE = (
    (re.compile(r"/(?:home|root|work|tmp|Users|opt)/\w"), "a path of a machine"),
    (re.compile(r"\b\w*Warning:"), "a warning"),
    (re.compile(r"Traceback \(most recent call last\)"), "a traceback"),
    (re.compile(r'"?status"?: "?refused'), "a refused run"),
)


@dataclass(frozen=True)
class Lesson:
    """What was counted in one notebook."""

    path: Path
    lengths: tuple[int, ...]  # lines of code of each export cell, without imports and directives
    prose: float  # share of the characters that are prose, 0 to 1
    public: tuple[str, ...]  # public functions and classes
    bare: tuple[str, ...]  # those of them that no demonstration follows
    damage: tuple[str, ...]  # what is wrong with the saved outputs


def body_of(source: str) -> str:
    """The code of an export cell without its directives."""
    return "\n".join(line for line in source.split("\n") if not line.startswith("#|")).strip()


def is_code(source: str) -> bool:
    """Whether a cell defines something, rather than only import."""
    return any(not isinstance(n, ast.Import | ast.ImportFrom) for n in ast.parse(body_of(source)).body)


def definitions(source: str) -> list[str]:
    """Public functions and classes that a cell defines."""
    nodes = ast.parse(body_of(source)).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [n.name for n in nodes if isinstance(n, kinds) and not n.name.startswith("_")]


def texts_of(output: dict) -> str:
    """Everything that a saved output would show."""
    data = output.get("data", {})
    parts = [
        output.get("text", ""),
        data.get("text/plain", ""),
        data.get("text/markdown", ""),
        output.get("traceback", ""),
    ]
    return "\n".join("".join(p) if isinstance(p, list) else p for p in parts)


def ends_in_expression(source: str) -> bool:
    """Whether a cell's last statement is an expression whose value Jupyter would show."""
    code = "\n".join(line for line in source.split("\n") if not line.startswith(("#|", "%", "!")))
    body = ast.parse(code).body
    return bool(body) and isinstance(body[-1], ast.Expr) and not code.rstrip().endswith(";")


def damage_of(cell: dict, source: str) -> list[str]:
    """What is wrong with one cell's saved outputs."""
    said = "\n".join(texts_of(o) for o in cell.get("outputs", []))
    found = [words for pattern, words in DAMAGE if pattern.search(said)]
    quiet = re.search(r"^#\| (?:hide|eval: false)", source, re.MULTILINE) or not source.strip()
    call_of_nothing = re.match(
        r"(?:\w+\.)*(?:append|extend|update|write_text|mkdir|fit|close|add|remove|clear)\(", last_line(source)
    )
    if not quiet and not cell.get("outputs") and ends_in_expression(source) and not call_of_nothing:
        found.append(f"no output of {last_line(source)[:40]!r}")
    return found


def last_line(source: str) -> str:
    """The last line of code that is not inside another statement."""
    lines = [line for line in source.split("\n") if line.strip() and not line.startswith((" ", ")", "]", "}"))]
    return lines[-1] if lines else ""


def lesson(path: Path) -> Lesson:
    """Count what is in one notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells]
    kinds = [
        "prose" if c["cell_type"] == "markdown" else "export" if s.startswith("#| export") else "code"
        for c, s in zip(cells, sources, strict=True)
    ]
    words = sum(len(s) for s, k in zip(sources, kinds, strict=True) if k == "prose")
    whole = sum(map(len, sources)) or 1
    public, bare, lengths, damage = [], [], [], []
    for i, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        if kind == "export" and is_code(source):
            lengths.append(len(body_of(source).split("\n")))
            names = definitions(source)
            following = next((k for k in kinds[i + 1 :] if k != "prose"), "")
            public += names
            bare += names if following != "code" else []
        elif kind == "code" and not source.startswith("#| default_exp"):
            damage += [f"cell {cells[i]['id']}: {d}" for d in damage_of(cells[i], source)]
    return Lesson(path, tuple(lengths), words / whole, tuple(public), tuple(bare), tuple(damage))


def faults(lessons: list[Lesson]) -> list[str]:
    """One line for every rule that is broken."""
    lengths = [n for x in lessons for n in x.lengths]
    public, bare = sum(len(x.public) for x in lessons), sum(len(x.bare) for x in lessons)
    shares = [x.prose for x in lessons if x.lengths]
    found = [f"{x.path.relative_to(ROOT)}: {d}" for x in lessons for d in x.damage]
    found += [
        f"{x.path.relative_to(ROOT)}: an export cell of {n} lines" for x in lessons for n in x.lengths if n > MOST_LINES
    ]
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        found.append(f"export cells have {statistics.median(lengths):g} lines in the median, not {MEDIAN_LINES}")
    if shares and statistics.median(shares) < PROSE:
        found.append(f"the median notebook is {100 * statistics.median(shares):.0f} % prose, not {100 * PROSE:.0f} %")
    if public and 1 - bare / public < EVIDENCE:
        found.append(
            f"{100 * (1 - bare / public):.0f} % of public definitions are followed by evidence, not {100 * EVIDENCE:.0f} %"
        )
    return found


def main(arguments: list[str]) -> int:
    """Print the table, then the faults."""
    folders = [a for a in arguments if not a.startswith("-")] or ["."]
    paths = [p for f in folders for p in sorted((ROOT / "nbs" / f).rglob("*.ipynb"))]
    paths = [
        p for p in paths if "reports" not in p.parts and ".ipynb_checkpoints" not in p.parts and p.stem != "dashboard"
    ]
    lessons = [lesson(p) for p in paths]
    print(f"{'notebook':44} {'cells':>5} {'longest':>7} {'prose':>6} {'public':>6} {'bare':>4}  without evidence")
    for x in lessons:
        name = str(x.path.relative_to(ROOT / "nbs"))
        print(
            f"{name:44} {len(x.lengths):5} {max(x.lengths, default=0):7} {100 * x.prose:5.0f}% {len(x.public):6} {len(x.bare):4}  {' '.join(x.bare)}"
        )
    wrong = faults(lessons)
    print("\n".join(["", *wrong, f"{len(wrong)} rules broken" if wrong else "every notebook is a lesson"]))
    return int(bool(wrong) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
