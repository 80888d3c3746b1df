"""HTML pages in one file: templates with autoescape, and a policy that allows only the page's own code."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from deepsort_paddle.extras import needs

__all__ = ["PageTemplate", "data_uri"]

_FOLDER = ("deepsort_paddle.output", "report_page")


class PageTemplate:
    """A template ``page.html`` with its ``page.css`` and ``page.js``, combined into one page.

    Every value is escaped. The content security policy forbids connections, and all scripts and styles except
    the template's, by their hashes; the template receives it as ``policy``, and the two files as ``style``
    and ``script``.

    Example:
        >>> page = PageTemplate("deepsort_paddle.output", "report_page")
        >>> html = page.render(title="street.mp4")  # doctest: +SKIP
    """

    def __init__(self, package: str, folder: str, *, sources: Sequence[str] = ("img-src data:",)) -> None:
        """Open a template.

        Args:
            package: package that contains the folder, such as ``deepsort_paddle.output``.
            folder: folder with ``page.html``, ``page.css`` and optionally ``page.js``; every template can
                import ``macros.html`` of `deepsort_paddle.output`.
            sources: additional directives of the content security policy, for what the page shows.

        Raises:
            ImportError: Jinja2 is not installed.
        """
        with needs("report"):
            import jinja2
            import markupsafe

        environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [jinja2.PackageLoader(*place) for place in ((package, folder), _FOLDER)]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
        self._template = environment.get_template("page.html")
        files = resources.files(package) / folder
        texts = {name: files / f"page.{ending}" for name, ending in (("script", "js"), ("style", "css"))}
        own = {name: file.read_text("utf-8") if file.is_file() else "" for name, file in texts.items()}
        allowed = [f"{name}-src '{_digest(text)}'" for name, text in own.items() if text]
        policy = ["default-src 'none'", *allowed, *sources, "base-uri 'none'", "form-action 'none'"]
        self._own = {name: markupsafe.Markup(text) for name, text in own.items()}
        self._own["policy"] = markupsafe.Markup("; ".join(policy))

    def render(self, **values: Any) -> str:
        """Fill in the template.

        Args:
            values: values of the template; markup in texts is escaped.

        Returns:
            HTML.
        """
        return self._template.render(**self._own, **values)


def data_uri(kind: str, content: bytes) -> str:
    """Return a data URI that embeds content in the page.

    Args:
        kind: media type, such as ``image/jpeg``.
        content: content of the file.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _digest(text: str) -> str:
    """Return the content security policy source that allows exactly this script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
