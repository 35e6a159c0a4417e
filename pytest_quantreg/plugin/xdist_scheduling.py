"""How xdist spreads tests: all of one scheme to one worker, so that each model loads once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.settings import Settings, Update

if TYPE_CHECKING:

    class LoadScopeScheduling:
        """xdist's scheduler by scope; xdist ships no types."""

        assigned_work: dict[Any, dict[str, dict[str, bool]]]

        def __init__(self, config: Any, log: Any) -> None: ...

        def remove_node(self, node: Any) -> str | None:
            """A worker is gone; what it had not run is given to others."""
            ...
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

    def remove_node(self, node: Any) -> str | None:
        """A worker is gone; the test that took it down is not given to the next one.

        xdist would run it again on every fresh worker: a model too large for memory
        would be loaded, and killed, over and over.
        """
        units = self.assigned_work.get(node, {}).values()
        pending = [(unit, name) for unit in units for name, ended in unit.items() if not ended]
        for unit, name in pending[:1]:
            unit[name] = True
        super().remove_node(node)
        return pending[0][1] if pending else None
