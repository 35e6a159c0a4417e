"""How xdist spreads tests: all of one scheme to one worker, so that each model loads once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core.settings import Settings, Update

if TYPE_CHECKING:

    class LoadScopeScheduling:
        """xdist's scheduler by scope; xdist ships no types."""

        def __init__(self, config: Any, log: Any) -> None: ...
else:
    from xdist.scheduler import LoadScopeScheduling


class SchemeScheduling(LoadScopeScheduling):
    """A scope is a scheme; tests without one go wherever there is room.

    While recording, ids name no scheme and every test may need the baseline, so all go
    to one worker.
    """

    def __init__(self, config: Any, log: Any, settings: Settings) -> None:
        super().__init__(config, log)
        self._settings = settings

    def _split_scope(self, nodeid: str) -> str:
        if self._settings.update is not Update.NO:
            return "recording"
        _, _, parameters = nodeid.partition("[")
        for scheme in sorted(self._settings.schemes, key=len, reverse=True):
            if parameters.startswith((f"{scheme}-", f"{scheme}]")):
                return scheme
        return nodeid
