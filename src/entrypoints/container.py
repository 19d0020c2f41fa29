"""Where ports meet adapters: the only importer of adapters. HTTP and the command line share it."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dependency_injector import containers, providers

from adapters.agreement.process import ReliabilityInProcess
from adapters.kept import KeptInProcess
from adapters.limits.memory import MemoryWindows
from adapters.postgres.agreement import PostgresLabelReader
from adapters.postgres.annotation import PostgresAnnotationReader
from adapters.postgres.api_key import PostgresApiKeys
from adapters.postgres.audit import PostgresAuditReader
from adapters.postgres.audit_chain import PostgresAuditChain
from adapters.postgres.copies import PostgresCopies
from adapters.postgres.database import Executor, Pool
from adapters.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from adapters.postgres.export import PostgresExports
from adapters.postgres.file import PostgresFiles
from adapters.postgres.health import PostgresDatabase
from adapters.postgres.label_set import PostgresLabelSets
from adapters.postgres.programs import CopyError
from adapters.postgres.project import PostgresProjects
from adapters.postgres.replica import Replica, ReplicaFirst
from adapters.postgres.resource import PostgresResourceEdits, PostgresResourceReader, PostgresResources, PostgresResourceVersions
from adapters.postgres.resource_table import PostgresResourceTables
from adapters.postgres.response import PostgresResponseReader, PostgresResponses
from adapters.postgres.response_counts import Pace, PostgresResponseCounts
from adapters.postgres.results import PostgresResults
from adapters.postgres.results_ledger import PostgresResultsLedger
from adapters.postgres.revisions import loud
from adapters.postgres.schema import SchemaError, expect_current, migrate, pending
from adapters.postgres.session import PostgresSessions, PostgresSignInFailures
from adapters.postgres.snapshots import SNAPSHOTS_AT_ONCE, Snapshots
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.together import Together
from adapters.postgres.tracing import trace_statements
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresUsers
from adapters.security.common_passwords import CommonPasswordList
from adapters.security.password_hasher import PasslibHasher
from adapters.security.respondents import HmacRespondents
from adapters.security.seal import HmacSealer
from adapters.security.tokens import JoseTokens
from adapters.shared import SharedInProcess
from adapters.storage.local import LocalFileStore
from adapters.storage.tracing import trace_store
from adapters.system import SystemClock, SystemRandom
from adapters.tabular.import_tables import TabularImportTables
from adapters.tabular.tables import TabularTables
from application import (
    agreement,
    annotation,
    annotation_import,
    api_key,
    audit,
    backup,
    erasure,
    file,
    health,
    idempotency,
    label_set,
    project,
    resource,
    resource_import,
    resource_version,
    response,
    response_erasure,
    results,
    retention,
    session,
    story,
    survey,
    trace,
    user,
    user_import,
)
from application.export import keeping, making, stored
from application.export.resources import ExportResources
from application.ports import FileStore, Windows
from entrypoints.freshness import MAY_LAG
from entrypoints.readiness import Readiness
from entrypoints.request_id import REQUEST_ID

__all__ = [
    "Container",
    "CopyError",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "SchemaError",
    "check_redis",
    "expect_current",
    "loud",
    "migrate",
    "pending",
    "trace_statements",
    "trace_store",
]

WHILE_ASKED = Pace(rows_between_rests=2000)  # somebody waits
IN_THE_BACKGROUND = Pace(rows_between_rests=100)  # 0.4 ms of work: nobody who wants the core waits longer
CONNECTIONS = 16  # tables that are read and written, and counting, hold fourteen at most; more would only wait for one another's processor


def windows_of(redis_url: str | None, *, key: bytes) -> Windows:
    """Where hits are counted: in Redis where there is one."""
    if redis_url is None:
        return MemoryWindows()
    from adapters.limits.redis import RedisWindows  # noqa: PLC0415 - costs 13 MB, so only where there is a Redis

    return RedisWindows(redis_url, key=key)


async def check_redis(url: str) -> None:
    """Whether Redis answers, and counts. Raises `Unavailable`."""
    from adapters.limits import redis  # noqa: PLC0415 - as above

    await redis.check_redis(url)


def file_store(url: str) -> FileStore:
    """The store of a folder's or a bucket's address; nothing is connected yet."""
    address = urlsplit(url)
    if address.scheme != "s3":
        return LocalFileStore(Path(unquote(address.path)))
    from adapters.storage.s3 import S3FileStore  # noqa: PLC0415 - costs 5 MB, so only where contents are kept in a bucket

    return S3FileStore(url)


def replica_of(url: str | None, *, primary: Pool, lag: float) -> Replica | None:
    """The replica that public reads go to, if there is one."""
    return None if url is None else Replica(url, primary=primary, size=CONNECTIONS, lag=lag)


def public_reads_of(primary: Pool, replica: Replica | None) -> Executor:
    """Where statements of public reads run: together with others of the same, as many readers ask for the same list."""
    return Together(primary if replica is None else ReplicaFirst(primary, replica, may_lag=MAY_LAG.get), alike=MAY_LAG.get)


class Container(containers.DeclarativeContainer):
    """Use cases are singletons without state; they are resolved once, when the application is made.

    `config`: database_url, database_replica_url (None: there is no replica), replica_lag_seconds, secret_keys (bytes, the first
    signs), pepper (bytes), access_token_minutes, limits_on, redis_url (None: hits are counted in this process), counting_key (bytes),
    storage_url (`file:///…` or `s3://…`), upload_quota_bytes, max_import_bytes.
    """

    config = providers.Configuration(strict=True)

    readiness = providers.Singleton(Readiness)
    pool = providers.Singleton(Pool, config.database_url, size=CONNECTIONS)
    replica = providers.Singleton(replica_of, config.database_replica_url, primary=pool, lag=config.replica_lag_seconds)
    public_reads = providers.Singleton(public_reads_of, pool, replica)
    clock = providers.Singleton(SystemClock)
    random = providers.Singleton(SystemRandom)
    shared = providers.Singleton(SharedInProcess)
    hasher = providers.Singleton(PasslibHasher)
    common_passwords = providers.Singleton(CommonPasswordList)
    respondents = providers.Singleton(HmacRespondents, config.pepper)
    sealer = providers.Singleton(HmacSealer, config.pepper)
    erasure_sealer = providers.Singleton(HmacSealer, config.pepper, purpose=b"erasures")
    tokens = providers.Singleton(
        JoseTokens, config.secret_keys, access_lifetime=providers.Factory(timedelta, minutes=config.access_token_minutes)
    )

    windows = providers.Singleton(windows_of, config.redis_url, key=config.counting_key)

    file_store = providers.Singleton(file_store, config.storage_url)
    database = providers.Singleton(PostgresDatabase, pool)
    check_health = providers.Singleton(
        health.CheckHealth, checks=providers.List(database.provided.check, file_store.provided.check), shared=shared
    )

    users = providers.Singleton(PostgresUsers, pool)
    sessions = providers.Singleton(PostgresSessions, pool)
    api_keys = providers.Singleton(PostgresApiKeys, pool)
    sign_in_failures = providers.Singleton(PostgresSignInFailures, pool)
    projects = providers.Singleton(PostgresProjects, pool)
    resources = providers.Singleton(PostgresResources, pool)
    resource_reader = providers.Singleton(PostgresResourceReader, public_reads)
    resource_versions = providers.Singleton(PostgresResourceVersions, pool)
    resource_edits = providers.Singleton(PostgresResourceEdits, pool, request_id=REQUEST_ID.get)
    public_projects = providers.Singleton(PostgresProjects, public_reads)
    files = providers.Singleton(PostgresFiles, pool)
    surveys = providers.Singleton(PostgresSurveys, pool)
    note_erasure = providers.Singleton(erasure.NoteErasure, store=file_store, random=random, sealer=erasure_sealer)
    read_journal = providers.Singleton(erasure.ReadJournal, store=file_store, sealer=erasure_sealer)
    responses = providers.Singleton(PostgresResponses, pool, witness=note_erasure, request_id=REQUEST_ID.get)
    snapshots = providers.Singleton(Snapshots, pool)
    anonymous_tables = providers.Object(SNAPSHOTS_AT_ONCE // 2)  # at once: the other half is the team's alone
    response_reader = providers.Singleton(PostgresResponseReader, snapshots)
    resource_tables = providers.Singleton(PostgresResourceTables, snapshots)
    import_tables = providers.Singleton(TabularImportTables, at_most=config.max_import_bytes)
    tables = providers.Singleton(TabularTables)
    exports = providers.Singleton(PostgresExports, pool)
    own_snapshots = providers.Singleton(Snapshots, pool, at_once=1)  # beside those of readers, who cannot keep exports from being made
    sheets = providers.Singleton(
        making.Sheets,
        resources=providers.Singleton(PostgresResourceTables, own_snapshots),
        responses=providers.Singleton(PostgresResponseReader, own_snapshots),
        annotations=providers.Singleton(PostgresAnnotationReader, pool, own_snapshots),
        respondents=respondents,
        tables=tables,
    )
    label_sets = providers.Singleton(PostgresLabelSets, pool)
    annotation_reader = providers.Singleton(PostgresAnnotationReader, pool, snapshots)
    label_reader = providers.Singleton(PostgresLabelReader, pool)
    reliability = providers.Singleton(ReliabilityInProcess)
    kept = providers.Singleton(KeptInProcess)
    published_results = providers.Singleton(PostgresResults, pool)
    own_counts = providers.Singleton(
        PostgresResponseCounts, providers.Singleton(Snapshots, pool, at_once=1), pace=IN_THE_BACKGROUND, seconds=300.0
    )
    asked_counts = providers.Singleton(PostgresResponseCounts, snapshots, pace=WHILE_ASKED, seconds=20.0)
    results_ledger = providers.Singleton(PostgresResultsLedger, pool)
    audit_reader = providers.Singleton(PostgresAuditReader, pool)
    audit_chain = providers.Singleton(PostgresAuditChain, pool)
    unit_of_work = providers.Singleton(partial, PostgresUnitOfWork, pool, request_id=REQUEST_ID.get)

    once = providers.Singleton(idempotency.Once, unit_of_work=unit_of_work, clock=clock)
    open_session = providers.Singleton(session.OpenSession, tokens=tokens, random=random, clock=clock)
    hash_new = providers.Singleton(user.HashNewPassword, hasher=hasher, common=common_passwords)
    check_password = providers.Singleton(
        session.CheckPassword,
        users=users,
        failures=sign_in_failures,
        hasher=hasher,
        clock=clock,
        is_limited=config.limits_on,
    )

    log_in = providers.Singleton(session.LogIn, check_password=check_password, open_session=open_session, unit_of_work=unit_of_work)
    refresh_session = providers.Singleton(
        session.RefreshSession, unit_of_work=unit_of_work, tokens=tokens, open_session=open_session, clock=clock
    )
    log_out = providers.Singleton(session.LogOut, unit_of_work=unit_of_work, clock=clock)
    list_sessions = providers.Singleton(session.ListSessions, sessions=sessions, clock=clock)
    end_other_sessions = providers.Singleton(session.EndOtherSessions, unit_of_work=unit_of_work, clock=clock)
    end_session = providers.Singleton(session.EndSession, unit_of_work=unit_of_work, clock=clock)
    authenticate = providers.Singleton(session.Authenticate, sessions=sessions, tokens=tokens, clock=clock)

    create_api_key = providers.Singleton(api_key.CreateApiKey, unit_of_work=unit_of_work, random=random, clock=clock)
    list_api_keys = providers.Singleton(api_key.ListApiKeys, api_keys=api_keys, clock=clock)
    revoke_api_key = providers.Singleton(api_key.RevokeApiKey, unit_of_work=unit_of_work, clock=clock)
    authenticate_key = providers.Singleton(api_key.AuthenticateKey, api_keys=api_keys, clock=clock)
    note_key_use = providers.Singleton(api_key.NoteKeyUse, api_keys=api_keys, clock=clock)

    register = providers.Singleton(user.Register, hash_new=hash_new, open_session=open_session, unit_of_work=unit_of_work)
    set_password = providers.Singleton(user.SetPassword, unit_of_work=unit_of_work, hash_new=hash_new, clock=clock)
    change_password = providers.Singleton(
        user.ChangePassword, check_password=check_password, hash_new=hash_new, unit_of_work=unit_of_work, clock=clock
    )
    update_profile = providers.Singleton(user.UpdateProfile, unit_of_work=unit_of_work, clock=clock)
    create_admin = providers.Singleton(user.CreateAdmin, hash_new=hash_new, unit_of_work=unit_of_work, clock=clock)
    create_user = providers.Singleton(user.CreateUser, unit_of_work=unit_of_work, random=random, clock=clock)
    reset_user = providers.Singleton(user.ResetUser, unit_of_work=unit_of_work, random=random, clock=clock)
    import_users = providers.Singleton(user_import.ImportUsers, unit_of_work=unit_of_work, random=random, clock=clock)
    list_users = providers.Singleton(user.ListUsers, users=users)
    get_user = providers.Singleton(user.GetUser, users=users)
    administer_user = providers.Singleton(user.AdministerUser, unit_of_work=unit_of_work, clock=clock)

    create_project = providers.Singleton(project.CreateProject, unit_of_work=unit_of_work, clock=clock)
    apply_story = providers.Singleton(story.ApplyStory, unit_of_work=unit_of_work, clock=clock)
    purge_old = providers.Singleton(retention.PurgeOld, unit_of_work=unit_of_work, clock=clock)
    list_projects = providers.Singleton(project.ListProjects, projects=public_projects)
    get_project = providers.Singleton(project.GetProject, projects=public_projects)
    update_project = providers.Singleton(project.UpdateProject, unit_of_work=unit_of_work, clock=clock)
    delete_project = providers.Singleton(project.DeleteProject, unit_of_work=unit_of_work, clock=clock, shared=shared)

    create_resource = providers.Singleton(resource.CreateResource, unit_of_work=unit_of_work, clock=clock)
    update_resource = providers.Singleton(resource.UpdateResource, edits=resource_edits, unit_of_work=unit_of_work, clock=clock)
    delete_resource = providers.Singleton(resource.DeleteResource, unit_of_work=unit_of_work, clock=clock)
    restore_resource = providers.Singleton(resource.RestoreResource, unit_of_work=unit_of_work, clock=clock)
    give_resource = providers.Singleton(resource.GiveResource, unit_of_work=unit_of_work, clock=clock)
    list_resource_versions = providers.Singleton(resource_version.ListResourceVersions, resources=resources, versions=resource_versions)
    get_resource_version = providers.Singleton(resource_version.GetResourceVersion, resources=resources, versions=resource_versions)
    restore_resource_version = providers.Singleton(
        resource_version.RestoreResourceVersion, resources=resources, versions=resource_versions, update=update_resource
    )
    forget_resource_versions = providers.Singleton(resource_version.ForgetResourceVersions, versions=resource_versions, clock=clock)
    import_resources = providers.Singleton(resource_import.ImportResources, unit_of_work=unit_of_work, tables=import_tables, clock=clock)
    get_resource = providers.Singleton(resource.GetResource, resources=resource_reader)
    list_resources = providers.Singleton(resource.ListResources, resources=resource_reader, label_sets=label_sets)
    page_resources = providers.Singleton(resource.PageResources, resources=resource_reader, label_sets=label_sets)
    count_resources = providers.Singleton(resource.CountResources, resources=resource_reader, label_sets=label_sets)

    receive_file = providers.Singleton(file.ReceiveFile, projects=projects, store=file_store)
    upload_file = providers.Singleton(
        file.UploadFile, unit_of_work=unit_of_work, random=random, clock=clock, quota=config.upload_quota_bytes
    )
    list_files = providers.Singleton(file.ListFiles, files=files)
    get_file = providers.Singleton(file.GetFile, files=files)
    delete_file = providers.Singleton(file.DeleteFile, unit_of_work=unit_of_work, store=file_store, clock=clock)
    check_content = providers.Singleton(file.CheckContent, store=file_store)
    read_content = providers.Singleton(file.ReadContent, store=file_store, check=check_content)
    stranger_contents = providers.Singleton(file.Strangers, unit_of_work=unit_of_work, files=files, store=file_store)
    sweep_files = providers.Singleton(file.SweepFiles, store=file_store, strangers=stranger_contents, clock=clock)
    verify_files = providers.Singleton(file.VerifyFiles, files=files, store=file_store, check=check_content, strangers=stranger_contents)
    verify_next_file = providers.Singleton(file.VerifyNextFile, files=files, check=check_content, clock=clock)

    publish_survey = providers.Singleton(survey.PublishSurvey, unit_of_work=unit_of_work, clock=clock, shared=shared)
    get_survey = providers.Singleton(survey.GetSurvey, surveys=surveys)
    switch_survey = providers.Singleton(survey.SwitchSurvey, unit_of_work=unit_of_work, clock=clock)
    list_versions = providers.Singleton(survey.ListVersions, surveys=surveys)

    save_answers = providers.Singleton(response.SaveAnswers, surveys=surveys, responses=responses, respondents=respondents, clock=clock)
    upsert_answer = providers.Singleton(response.UpsertAnswer, save=save_answers)
    erase_response = providers.Singleton(response.EraseResponse, responses=responses, respondents=respondents)
    erase_withheld = providers.Singleton(response.EraseWithheld, responses=responses, clock=clock)
    erase_respondent = providers.Singleton(response_erasure.EraseRespondent, responses=responses, clock=clock)
    erase_tests = providers.Singleton(response_erasure.EraseTests, responses=responses, clock=clock)
    leave_trace = providers.Singleton(trace.LeaveTrace, unit_of_work=unit_of_work, clock=clock)
    list_responses = providers.Singleton(response.ListResponses, responses=response_reader, tables=tables, leave_trace=leave_trace)
    export_responses = providers.Singleton(
        response.ExportResponses, responses=response_reader, tables=tables, unit_of_work=unit_of_work, clock=clock
    )
    get_codebook = providers.Singleton(response.GetCodebook, surveys=surveys)
    get_response = providers.Singleton(response.GetResponse, responses=responses, respondents=respondents)

    publish_label_set = providers.Singleton(label_set.PublishLabelSet, unit_of_work=unit_of_work, clock=clock)
    get_label_set = providers.Singleton(label_set.GetLabelSet, label_sets=label_sets)
    list_label_sets = providers.Singleton(label_set.ListLabelSets, label_sets=label_sets)

    annotate = providers.Singleton(annotation.Annotate, unit_of_work=unit_of_work, clock=clock)
    withdraw_annotation = providers.Singleton(annotation.WithdrawAnnotation, unit_of_work=unit_of_work, clock=clock)
    draw_next = providers.Singleton(annotation.DrawNext, unit_of_work=unit_of_work, clock=clock)
    list_annotations = providers.Singleton(annotation.ListAnnotations, annotations=annotation_reader)
    record_annotation_export = providers.Singleton(annotation.RecordExport, unit_of_work=unit_of_work, clock=clock)
    export_annotations = providers.Singleton(
        annotation.ExportAnnotations,
        annotations=annotation_reader,
        tables=tables,
        respondents=respondents,
        record=record_annotation_export,
    )

    import_annotations = providers.Singleton(
        annotation_import.ImportAnnotations, unit_of_work=unit_of_work, tables=import_tables, clock=clock
    )

    measure_agreement = providers.Singleton(agreement.MeasureAgreement, labels=label_reader, reliability=reliability, kept=kept)
    get_agreement = providers.Singleton(agreement.GetAgreement, label_sets=label_sets, measure=measure_agreement)

    advance_results = providers.Singleton(results.AdvanceResults, results=published_results, clock=clock)
    note_spending = providers.Singleton(results.NoteSpending, store=file_store, random=random)
    read_spendings = providers.Singleton(results.ReadSpendings, store=file_store)
    release_results = providers.Singleton(
        results.ReleaseResults,
        surveys=surveys,
        ledger=results_ledger,
        counts=own_counts,
        note=note_spending,
        random=random,
        clock=clock,
    )
    publish_due_results = providers.Singleton(
        results.PublishDueResults, ledger=results_ledger, release=release_results, advance=advance_results
    )
    get_exact_results = providers.Singleton(
        results.GetExactResults, surveys=surveys, counts=asked_counts, leave_trace=leave_trace, clock=clock
    )
    get_results = providers.Singleton(results.GetResults, results=published_results, shared=shared)

    database_copies = providers.Singleton(PostgresCopies, config.database_url)
    note_restore = providers.Singleton(backup.NoteRestore, unit_of_work=unit_of_work, clock=clock)

    list_audit = providers.Singleton(audit.ListAudit, audit=audit_reader)
    list_history = providers.Singleton(audit.ListHistory, resources=resources, audit=audit_reader)
    chain_audit = providers.Singleton(audit.ChainAudit, chain=audit_chain, sealer=sealer)
    verify_audit = providers.Singleton(audit.VerifyAudit, chain=audit_chain, sealer=sealer)
    export_resources = providers.Singleton(ExportResources, resources=resource_tables, label_sets=label_sets, tables=tables)
    create_export = providers.Singleton(stored.CreateExport, unit_of_work=unit_of_work, random=random, clock=clock)
    delete_export = providers.Singleton(stored.DeleteExport, unit_of_work=unit_of_work, store=file_store, clock=clock)
    list_exports = providers.Singleton(stored.ListExports, exports=exports)
    get_export = providers.Singleton(stored.GetExport, exports=exports)
    read_export = providers.Singleton(stored.ReadExport, exports=exports, store=file_store)
    record_export_read = providers.Singleton(stored.RecordRead, audit=audit_reader, unit_of_work=unit_of_work, clock=clock)
    unnamed_contents = providers.Singleton(keeping.UnnamedContents, exports=exports, store=file_store)
    sweep_exports = providers.Singleton(keeping.SweepExports, unnamed=unnamed_contents, store=file_store)
    verify_exports = providers.Singleton(keeping.VerifyExports, exports=exports, check=check_content, unnamed=unnamed_contents)
    verify_next_export = providers.Singleton(keeping.VerifyNextExport, exports=exports, check=check_content, clock=clock)
    make_next_export = providers.Singleton(
        making.MakeNextExport, exports=exports, sheets=sheets, store=file_store, clock=clock, unit_of_work=unit_of_work
    )
