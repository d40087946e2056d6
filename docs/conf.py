"""How Sphinx builds this site: MyST Markdown, the furo theme, the API from docstrings."""

from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import pwoct.training.record  # noqa: F401 - autodoc imports modules as type checkers see them, which pydantic does not support

project = "pwoct-cost"
author = "the pwoct-cost authors"
release = version = version_of("pwoct-cost")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
html_math_renderer = "mathml"  # set by the browser itself: no script, no font, nothing to fetch
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
default_role = "code"  # of single backticks in docstrings
exclude_patterns = ["_build", "records"]

html_theme = "furo"
html_title = f"pwoct-cost {release}"
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["tables.css"]

# Headings down to the third level get anchors, so that links to them are checked.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True

linkcheck_timeout = 20
linkcheck_anchors = False


def write_explorer(app: Any, exception: Exception | None) -> None:
    """Put the live explorer beside the pages, with a link back to them."""
    from costmodel.explorer.page import page
    from costmodel.paper.records import read_records

    if exception is None and app.builder.format == "html":
        folder = Path(app.outdir) / "live"
        folder.mkdir(exist_ok=True)
        (folder / "explorer.html").write_text(
            page("../index.html", read_records([Path(__file__).parent / "records"])), encoding="utf-8"
        )


def write_mathml(translator: Any, node: Any) -> None:
    """Write a formula as MathML."""
    from docutils import nodes
    from latex2mathml.converter import convert

    display = "inline" if isinstance(node, nodes.math) else "block"
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Tell Sphinx how formulas are written, and what to do at the end."""
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
    app.connect("build-finished", write_explorer)
