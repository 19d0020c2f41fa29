"""How a command ends: one clear line and a status, never a trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from domain.errors import DomainError, Invalid
from entrypoints.backup import BackupError
from entrypoints.container import CopyError, EmbeddedPostgresError, SchemaError
from entrypoints.data_folder import DataFolderError
from entrypoints.settings import SettingsError

FAILED, BAD_USE, BAD_SCHEMA = 1, 2, 3


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with one clear line and the right status instead of a trace."""
    try:
        yield
    except (SettingsError, DataFolderError, EmbeddedPostgresError) as error:
        end(str(error), BAD_USE)
    except SchemaError as error:
        end(str(error), BAD_SCHEMA)
    except (BackupError, CopyError) as error:
        end(str(error), FAILED)
    except Invalid as error:
        end(" ".join(f"{fault.pointer or 'input'}: {fault.detail}" for fault in error.faults), BAD_USE)
    except DomainError as error:
        end(f"{error.detail} ({error.__cause__})" if error.__cause__ else error.detail, FAILED)


def end(line: str, status: int) -> NoReturn:
    print(f"complex-stories: {line}", file=sys.stderr)
    raise SystemExit(status)
