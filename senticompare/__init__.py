"""SentiCompare: which small language model, tuned in which way, to ship for sentiment analysis, and how sure one can be."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers see; nothing of it is imported before it is used
    from .classify.checkpoint import load_classifier
    from .comparison.leaderboard import leaderboard
    from .comparison.recommend import recommend
    from .data.splits import load_splits
    from .results.files import read_results
    from .run.face import Board, compare, read_board, train
    from .spec.run_spec import RunSpec, make_spec

__all__ = [
    "Board",
    "RunSpec",
    "compare",
    "leaderboard",
    "load_classifier",
    "load_splits",
    "make_spec",
    "read_board",
    "read_results",
    "recommend",
    "train",
]

_PLACES = {  # a public name -> the module that defines it
    "Board": "run.face",
    "RunSpec": "spec.run_spec",
    "compare": "run.face",
    "leaderboard": "comparison.leaderboard",
    "load_classifier": "classify.checkpoint",
    "load_splits": "data.splits",
    "make_spec": "spec.run_spec",
    "read_board": "run.face",
    "read_results": "results.files",
    "recommend": "comparison.recommend",
    "train": "run.face",
}

try:
    __version__ = version("senticompare")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> object:
    """The public object of that name, imported the first time that it is asked for (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'senticompare' has no attribute {name!r}")
    found: object = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Public names, whether they were used or not."""
    return sorted({*globals(), *__all__})
