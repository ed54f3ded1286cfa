"""Imports run one way: a folder imports only from the folders before it, and no two modules import each other."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "senticompare"
ORDER = """base spec records statistics data models finetune classify measure results comparison report deploy dashboard
           run cli""".split()  # noqa: SIM905  a sentence reads better than fifteen strings


def imports() -> dict[str, set[str]]:
    """Every module of the package, with the modules of the package that it imports anywhere in its code."""
    found = {}
    for path in sorted(PACKAGE.glob("*/*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        used = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("senticompare")):
                base = parts[: len(parts) - node.level] if node.level else ()
                names = [*base, *(node.module or "").removeprefix("senticompare").strip(".").split(".")]
                module = ".".join(n for n in names if n)
                used |= {module} if "." in module else {f"{module}.{a.name}" for a in node.names}
        found[".".join(parts)] = {u for u in used if (PACKAGE / f"{u.replace('.', '/')}.py").is_file()}
    return found


def test_folders_are_those_that_have_a_place():
    """A new folder is given its place in the order before anything imports from it."""
    folders = {p.parent.name for p in PACKAGE.glob("*/*.py")}
    assert folders <= set(ORDER)


def test_imports_run_downwards():
    """No module imports from a folder that stands above its own."""
    upward = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in sorted(others)
        if ORDER.index(other.split(".")[0]) > ORDER.index(module.split(".")[0])
    ]
    assert upward == []


def test_no_module_imports_itself_through_others():
    """The modules can be put in an order, lazy imports included."""
    try:
        list(TopologicalSorter(imports()).static_order())
    except CycleError as cycle:
        raise AssertionError(" -> ".join(cycle.args[1])) from None


def test_modules_stay_short():
    """No module is longer than 400 lines."""
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in PACKAGE.glob("*/*.py")}
    assert {str(p): n for p, n in lengths.items() if n > 400} == {}
