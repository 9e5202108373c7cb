"""A deliberate bug: a text that is replaced by another, and the tests that must notice."""

from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent.parent
SIMULATION = "simulation"  # a sample of the simulated product and some wild worlds


class Mutant(Struct, frozen=True):
    """`old` stands in the file exactly once; `tests` are pytest's words, or SIMULATION; the quickest comes first."""

    name: str
    bug: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def patched(self, root: Path = ROOT) -> str:
        """The file with the bug in it. Raises ValueError when the patch does not apply any more."""
        text = (root / self.path).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: the text to replace is {text.count(self.old)} times in {self.path}")
        return text.replace(self.old, self.new)
