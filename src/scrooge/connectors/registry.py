"""Every connector that is installed: ours, and those of other packages, by an entry point."""

from importlib.metadata import entry_points

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Connector
from scrooge.connectors.stored_value import STORED_VALUE
from scrooge.connectors.stripe import STRIPE
from scrooge.connectors.tsp import TSP
from scrooge.errors import SettingsError

GROUP = "scrooge.connectors"
BUILT_IN = (STRIPE, ADYEN, TSP, STORED_VALUE)


def connectors() -> dict[str, Connector]:
    """By name. An entry point of the group names a Connector value.

    Raises SettingsError for one that is something else, or whose name is taken: what is open at
    a PSP must never be read by another connector than before.
    """
    found = {connector.name: connector for connector in BUILT_IN}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        offered = point.load()
        if not isinstance(offered, Connector):
            raise SettingsError(f"entry point {point.name} = {point.value} of {GROUP} is no Connector")
        if offered.name in found:
            raise SettingsError(
                f"entry point {point.name} = {point.value} of {GROUP}: "
                f"there is a connector named {offered.name!r} already"
            )
        found[offered.name] = offered
    return found
