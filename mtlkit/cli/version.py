"""`mtlkit --version`, and with `-v` a report for bug reports."""

from __future__ import annotations

from mtlkit import __version__


def show_version(verbose: bool) -> None:
    """Prints the version, or everything that a bug report should say about the installation."""
    if not verbose:
        print(f"mtlkit {__version__}")
        return
    from mtlkit.recipes.installation.environment import environment

    rows = environment(__version__)
    width = max(len(title) for title, _ in rows)
    for title, line in rows:
        print(f"{title:<{width}}  {line}")
