"""Contents as objects in a bucket of any S3-compatible store.

What fits into one part is put under its name by one conditional request. More goes in parts, as it comes, to a name in `incoming`, and
is copied from there by the store itself, on the condition that there is nothing of the name. Credentials, region and endpoint are
given by the store's usual variables, such as `AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`.

A store that is silent is found out within `ANSWER_SECONDS`, one that is slow is waited for: see docs/decisions/0021-faults.md.
"""

from adapters.storage.s3.store import S3FileStore

__all__ = ["S3FileStore"]
