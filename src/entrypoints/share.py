"""What each worker process lets the others know: how many connections it has."""

from collections.abc import MutableSequence

NOBODY = -1
SLACK = 2  # more than another one has: so that it need not be waited for at each connection


class Share:
    """The place of one worker in what all of them see."""

    def __init__(self, counts: MutableSequence[int], place: int) -> None:
        """`counts` is memory that the processes share."""
        self._counts = counts
        self._place = place
        self.leave()

    def tell(self, count: int) -> None:
        """So many connections this worker has now."""
        self._counts[self._place] = count

    def leave(self) -> None:
        """This worker takes no connections: nobody waits for it to."""
        self._counts[self._place] = NOBODY

    @property
    def is_next(self) -> bool:
        """Whether no other has a few less, as far as they have told."""
        enough = self._counts[self._place] - SLACK
        return all(count == NOBODY or count >= enough for count in self._counts)
