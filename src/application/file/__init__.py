"""Files: receive and store, list, show, read, delete; and see that what is stored is what was sent."""

from application.file.keeping import VERIFIED_EVERY, Fault, Finding, NotOurs, Strangers, SweepFiles, VerifyFiles, VerifyNextFile
from application.file.reading import CheckContent, ContentDamaged, ReadContent
from application.file.uploading import DeleteFile, GetFile, ListFiles, Received, ReceiveFile, UploadFile

__all__ = [
    "VERIFIED_EVERY",
    "CheckContent",
    "ContentDamaged",
    "DeleteFile",
    "Fault",
    "Finding",
    "GetFile",
    "ListFiles",
    "NotOurs",
    "ReadContent",
    "ReceiveFile",
    "Received",
    "Strangers",
    "SweepFiles",
    "UploadFile",
    "VerifyFiles",
    "VerifyNextFile",
]
