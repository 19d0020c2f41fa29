"""The 100 000 most used passwords, kept with the program: no password ever leaves it to be checked.

The list is `10-million-password-list-top-100000` of SecLists (Daniel Miessler and others, MIT licence).
"""

import gzip
from functools import cached_property
from pathlib import Path

from application.ports import CommonPasswords

_LIST = Path(__file__).with_name("common_passwords.txt.gz")


class CommonPasswordList(CommonPasswords):
    """Read on first use."""

    def __contains__(self, word: object) -> bool:
        return word in self._words

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(gzip.decompress(_LIST.read_bytes()).decode().casefold().splitlines())
