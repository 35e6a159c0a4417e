"""The schemes of a session: the built-in ones, and those that its project defines for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .names import SCHEMES, SchemeChoice, resolve, same_words, unknown


@dataclass(frozen=True)
class ProjectScheme:
    """One scheme of the project's own.

    ``claims`` is what its name stands for: a built-in name with its suffixes, or the words
    for data that no built-in scheme has; `names.resolve` understands both, in any
    process. ``makeable`` is whether an engine that makes ``claims`` makes this: not where
    its data was written out and is not that of a built-in scheme. ``retention`` is what
    ``source`` published of it, as a share.
    """

    name: str
    claims: str
    title: str = ""
    aliases: tuple[str, ...] = ()
    makeable: bool = True
    retention: float | None = None
    source: str = ""

    def is_called(self, name: str) -> bool:
        """Whether ``name`` is its name or one of its aliases, in any spelling."""
        return any(same_words(name, alias) for alias in (self.name, *self.aliases))


@dataclass(frozen=True)
class Catalogue:
    """What names stand for in one session."""

    project_schemes: tuple[ProjectScheme, ...] = ()

    def find(self, name: str) -> ProjectScheme | None:
        """The project's own scheme of that name; None for any other name."""
        return next((scheme for scheme in self.project_schemes if scheme.is_called(name)), None)

    def choose(self, name: str) -> SchemeChoice:
        """What ``name`` stands for; of an own scheme under its own name.

        Raises WrongUse for an unknown name, with the nearest of both kinds.
        """
        scheme = self.find(name)
        if scheme is not None:
            return replace(resolve(scheme.claims), name=scheme.name, note=None)
        more = [
            spelling
            for scheme in self.project_schemes
            for spelling in (scheme.name, *scheme.aliases)
        ]
        choice = resolve(name, more=more)
        if choice.scheme not in SCHEMES:
            # The words for nameless data are for files and own schemes only.
            raise unknown(name, more=more)
        return choice

    def claims(self, name: str) -> str:
        """What `names.resolve` understands in place of ``name``: itself, or what it is like."""
        scheme = self.find(name) if self.project_schemes else None
        return name if scheme is None else scheme.claims

    def is_project_scheme(self, name: str) -> bool:
        """Whether the project defines ``name``."""
        return self.find(name) is not None
