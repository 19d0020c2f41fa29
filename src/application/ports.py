"""What the use cases need from outside. Every sentence here is tested by a contract suite, on the fake and on the real adapter.

`get` and `lock` raise `NotFound` for what is absent or deleted; `lock` also holds the row until the unit of work ends, so that
a decision taken on it stands. What the store alone can decide between two writers, it decides while writing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, TypeVar
from uuid import UUID

from domain.agreement import Figures, Gathered, Labels
from domain.annotation import Annotation, AnnotationFilter, Given, Judgement
from domain.api_key import ApiKey
from domain.audit import AuditFilter, Entry, Recorded, Told
from domain.audit_chain import Head, Link
from domain.erasure import Erasure
from domain.errors import Unavailable
from domain.export import Column, Export, Format, Manifest, Quota, Subject
from domain.file import File
from domain.idempotency import Keyed
from domain.label_set import LabelSet, Level
from domain.project import Project
from domain.resource import Filter, Resource, ResourceVersion, Sort
from domain.resource_import import Effect, Judged, Piece, RowFault, TableKind
from domain.response import Outcome, Response
from domain.results import ContingencyTables, NotedSpending, Spending, Spent, Tally
from domain.session import Session
from domain.survey import Change, Definition, FieldChange, Question, ResponseFilter, ResponseRow, Results, Survey
from domain.user import User

# --- time, chance, secrets -------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Now, in UTC."""


class Random(Protocol):
    """What nobody can guess."""

    def uuid(self) -> UUID:
        """A new UUIDv7: unique, and in order of time, to the millisecond."""

    def token(self) -> str:
        """256 random bits as 43 characters of base64url."""

    def bits(self, number: int) -> int:
        """A whole number of so many random bits."""


class PasswordHasher(Protocol):
    """Slow hashes of passwords, made without holding up anything else."""

    async def hash(self, password: str) -> str:
        """A salted hash. Raises `Unavailable` when too many wait."""

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password; without a hash it takes just as long, and is False. Raises `Unavailable`."""

    def is_outdated(self, hashed: str) -> bool:
        """Whether `hash` would make a stronger one today: tells at once, from how the hash was made."""


class CommonPasswords(Protocol):
    """The most used passwords."""

    def __contains__(self, word: object) -> bool:
        """Whether this lower-case word is one of them."""


class Tokens(Protocol):
    """Access tokens and refresh tokens, unforgeable. Both readers raise `InvalidToken`."""

    @property
    def access_seconds(self) -> int:
        """How long an access token is good for."""

    def access(self, *, user_id: int, session_id: UUID, at: datetime) -> str:
        """A token that opens a session's doors until it expires."""

    def read_access(self, token: str, *, at: datetime) -> tuple[int, UUID]:
        """The user and the session that a genuine, unexpired access token names."""

    def refresh(self, *, session_id: UUID, generation: int) -> str:
        """The refresh token of this generation: the same each time it is asked for."""

    def read_refresh(self, token: str) -> tuple[UUID, int]:
        """The session and the generation that a genuine refresh token names."""


class Respondents(Protocol):
    """How a reader is known without being identified."""

    def pseudonym(self, *, project_id: int, fingerprint: str) -> bytes:
        """32 bytes: the same for the same fingerprint in a project, unrelated in another, of no use without the key."""

    def pseudonym_of_token(self, *, project_id: int, token_hash: bytes) -> bytes:
        """The pseudonym of who is named by a token alone: no fingerprint has it."""

    def token(self) -> str:
        """A new respondent token: 256 random bits as 43 characters of base64url."""

    def hash(self, token: str) -> bytes:
        """What a respondent token is known by: 32 bytes, which `Responses` bind to the project before they keep them."""


# --- repositories ----------------------------------------------------------------------------------------------------------


class Users(Protocol):
    """Accounts."""

    async def add(self, user: User) -> User:
        """The user with its id. Raises `UsernameTaken`."""

    async def add_free(self, users: Sequence[User]) -> list[User]:
        """Those users whose usernames were free, with their ids; the others are not added."""

    async def get(self, user_id: int) -> User: ...

    async def lock(self, user_id: int) -> User: ...

    async def by_username(self, username: str) -> User | None:
        """The user of this canonical username."""

    async def named(self, usernames: Sequence[str]) -> list[User]:
        """The users of these canonical usernames."""

    async def lock_active_admins(self) -> frozenset[int]:
        """The ids of all active admins, none of whom changes until the unit of work ends."""

    async def save(self, user: User) -> None:
        """Store the changes of a locked user."""

    async def page(self, *, search: str | None, after: int, limit: int) -> list[User]:
        """Up to `limit` users by id, from after this id on; `search` is a literal part of the username or the address."""


class SetupTokens(Protocol):
    """One-time tokens with which a person sets a password. Only their hashes are kept."""

    async def add(self, *, token: str, user_id: int, expires_at: datetime) -> None:
        """From now on only this token is good for this user."""

    async def add_all(self, tokens: Mapping[int, str], *, expires_at: datetime) -> None:
        """The same for many users at once: their tokens by their ids."""

    async def redeem(self, token: str, *, at: datetime) -> int | None:
        """The user whom an unexpired token is for, once: of two that redeem it, one gets None. The user is locked."""

    async def end(self, user_id: int) -> None:
        """From now on no token is good for this user, who is locked."""


class Sessions(Protocol):
    """Sign-ins."""

    async def add(self, session: Session) -> None: ...

    async def lock(self, session_id: UUID) -> Session | None: ...

    async def save(self, session: Session) -> None:
        """Store the changes of a locked session."""

    async def user_of(self, *, session_id: UUID, user_id: int, at: datetime) -> User | None:
        """The user, when active, of this session, when live: both as they are now."""

    async def page(self, user_id: int, *, at: datetime, after: UUID, limit: int) -> list[Session]:
        """Up to `limit` live sessions of a user by id, from after this id on: as they began."""

    async def end(self, session_id: UUID, *, at: datetime) -> int | None:
        """End a session; one that has ended stays as it is. Whose it was, when it ended now."""

    async def end_own(self, session_id: UUID, *, user_id: int, at: datetime) -> None:
        """End a live session of this user. Raises `NotFound` when there is none of this id: of two that end it, one is told so."""

    async def end_oldest(self, user_id: int, *, keep: int, at: datetime) -> list[UUID]:
        """End the live sessions of a user but the newest `keep`: which. Whoever adds one to a user holds that user."""

    async def end_all(self, user_id: int, *, at: datetime, but: UUID | None = None) -> list[UUID]:
        """End every live session of a user, `but` one: those that ended now, by id."""


class SignInFailures(Protocol):
    """Failed sign-ins of late, by username (existing or not) and network."""

    async def begin(self, *, username: str, network: str, at: datetime) -> tuple[int, datetime | None]:
        """Count a try as failed before it is judged, so that parallel guesses cannot outrun the count.

        The try's number, to `forgive` it with; and, when the name had ten failures or more within fifteen minutes before it,
        this network's among them, when the oldest of those that count is forgotten.
        """

    async def forgive(self, number: int) -> None:
        """Uncount a try: it succeeded, or was not judged."""


class ApiKeys(Protocol):
    """API keys. Only the hashes of their secrets are kept."""

    async def add(self, key: ApiKey, *, secret: str) -> ApiKey:
        """The key with its id."""

    async def count(self, user_id: int, *, at: datetime) -> int:
        """How many live keys a user has."""

    async def page(self, user_id: int, *, at: datetime, after: int, limit: int) -> list[ApiKey]:
        """Up to `limit` live keys of a user by id, from after this id on."""

    async def holder(self, secret: str, *, at: datetime) -> tuple[User, ApiKey] | None:
        """The user, when active, whom a live key of this secret is for, and the key: both as they are now."""

    async def note_use(self, key_id: int, *, at: datetime) -> None:
        """Store when a key was used, unless a use less than a minute before is stored already."""

    async def revoke(self, key_id: int, *, user_id: int, at: datetime) -> None:
        """Revoke a live key of this user. Raises `NotFound` when there is none of this id: of two that revoke it, one is told so."""

    async def revoke_all(self, user_id: int, *, at: datetime) -> list[int]:
        """Revoke every live key of a user: those that were revoked now, by id."""


class Projects(Protocol):
    """Projects that are not deleted."""

    async def add(self, project: Project) -> Project:
        """The project with its id. Raises `SlugTaken`."""

    async def get(self, slug: str) -> Project: ...

    async def lock(self, slug: str) -> Project: ...

    async def save(self, project: Project) -> None:
        """Store the changes of a locked project."""

    async def was_used(self, slug: str) -> bool:
        """Whether a project has this slug or, deleted, had it."""

    async def page(self, *, after: str, limit: int) -> list[Project]:
        """Up to `limit` projects by slug, from after this slug on."""

    async def overview(self, slug: str) -> tuple[Project, "Counts"]:
        """A project and what is in it, of one moment. Raises `NotFound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is in a project."""

    resources: int
    files: int
    survey_open: bool


class Resources(Protocol):
    """Resources as entities, for changing them."""

    async def add(self, resource: Resource) -> Resource:
        """The resource with its id. Raises `NameTaken`, and `NotFound` when the project is gone."""

    async def get(self, *, project: str, resource_id: int) -> Resource:
        """The resource, a soft-deleted one too."""

    async def lock(self, *, project: str, resource_id: int, deleted: bool = False) -> Resource:
        """With `deleted`, a soft-deleted one is found too."""

    async def ids(self, *, project: str, names: Sequence[str]) -> dict[str, int]:
        """The ids of those live resources that have these names, which are canonical."""

    async def lock_by_name(self, *, project: str, name: str) -> Resource | None:
        """The live resource of this name, compared in canonical form."""

    async def save(self, resource: Resource) -> None:
        """Store the changes of a locked resource, and keep what it was among its versions. Raises `NameTaken`."""


class ResourceVersions(Protocol):
    """What resources were, and are. Whatever changes a resource keeps what it was, at most so many versions of each."""

    async def get(self, resource: Resource, version: int) -> ResourceVersion:
        """Raises `NotFound` for one that never was, or is no longer kept."""

    async def page(self, resource: Resource, *, before: int | None, limit: int) -> list[ResourceVersion]:
        """Up to `limit` versions, newest first, from before this one on."""

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Let go of up to `limit` versions whose place another took before this time: how many."""


class ResourceEdits(Protocol):
    """Edits of live resources in two steps that hold nothing between them."""

    async def get(self, *, project: str, resource_id: int) -> Resource:
        """The live resource. Raises `NotFound`."""

    async def swap(self, before: Resource, after: Resource, *, entry: Entry) -> bool:
        """Store a resource instead of what it was, keep that among its versions, and add what the audit trail tells of it.

        All of it, or nothing where the resource has changed meanwhile: whether it was stored. Raises `NameTaken`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """A place in a sorted list: the sort key (as JSON) and the id of the entry that it comes after."""

    key: str | int | None
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One entity as JSON, and its version."""

    json: bytes
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A JSON array of entities, and where the next one begins."""

    json: bytes
    next: After | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPage:
    """A JSON array of entities, and how many there are in all, of one moment."""

    json: bytes
    total: int


class ResourceReader(Protocol):
    """Live resources as the JSON of the contract, made by the store: nothing is decoded just to be encoded again.

    Each entry has `id project name description status attributes created_by created_at updated_at is_active version`, times
    in RFC 3339 with microseconds and `Z`. All raise `NotFound` when the project is absent.
    """

    async def get(self, *, project: str, resource_id: int) -> Document:
        """One resource. Raises `NotFound`."""

    async def page(self, where: Filter, *, sort: Sort, limit: int, skip: int = 0, after: After | None = None) -> Page:
        """Up to `limit` resources after a place, or after the first `skip`."""

    async def numbered_page(self, where: Filter, *, sort: Sort, page: int, per_page: int) -> NumberedPage:
        """The page of this number, from 1."""

    async def count(self, where: Filter) -> int:
        """How many there are."""


class ImportTables(Protocol):
    """Files of resources, and of labels."""

    def pieces(self, kind: TableKind, file: BinaryIO) -> Iterator[Piece]:
        """The rows of a file, some at a time; reading blocks. Raises `Unreadable`, and `InvalidRows` for a bad header."""

    def labels(self, file: BinaryIO) -> Iterator[Piece]:
        """The same of a file of labels, which is CSV."""


class ResourceImports(Protocol):
    """A table of resources on its way into a project: once begun, the unit of work may take its time."""

    async def begin(self, project: str) -> None:
        """Raises `NotFound`, and `Unavailable` while another import of the project is under way."""

    async def insert(self, judged: Iterator[Judged], *, by: User, at: datetime) -> Effect | None:
        """Store all rows as new resources while they come, with an audit entry for each. They are taken as by `stage`.

        None when a row is broken, or its name that of an earlier row or of a live resource: then nothing was done, and perhaps not
        every row was taken. Raises what the iterator raises.
        """

    async def stage(self, judged: Iterator[Judged]) -> None:
        """Put rows aside. They are taken from the iterator, which may block, without holding up anything else."""

    async def faults(self, *, taken: bool) -> tuple[list[RowFault], int]:
        """The first 1 000 names that an earlier row has or, where `taken`, a live resource; and how many good rows have one."""

    async def effect(self, *, deleting: bool) -> Effect:
        """What the rows would do to the resources as they are now; where `deleting`, those that they do not name are put away."""

    async def apply(self, *, by: User, at: datetime) -> bool:
        """Bring about exactly the effect told last, with an audit entry for each change.

        False when it would be another by now: then nothing was done.
        """


class Surveys(Protocol):
    """The survey of each project."""

    async def get(self, project: str) -> Survey:
        """The survey as it is now."""

    def remembered(self, project: str) -> Survey | None:
        """The survey as `get` last saw it: free of cost, and perhaps out of date."""

    async def lock(self, project: str) -> tuple[int, Survey | None]:
        """The project's id and its survey, neither of which changes until the unit of work ends."""

    async def save(self, survey: Survey, changes: tuple[FieldChange, ...]) -> None:
        """Store a new version of a locked survey, and which changes brought it."""

    async def switch(self, survey: Survey) -> None:
        """Store whether a locked survey is open."""

    async def definitions(self, project_id: int) -> list[Definition]:
        """Every version's definition, oldest first."""

    async def answered(self, project_id: int, field: str) -> list[tuple[Any, int]]:
        """The stored answers to a field of a locked survey, each with how many respondents gave it."""

    async def versions(self, project: str, *, before: int | None, limit: int) -> list["Version"]:
        """Up to `limit` versions, newest first, from before this one on. Raises `NotFound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a survey: when and by whom (a username) it was published, and what it changed."""

    version: int
    published_at: datetime
    published_by: str
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a save came to: the stored answers of its fields, which of them were stale, the response's revision and last change.

    `seqs` are all numbers that are stored; only of a save that was stale as a whole.
    """

    outcome: Outcome
    answers: dict[str, Any]
    stale: frozenset[str]
    revision: int
    saved_at: datetime
    seqs: dict[str, int] | None = None


class SurveyMoved(Exception):
    """The survey is no longer open at the version that accepted the change."""


Witness = Callable[[Erasure], Awaitable[None]]


class Responses(Protocol):
    """Responses.

    Whatever is erased, by `erase` or because consent was withdrawn, is told to a witness before it is committed. What the witness
    raises is raised, and nothing was erased.
    """

    async def save(
        self,
        change: Change,
        *,
        project_id: int,
        pseudonym: bytes,
        token_hash: bytes,
        is_shown: bool,
        by_token: bool = False,
        seq: int | None,
        at: datetime,
        is_test: bool = False,
    ) -> Saved:
        """Apply a change as `Response.save` and `new_response` do, so that no concurrent save can break it, and log it.

        `is_test` marks the response that this save makes; of one that is there it changes nothing.

        The respondent is named by the pseudonym or, `by_token`, by the token. `is_shown` says that the reader showed the token: then
        it must be the respondent's own. Otherwise it is one that we made, for a response that this save may make. A response keeps
        at most `CHANGES_MAX` changes, and more only while that many fields have one.
        Raises `SurveyMoved`, `TokenRequired`, and `ConsentRequired`; then nothing was stored.
        """

    async def by_token(self, project: str, token_hash: bytes) -> Response | None:
        """The response of the respondent who holds this token. Raises `NotFound` without such a project."""

    async def erase(self, project: str, token_hash: bytes, *, expected: frozenset[int] | None = None) -> bool:
        """Erase the response of the respondent who holds this token, its history included; only that one was erased remains.

        So in every project that ever had this name, deleted ones too. Whether there was one. Raises `Stale` where that of the newest
        project is of another revision than is `expected`; where there was none, `NotFound` unless a project has the name now.
        """

    async def erase_named(self, project: str, respondent: bytes, *, entry: Entry) -> bool:
        """Erase the response whose pseudonym begins with these 16 bytes, as `erase` does, and put an entry down; whether there was one.

        Without one nothing is put down. Raises `NotFound` without such a project.
        """

    async def erase_tests(self, project: str, *, limit: int, entry: Callable[[int], Entry]) -> int:
        """Erase up to `limit` responses that are tests, as `erase` does, and put down the entry for their number; how many there were.

        Without any nothing is put down. Raises `NotFound` without such a project.
        """

    async def erase_withheld(self, *, before: datetime, at: datetime) -> int:
        """Erase, of some responses, what is withheld since before then; of how many. None when nothing is left to erase."""


class LabelSets(Protocol):
    """The label sets of each project. All raise `NotFound` when the project is absent."""

    async def get(self, project: str, name: str) -> LabelSet:
        """The label set as it is now. Raises `NotFound`."""

    async def hold(self, project: str, name: str) -> LabelSet:
        """The label set, of which no new version is published until the unit of work ends. Raises `NotFound`."""

    async def lock(self, project: str, name: str) -> tuple[int, LabelSet | None]:
        """The project's id and the label set, which nobody else publishes or annotates by until the unit of work ends."""

    async def count(self, project_id: int) -> int:
        """How many label sets a project has."""

    async def save(self, label_set: LabelSet, changes: tuple[FieldChange, ...]) -> LabelSet:
        """Store a new version of a locked label set, and which changes brought it. The set with its id."""

    async def questions(self, label_set_id: int) -> list[Question]:
        """What every version asked, oldest first."""

    async def labels(self, label_set_id: int) -> list[tuple[Any, int]]:
        """The labels that stand, each with how many annotations give it."""

    async def page(self, project: str, *, after: str, limit: int) -> list[LabelSet]:
        """Up to `limit` label sets by name, from after this name on."""


class Annotations(Protocol):
    """Annotations as entities, and the queue of what there is to annotate.

    A resource in a set is an item: who `lock`s it is the only one to change its annotations until the unit of work ends.
    """

    async def lock(self, label_set: LabelSet, *, resource_id: int, annotator_id: int) -> Annotation | None:
        """What this annotator says of the resource; the item is held. Raises `NotFound` without such a live resource."""

    async def save(self, label_set: LabelSet, annotation: Annotation) -> Annotation:
        """Store an annotation of a held item of this set, in the place of its annotator's former one, and log it.

        The annotation with its id.
        """

    async def remove(self, annotation: Annotation, *, at: datetime) -> None:
        """Take an annotation of a held item away, and log that."""

    async def standing(self, label_set: LabelSet, *, resource_ids: Sequence[int], hold: bool) -> tuple[frozenset[int], list[Annotation]]:
        """Those of these resources that are live in the set's project, and all that stands on them; `hold` makes and holds their items."""

    async def save_all(self, label_set: LabelSet, made: Sequence[Annotation]) -> None:
        """`save` for many annotations of held items, each of another place."""

    async def settle_all(self, label_set: LabelSet, judgements: Mapping[int, Judgement]) -> None:
        """`settle` for many held items, by resource; whoever has annotated one holds it no longer."""

    async def given(self, label_set: LabelSet, *, resource_id: int) -> list[Given]:
        """Every label of a held item, by annotator."""

    async def settle(self, label_set: LabelSet, judgement: Judgement, *, resource_id: int, given_back_by: int | None = None) -> None:
        """Store what the annotations of a held item come to; a lease that this annotator has on it ends."""

    async def draw(self, label_set: LabelSet, *, annotator_id: int, at: datetime, until: datetime) -> int | None:
        """Lease a live resource that this annotator has not annotated and nobody holds; None when nothing is left.

        First what has fewer annotations than the set's `copies`, those with most of them first; then what is most in dispute.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAnnotation:
    """An annotation, and the name of its resource."""

    annotation: Annotation
    resource_name: str


class AnnotationSnapshot(Protocol):
    """The annotations of a project, of one moment."""

    @property
    def project_id(self) -> int: ...

    async def count(self, where: AnnotationFilter) -> int: ...

    def batches(self, where: AnnotationFilter) -> AsyncIterator[list[NamedAnnotation]]:
        """All annotations by id, some at a time; never more of them in memory than that."""


class AnnotationReader(Protocol):
    """Annotations of live resources, for those who may see them: `domain.annotation.is_seen` decides of each."""

    async def page(self, where: AnnotationFilter, *, after: int, limit: int) -> list[Annotation]:
        """Up to `limit` annotations by id, from after this id on. Raises `NotFound` when the project is absent."""

    def snapshot(self, project: str) -> AbstractAsyncContextManager[AnnotationSnapshot]:
        """What is stored now, unmoved by later changes. Raises `NotFound`, and `TooManyTables` while too many are open."""


class Archive(Protocol):
    """What was put away."""

    async def purge(self, *, before: datetime) -> dict[str, int]:
        """Remove what was put away before this time; how many of each kind.

        Kinds: `projects` (with all that is in them), `resources`, `responses` (of closed surveys), `exports` (made before this time, not
        the bytes of their contents), `sessions`.
        """


class Files(Protocol):
    """What is known of uploaded files; their contents are in the `FileStore`."""

    async def add(self, file: File, *, quota: int) -> None:
        """Raises `QuotaExceeded` when all files of its user would come to more bytes than that, and `NotFound` without such a project.

        Of two added at once the second sees the first; both hold until the unit of work ends.
        """

    async def get(self, *, project: str, file_id: UUID) -> File:
        """A file of a project that is not deleted."""

    async def page(self, project: str, *, after: UUID, limit: int) -> list[File]:
        """Up to `limit` files by id, from after this id on. Raises `NotFound` without such a project."""

    async def remove(self, *, project: str, file_id: UUID) -> None:
        """Raises `NotFound` when there is none of this id: of two that remove it, one is told so."""

    async def every(self, *, after: UUID, limit: int) -> list[File]:
        """Up to `limit` files of all projects, deleted ones too, by id, from after this id on."""

    async def strangers(self, ids: Collection[UUID]) -> set[UUID]:
        """Those ids that no file has."""

    async def wait(self) -> None:
        """Return when all that was being added is added or undone; nothing more is added before the unit of work ends."""

    async def take_unverified(self, *, before: datetime, at: datetime) -> File | None:
        """A file that was last verified, or else added, before this time, the longest ago; from now on it counts as verified `at`.

        Of two that take at once, each gets another.
        """


class ResponseSnapshot(Protocol):
    """A survey's versions and responses, all of one moment."""

    @property
    def definitions(self) -> list[Definition]:
        """Every version's definition, oldest first."""

    async def page(self, where: ResponseFilter, *, after: int, limit: int) -> list[ResponseRow]:
        """Up to `limit` responses by id, from after this id on."""

    async def count(self, where: ResponseFilter) -> int:
        """How many there are."""

    def batches(self, where: ResponseFilter) -> AsyncIterator[list[ResponseRow]]:
        """All responses by id, some at a time; never more of them in memory than that."""


class ResponseReader(Protocol):
    """Responses for researchers."""

    def snapshot(self, project: str) -> AbstractAsyncContextManager[ResponseSnapshot]:
        """What is stored now, unmoved by later changes. Raises `NotFound`, and `TooManyTables` while too many are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a file, and how many rows of the table it brings."""

    content: bytes
    rows: int


class ResourceSnapshot(Protocol):
    """The live resources of a project that match a filter, by id and all of one moment, in texts that the store writes by itself.

    Each part is of whole rows, and never much more than a hundred KiB, or one row; of what was not asked for yet, not much more is made.
    """

    async def count(self) -> int:
        """How many there are."""

    def records(self, *, guarded: bool) -> AsyncGenerator[Part, None]:
        """Their records in CSV, with the `COLUMNS` of resources and as a `TableWriter` writes them, but for the header."""

    def lines(self) -> AsyncGenerator[Part, None]:
        """Each as JSON, on a line of its own, as a `TableWriter` writes it, but for blanks between its parts."""


class ResourceTables(Protocol):
    """Resources as whole tables."""

    def snapshot(self, where: Filter) -> AbstractAsyncContextManager[ResourceSnapshot]:
        """What is stored now, unmoved by later changes. Raises `NotFound`, and `TooManyTables` while too many are open."""


class TableWriter(Protocol):
    """Writes one table: `begin`, any number of `rows`, `end`; the bytes of all together are the file."""

    def begin(self) -> bytes: ...

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        """What can be written by now; a format may hold some rows back."""

    def end(self) -> bytes: ...


class TableConverter(Protocol):
    """Makes a Parquet file of CSV: `begin`, any number of `records`, `end`; the bytes of all together are the file."""

    def begin(self) -> bytes: ...

    def records(self, csv: bytes) -> bytes:
        """Take whole records, without a guard; what can be written by now. Holds back rows, and of those a bounded number of bytes."""

    def end(self) -> bytes: ...


class Tables(Protocol):
    """The formats of tables. The first writer or converter of a format may take a while to make: make it on a thread."""

    def writer(self, kind: Format, columns: Sequence[Column], *, guarded: bool, codebook: Mapping[str, Any]) -> TableWriter:
        """A writer of one table. `guarded` keeps a spreadsheet from running the texts of a CSV file."""

    def converter(self, columns: Sequence[Column], *, codebook: Mapping[str, Any]) -> TableConverter:
        """What makes Parquet of CSV. No column is a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An export that somebody makes: the `attempts` at it, this one counted, the name for its bytes, and whose it is."""

    export: Export
    attempts: int
    content: UUID
    title: str
    description: str | None


class Exports(Protocol):
    """Stored exports, and the making of them, which one alone does at a time."""

    async def add(self, export: Export, *, quota: Quota) -> None:
        """Raises `NotFound` when the project is gone, and `QuotaExceeded` when those of its maker, in projects that are there, are more.

        Of two of one person that are added at the same time, the second sees the first.
        """

    async def lock(self, *, project: str, export_id: UUID) -> Export:
        """An export that nobody else changes until the unit of work ends. Raises `NotFound`."""

    async def remove(self, export: Export) -> None:
        """It is there no more, and a claim to it holds no longer."""

    async def get(self, *, project: str, export_id: UUID) -> Export: ...

    async def page(self, project: str, *, of: Collection[Subject], after: UUID, limit: int) -> list[Export]:
        """Up to `limit` exports by id, from after this id on. Raises `NotFound`."""

    async def claim(self, *, at: datetime, until: datetime) -> Claim | None:
        """An export that is queued, or whose claim was to `until` a time before `at`: from now on only this claim holds.

        People take turns: it is the oldest of whoever's turn was longest ago. Its content has a new name. Of those who claim at the
        same time, each gets another export.
        """

    async def renew(self, claim: Claim, *, percent: int, until: datetime) -> bool:
        """Tell how far it is, and hold the claim for longer. Whether it still holds; if not, nothing changes."""

    async def finish(self, claim: Claim, manifest: Manifest, *, quota: Quota) -> bool:
        """Done. Whether the claim still held; if not, nothing changes.

        Raises `QuotaExceeded` when with it those of its maker come to more bytes.
        """

    async def fail(self, claim: Claim) -> None:
        """It cannot be made. A claim that holds no longer changes nothing."""

    async def release(self, claim: Claim) -> None:
        """Leave it to others, as though it had not been tried. A claim that holds no longer changes nothing."""

    async def unknown(self, contents: Sequence[UUID]) -> set[UUID]:
        """Those of these names that neither an export nor a claim has."""

    async def every(self, *, after: UUID, limit: int) -> list[Export]:
        """Up to `limit` exports that are done, of all projects, deleted ones too, by id, from after this id on."""

    async def take_unverified(self, *, before: datetime, at: datetime) -> Export | None:
        """One that is done and was last verified, or else asked for, before this time, the longest ago; from now on it counts as
        verified `at`.

        Of two that take at once, each gets another.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the results of a survey stand.

    `mark` stands for the moment that the last publication tells of, and `n` is the number of respondents that it tells; they are None
    where that was not under suppression. `changed` counts the respondents added or changed since, or all of them where there is no
    mark, up to what a step needs; it is 0 where results are not public. Who was erased since counts for nothing.
    """

    survey: Survey
    changed: int
    mark: str | None
    n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDocument:
    """What was published last of a survey, as JSON, when, and under which minimum cell; all None where nothing was.

    `responses` counts those ever made where nothing was published yet and noise waits for them.
    """

    survey: Survey
    document: bytes | None
    published_at: datetime | None
    minimum_cell: int | None
    responses: int | None


class PublishedResults(Protocol):
    """Results as they were published last, and what is needed to publish them anew under suppression."""

    async def document(self, project: str, by: str) -> PublishedDocument:
        """The document by this field (`OVERALL`: by none). Raises `NotFound`."""

    async def standing(self, project: str) -> Standing:
        """How they stand. Raises `NotFound`."""

    async def count(self, survey: Survey, tally: Tally) -> str:
        """Add every response of a survey to the tally, batch by batch and without holding up anything else.

        All is as of one moment: the answer is its mark.
        """

    async def publish(self, survey: Survey, documents: Mapping[str, bytes], *, mark: str, instead_of: str | None, at: datetime) -> bool:
        """Put documents by field in the place of those that bear a mark (None: that bear none). Whether they still stood there."""


class ResponseCounts(Protocol):
    """Exact counts of a survey's responses."""

    async def tables(self, survey: Survey, *, by: Sequence[str] = (), spreads: bool = False) -> ContingencyTables:
        """The counts of every question, and of each other one within the groups that these choice questions make; all of one moment.

        Counted are live responses that are no tests: behind a consent gate, of who does not consent now the consent question alone.
        An answer that the newest question does not take counts nowhere. `spreads` asks for means and quartiles as well. Gives way to
        everything else. Raises `TooMuchToCount`, and `TooManyTables` while others are counted.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSurvey:
    """A survey whose results are public, and what its releases under noise have spent."""

    project: str
    project_id: int
    project_made_at: datetime
    is_open: bool
    results: Results
    spent: Spent


class ResultsLedger(Protocol):
    """Who publishes results, and what that has cost."""

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """Whether it is this one's turn to publish, while that lasts: of all workers it is one's at a time."""

    async def public_surveys(self) -> list[PublicSurvey]:
        """All that publish results, by the ids of their projects; not those of deleted projects."""

    async def made(self, project_id: int, *, at_least: int) -> int | None:
        """The responses ever made, erased ones too and tests not, once there are so many; until then, and perhaps a while longer, None."""

    async def release(self, survey: Survey, spending: Spending, documents: Mapping[str, bytes], *, at: datetime) -> bool:
        """Put the spending into the ledger and the documents in the place of what was published last, both or neither.

        Whether that was done: not when a spending of this number or a newer version of the survey came first.
        """

    async def add_noted(self, noted: Iterable[NotedSpending]) -> int:
        """Put spendings of the journal into the ledger that it lacks, each only for the very project that it was noted for. How many."""


T = TypeVar("T")


class Shared(Protocol):
    """What many ask for at the same time, worked out once for all of them."""

    async def get(self, project: str, name: str, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` answers, or answered no longer than a second ago; whoever asks meanwhile waits for the same. Errors do not stay."""

    def forget(self, project: str) -> None:
        """Work everything of a project out anew from now on."""


# --- contents of files -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredContent:
    """A content in the store, by its name: how many bytes it has, and since when it is there."""

    name: str
    size: int
    at: datetime


class NameKept(Unavailable):
    """A content of this name is kept already, perhaps by an attempt whose answer was lost; it stays as it is. Another name will do."""


class Incoming(Protocol):
    """A content on its way into the store, where nobody sees it before it is whole."""

    async def write(self, part: bytes) -> None:
        """Take in the next part. Raises `Full`, `Unavailable`."""

    async def keep(self, name: str) -> None:
        """Make the whole durable under this name, at once. Raises `NameKept`, `Full`, `Unavailable`."""


class FileStore(Protocol):
    """Contents under names of our own, `<kind>/<uuid>`, whole or not there, never changed.

    Kinds: `files`, `exports`, `erasures`, `spendings`.
    """

    @property
    def failures(self) -> int:
        """How often, so far, it could not do what it was asked to: it was away, silent, read-only or full."""

    def incoming(self) -> AbstractAsyncContextManager[Incoming]:
        """A new content; leaving without `keep` leaves nothing behind. It is settled once this is left. Raises `Full`, `Unavailable`."""

    async def size(self, name: str) -> int:
        """How many bytes a content has. Raises `NotFound`, `Unavailable`."""

    async def mark(self, name: str) -> str:
        """A text that changes when somebody else than this store touched the content. Raises `NotFound`, `Unavailable`."""

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` to before `end`, or to the last, in pieces of bounded size; both lie within the content.

        Raises `NotFound`, `Unavailable`.
        """

    async def remove(self, name: str) -> None:
        """Remove a content, if it is there. Raises `Unavailable`."""

    def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        """Every content of a kind, in no order. Raises `Unavailable`."""

    async def is_settled(self, name: str) -> bool:
        """Whether nobody is in the middle of keeping this: `incoming` was left, or its process is gone.

        False while that cannot be told. Raises `Unavailable`.
        """

    async def clear(self) -> int:
        """Remove what processes that are gone had not kept yet; how many contents that was. Raises `Unavailable`."""

    async def check(self) -> None:
        """Raises `Unavailable` when it does not answer."""


class LabelReader(Protocol):
    """The labels of a set on live resources, whoever gave them."""

    async def mark(self, label_set: LabelSet) -> str:
        """What stands for how they are now: another as soon as one is given, changed or withdrawn, or a resource comes or goes."""

    async def gather(self, label_set: LabelSet) -> Gathered:
        """All of them, of one moment."""


class Reliability(Protocol):
    """How far annotators agree, in numbers."""

    async def measure(self, labels: Labels, *, level: Level, seed: int) -> Figures:
        """The figures, worked out without holding up anything else.

        The interval of alpha is that of 1 000 times as many items with two labels or more, drawn anew from them as the seed says: the
        middle 95 % of their alphas; None with fewer than two such items, or when more than one in twenty of those alphas is
        undefined. The same labels, level and seed give the same on every machine. Raises `Unavailable` when too many wait.
        """


class Kept(Protocol):
    """What is dear to work out, kept until it changes."""

    async def get(self, key: tuple[str, ...], mark: str, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` answers, or answered since this mark was first asked under this key.

        It is worked out once for all who ask under the same mark meanwhile, and goes on when they leave. Another mark takes the place
        of the one before. Errors do not stay, and what was not asked for longest is forgotten.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the row of a file or of a stored export says of its content."""

    id: UUID
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was left out of a copy that was brought back."""

    files_deleted: int
    sessions_ended: int
    responses_erased: int


class DatabaseMoment(Protocol):
    """The database at one moment."""

    async def schema(self) -> str:
        """The revision of its schema."""

    async def contents(self) -> list[Content]:
        """The contents that its files and stored exports have."""

    async def dump(self, target: Path) -> None:
        """Write all of it into a file."""


class DatabaseCopies(Protocol):
    """Copies of the whole database."""

    def moment(self) -> AbstractAsyncContextManager[DatabaseMoment]:
        """What is stored now, unmoved by later changes, while this lasts."""

    async def gone(self, ids: Iterable[UUID]) -> set[UUID]:
        """Those ids of contents that no file and no stored export has any more."""

    async def load(self, dump: Path, *, schema: str) -> None:
        """Bring a dump of this schema back into an empty database, all or nothing; no service takes that for whole before `settle`."""

    async def settle(
        self, *, schema: str, deleted: Collection[UUID], is_erased: Callable[[Erasure], bool], spendings: Iterable[NotedSpending]
    ) -> Settled:
        """Make a copy that was brought back one to go on with.

        What has these contents is not in it, nor are the responses that were erased; nobody is signed in, and no token to set a
        password is good. What releases of results have spent since is in the ledger, if the schema has one.
        """


class AuditTrail(Protocol):
    """What happened, for good: entries are added within the transaction of what they tell of, and never change."""

    async def add(self, *entries: Entry) -> None:
        """Put entries down, in this order, under the id of the request that brought them, if one did."""

    async def add_once(self, entry: Entry, *, every: timedelta) -> bool:
        """Put an entry down unless one of this actor, action and project is not older than that; whether it was put down.

        Of several at once, one is.
        """


class AuditReader(Protocol):
    """What happened, for those who may know."""

    async def page(self, where: AuditFilter, *, before: int | None, limit: int) -> list[Told]:
        """Up to `limit` entries, newest first, from before this id on."""


class Sealer(Protocol):
    """What makes a hash that nobody else can make."""

    def seal(self, message: bytes) -> bytes:
        """32 bytes: the same for the same message, unrelated for another, and impossible to make without the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some entries in a row: how many, how many of those wait to be chained, and the first that neither waits nor has a link."""

    entries: int
    waiting: int
    unchained: int | None


class ChainSnapshot(Protocol):
    """The chain and the trail, of one moment."""

    async def head(self) -> Head:
        """How far the chain reaches; `BEGINNING` without a link."""

    def links(self) -> AsyncIterator[list[Link]]:
        """All links with their entries by position, some at a time; never more of them in memory than that."""

    def stretches(self) -> AsyncIterator[Stretch]:
        """All entries by id, counted a stretch at a time."""

    async def lost(self) -> int | None:
        """The first entry that waits to be chained and is gone."""


class AuditChain(Protocol):
    """The links by which committed entries are chained."""

    async def extend(self, link: Callable[[Head, Recorded], Head], *, limit: int) -> int:
        """Chain up to `limit` committed entries that have no link yet, each by the head that `link` makes of the last and the entry.

        How many; none while somebody else is at it, in whatever process.
        """

    def snapshot(self) -> AbstractAsyncContextManager[ChainSnapshot]:
        """What is stored now, unmoved by what comes later."""


class Replays(Protocol):
    """Outcomes of requests that bear an idempotency key, kept for 24 hours within the transaction of what they tell of."""

    async def begin(self, keyed: Keyed, *, at: datetime) -> bytes | None:
        """The outcome kept under this user's key, if one is; until the unit of work ends, nobody else begins the same key.

        Raises `StillRunning`, at once, where another unit of work has begun it, and `KeyReused` where what is kept is of another
        fingerprint.
        """

    async def keep(self, keyed: Keyed, outcome: bytes, *, at: datetime) -> None:
        """Keep the outcome of a request that was begun without one, in the place of one that has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How often something may be done: in no span of so many seconds more often than the amount."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Whether a hit was granted, how many more would be, and in how many seconds the oldest that counts is forgotten."""

    granted: bool
    remaining: int
    reset_after: float


class Windows(Protocol):
    """Windows in time that move with it, in which hits are counted. Entered before the first hit, and left after the last."""

    @property
    def failures(self) -> int:
        """How often, so far, what hits are counted in was found away: those who count together are then fewer for a while."""

    @property
    def is_apart(self) -> bool:
        """Whether this process counts by itself now although it should count together with others."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def hit(self, key: tuple[str, ...], limit: Limit) -> Hit:
        """Count a hit of a key, if the limit leaves one: no span of its length ever holds more than its amount.

        This holds over all who count together, however many hits come at once. What is refused does not count.
        """

    async def give_back(self, key: tuple[str, ...], limit: Limit) -> None:
        """Forget the oldest granted hit of a key: what it stood for is over. Never given back, it is forgotten by its time."""


class Database(Protocol):
    """The store as a whole."""

    async def check(self) -> None:
        """Raises `Unavailable` when it does not answer, or has another schema than this program, older or newer."""


class UnitOfWork(Protocol):
    """What belongs together: stored by `commit`, and undone by leaving without it."""

    users: Users
    setup_tokens: SetupTokens
    sessions: Sessions
    api_keys: ApiKeys
    projects: Projects
    resources: Resources
    imports: ResourceImports
    surveys: Surveys
    label_sets: LabelSets
    annotations: Annotations
    archive: Archive
    files: Files
    audit: AuditTrail
    exports: Exports
    replays: Replays

    async def commit(self) -> None:
        """Store everything; from here on it is durable."""


UnitOfWorkFactory = Callable[[], AbstractAsyncContextManager[UnitOfWork]]
