"""How bad a finding is."""

from enum import IntEnum


class Level(IntEnum):
    """Ordered, so that two levels compare.

    HOLD lies between a rule's `clear` and `warning`: it keeps a firing incident firing and opens none.
    """

    HOLD = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """The level as it stands in configuration, metrics and messages."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> "Level":
        """The level named `word`; raises KeyError for anything else."""
        return cls[word.upper()]
