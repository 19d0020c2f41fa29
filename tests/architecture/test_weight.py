"""An idle process is light: what few requests need, or none, is not imported before it is needed."""

import subprocess
import sys

HEAVY = ("alembic", "numpy", "obstore", "opentelemetry.sdk", "pyarrow", "redis", "sqlalchemy.orm")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    told = "import sys, entrypoints.cli; print(*sorted(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "entrypoints.container" in imported
    assert [name for name in HEAVY if name in imported] == []
