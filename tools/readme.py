"""Write README.md from nbs/index.ipynb (no Quarto needed); with --check only say whether it is in step."""

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by `make readme` from nbs/index.ipynb: edit the notebook. -->\n"


def output_text(output) -> str:
    """The text of a cell's output, as a code block (or Markdown where the cell displayed Markdown)."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.get("data", {})
    if "text/markdown" in data:
        return data["text/markdown"]
    return f"```text\n{data['text/plain'].rstrip()}\n```" if "text/plain" in data else ""


def readme() -> str:
    """The index notebook as Markdown: prose, code and saved outputs; cells that start with `#| hide` stay out."""
    parts = [NOTE]
    for cell in nbformat.read(ROOT / "nbs/index.ipynb", 4).cells:
        if cell.source.startswith("#| hide"):
            continue
        shown = "\n".join(line for line in cell.source.splitlines() if not line.startswith("#|"))
        echo = "#| echo: false" not in cell.source
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts += [f"```python\n{shown}\n```"] * echo + [t for t in map(output_text, cell.outputs) if t]
    return "\n\n".join(p.strip("\n") for p in parts) + "\n"


if __name__ == "__main__":
    path, text = ROOT / "README.md", readme()
    if "--check" in sys.argv:
        sys.exit(
            0
            if path.read_text(encoding="utf-8") == text
            else "README.md is not in step with nbs/index.ipynb: run 'make readme'"
        )
    path.write_text(text, encoding="utf-8")
