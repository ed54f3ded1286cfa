"""SentiCompare: which small language model, tuned in which way, to ship for sentiment analysis, and how sure one can be."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("senticompare")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
