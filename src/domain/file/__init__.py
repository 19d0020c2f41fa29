"""An uploaded file: its name, its type by its bytes, and how much one person may upload."""

from domain.file.content import TYPES, Inspection, UnsupportedContent
from domain.file.file import FILENAME_MAX, VERSION, File, base_name, name_faults

__all__ = ["FILENAME_MAX", "TYPES", "VERSION", "File", "Inspection", "UnsupportedContent", "base_name", "name_faults"]
