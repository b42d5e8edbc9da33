"""How Sphinx builds these pages: ``python -m sphinx -W --keep-going -b html docs build/docs``.

Nothing is fetched: no other project's inventory, no font, no script.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from docutils import nodes

sys.path.insert(0, str(Path(__file__).parent.parent))

import lightxml
from lightxml.arguments import GROUPS, Argument

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # an example that wants a download fails at once
warnings.filterwarnings("error", module=r"lightxml|__main__")  # ours name the example's line

project = "lightxml"
author = "the lightxml developers"
copyright = author
release = version = lightxml.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["results/*", "_templates/*"]
templates_path = ["_templates"]
# What stands between single backticks in a docstring is linked where these pages have it. What
# begins with the package's name must be there; the rest may be an argument, or another library's,
# and the pages are built without a network.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!lightxml\b).*")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",  # each class's page shows its examples
    "doc_module": ("lightxml",),
    "reference_url": {"lightxml": None},
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 600,
    "write_computation_times": False,  # its page would fetch scripts
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
}

html_theme = "pydata_sphinx_theme"
html_title = "lightxml"
html_static_path = ["_static"]
html_css_files = ["lightxml.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
# The lab book has wide tables; its index leads to its pages.
html_sidebars: dict[str, list[str]] = {"index": [], "changelog": [], "experiments/*": []}


def setup(app: Any) -> None:
    """Connect what the extensions do not do."""
    app.connect("builder-inited", write_arguments)
    app.connect("source-read", link_to_gallery)
    app.connect("doctree-read", keep_figures_together)


def write_arguments(app: Any) -> None:
    """Write the page of arguments, which is the package's own table of them."""
    lines = [
        "# All arguments",
        "",
        "What each means stands at [`LightXMLClassifier`](api/lightxml.LightXMLClassifier.rst). "
        "An argument that is set where it has no effect gives a warning, or an error where the "
        "table says that it is refused.",
    ]
    for group, arguments in GROUPS.items():
        lines += ["", f"## {group.capitalize()}", ""]
        lines += ["| argument | default | takes | has an effect | decides the result | saved |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [argument_row(argument) for argument in arguments]
    (Path(app.srcdir) / "arguments.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def argument_row(argument: Argument) -> str:
    """Return an argument's row in its group's table."""
    effect = "always"
    if argument.needs is not None:
        refused = "; refused without" if argument.is_refused else ""
        effect = f"with {argument.needs.text}{refused}"
    decides = "yes" if argument.changes_result else "no"
    cells = (f"`{argument.name}`", f"`{argument.default!r}`", argument.kind.text, effect, decides,
             argument.saved)  # fmt: skip
    return f"| {' | '.join(cells)} |"


def link_to_gallery(_app: Any, _page: str, source: list[str]) -> None:
    """Lead to an example's page, where a code host leads to its script."""
    source[0] = re.sub(r"\]\(\.\./examples/gallery/(\w+)\.py\)", r"](gallery/\1.rst)", source[0])


def keep_figures_together(_app: Any, doctree: nodes.document) -> None:
    """Break no line within ``92.0 / 82.2 / 69.3`` or ``10.5 + 21.7`` in a table."""
    for cell in doctree.findall(nodes.entry):
        for text in list(cell.findall(nodes.Text)):
            joined = re.sub(r"(?<=\d) (?=[/+±*])|(?<=[/+]) (?=\d)", "\u00a0", text)
            text.parent.replace(text, nodes.Text(joined))
