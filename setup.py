"""Packaging: reads settings.ini, and puts the suites, the template notebooks and the bundled reviews inside the wheel."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(root / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

EXTRAS = ("offline", "quant", "onnx", "images", "track", "lab", "dev")
extras = {name: cfg[f"{name}_requirements"].split() for name in EXTRAS}
extras["all"] = sorted({r for name in EXTRAS for r in extras[name]})
bundled = {"suites": "suites", "templates": "nbs/templates", "reviews": "data/reviews"}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(root / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"].split(),
    author=cfg["author"],
    author_email=cfg["author_email"],
    license=cfg["license"],
    url=cfg["git_url"],
    project_urls={"Documentation": cfg["doc_url"]},
    python_requires=f">={cfg['min_python']},<{cfg['max_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    entry_points={"console_scripts": [cfg["console_scripts"]]},
    packages=[
        *find_packages(include=["senticompare", "senticompare.*"]),
        *(f"senticompare.bundled.{name}" for name in bundled),
    ],
    package_dir={f"senticompare.bundled.{name}": folder for name, folder in bundled.items()},
    package_data={
        "senticompare": ["py.typed"],
        "senticompare.bundled.suites": ["*.yaml"],
        "senticompare.bundled.templates": ["*.ipynb", "dashboard_page/*"],
        "senticompare.bundled.reviews": ["*.jsonl", "README.md"],
    },
    zip_safe=False,
)
