"""The use cases over one store in memory."""

from functools import partial

import pytest

from application.agreement import GetAgreement, MeasureAgreement
from application.annotation import Annotate, DrawNext, ExportAnnotations, ListAnnotations, RecordExport, WithdrawAnnotation
from application.annotation_import import ImportAnnotations
from application.api_key import AuthenticateKey, CreateApiKey, ListApiKeys, NoteKeyUse, RevokeApiKey
from application.audit import ChainAudit, ListAudit, ListHistory, VerifyAudit
from application.idempotency import Once
from application.label_set import GetLabelSet, ListLabelSets, PublishLabelSet
from application.project import CreateProject, DeleteProject, GetProject, ListProjects, UpdateProject
from application.resource import CreateResource, DeleteResource, GetResource, ListResources, RestoreResource, UpdateResource
from application.response import EraseResponse, ExportResponses, GetCodebook, GetResponse, ListResponses, SaveAnswers, UpsertAnswer
from application.retention import PurgeOld
from application.session import (
    Authenticate,
    CheckPassword,
    EndOtherSessions,
    EndSession,
    ListSessions,
    LogIn,
    LogOut,
    OpenSession,
    RefreshSession,
    SignedIn,
)
from application.story import ApplyStory
from application.survey import GetSurvey, ListVersions, PublishSurvey, SwitchSurvey
from application.trace import LeaveTrace
from application.user import (
    AdministerUser,
    ChangePassword,
    CreateAdmin,
    CreateUser,
    GetUser,
    HashNewPassword,
    ListUsers,
    Register,
    ResetUser,
    SetPassword,
    UpdateProfile,
)
from application.user_import import ImportUsers
from domain.access import Role
from domain.user import User
from tests.examples import user
from tests.fakes.agreement import FakeKept, FakeLabelReader, FakeReliability
from tests.fakes.annotation import FakeAnnotationReader
from tests.fakes.api_key import FakeApiKeys
from tests.fakes.audit import FakeAuditChain, FakeAuditReader
from tests.fakes.label_set import FakeLabelSets
from tests.fakes.project import FakeProjects
from tests.fakes.resource import FakeResourceEdits, FakeResourceReader, FakeResources
from tests.fakes.resource_import import FakeImportTables
from tests.fakes.response import FakeResponses
from tests.fakes.response_reader import FakeResponseReader
from tests.fakes.results import FakeShared
from tests.fakes.session import FakeSessions, FakeSignInFailures
from tests.fakes.store import Store
from tests.fakes.survey import FakeSurveys
from tests.fakes.system import FakeClock, FakeCommonPasswords, FakeHasher, FakeRandom, FakeRespondents, FakeSealer, FakeTokens
from tests.fakes.tabular import FakeTables
from tests.fakes.unit_of_work import FakeUnitOfWork
from tests.fakes.user import FakeUsers

PASSWORD = "four random words do well"


class World:
    """Everything that can be done, wired as the container does, on fakes."""

    def __init__(self) -> None:
        self.store = store = Store()
        work = partial(FakeUnitOfWork, store)
        self.unit_of_work = work
        self.clock = clock = FakeClock()
        self.hasher = hasher = FakeHasher()
        random, tokens, respondents = FakeRandom(), FakeTokens(), FakeRespondents()
        self.users, self.projects, self.sessions = FakeUsers(store), FakeProjects(store), FakeSessions(store)
        self.surveys, reader, responses = FakeSurveys(store), FakeResourceReader(store), FakeResponses(store)

        self.once = Once(unit_of_work=work, clock=clock)
        open_session = OpenSession(tokens=tokens, random=random, clock=clock)
        hash_new = HashNewPassword(hasher=hasher, common=FakeCommonPasswords())
        check = CheckPassword(users=self.users, failures=FakeSignInFailures(store), hasher=hasher, clock=clock)
        self.log_in = LogIn(check_password=check, open_session=open_session, unit_of_work=work)
        self.refresh = RefreshSession(unit_of_work=work, tokens=tokens, open_session=open_session, clock=clock)
        self.log_out = LogOut(unit_of_work=work, clock=clock)
        self.list_sessions = ListSessions(sessions=self.sessions, clock=clock)
        self.end_other_sessions = EndOtherSessions(unit_of_work=work, clock=clock)
        self.end_session = EndSession(unit_of_work=work, clock=clock)
        self.authenticate = Authenticate(sessions=self.sessions, tokens=tokens, clock=clock)
        keys = FakeApiKeys(store)
        self.create_key = CreateApiKey(unit_of_work=work, random=random, clock=clock)
        self.list_keys = ListApiKeys(api_keys=keys, clock=clock)
        self.revoke_key = RevokeApiKey(unit_of_work=work, clock=clock)
        self.authenticate_key = AuthenticateKey(api_keys=keys, clock=clock)
        self.note_key_use = NoteKeyUse(api_keys=keys, clock=clock)
        self.register = Register(hash_new=hash_new, open_session=open_session, unit_of_work=work)
        self.create_admin = CreateAdmin(hash_new=hash_new, unit_of_work=work, clock=clock)
        self.create_user = CreateUser(unit_of_work=work, random=random, clock=clock)
        self.set_password = SetPassword(unit_of_work=work, hash_new=hash_new, clock=clock)
        self.change_password = ChangePassword(check_password=check, hash_new=hash_new, unit_of_work=work, clock=clock)
        self.update_profile = UpdateProfile(unit_of_work=work, clock=clock)
        self.reset_user = ResetUser(unit_of_work=work, random=random, clock=clock)
        self.import_users = ImportUsers(unit_of_work=work, random=random, clock=clock)
        self.list_users = ListUsers(users=self.users)
        self.get_user = GetUser(users=self.users)
        self.administer = AdministerUser(unit_of_work=work, clock=clock)

        self.create_project = CreateProject(unit_of_work=work, clock=clock)
        self.apply_story = ApplyStory(unit_of_work=work, clock=clock)
        self.purge_old = PurgeOld(unit_of_work=work, clock=clock)
        self.list_projects = ListProjects(projects=self.projects)
        self.get_project = GetProject(projects=self.projects)
        self.update_project = UpdateProject(unit_of_work=work, clock=clock)
        self.delete_project = DeleteProject(unit_of_work=work, clock=clock, shared=FakeShared())

        self.create_resource = CreateResource(unit_of_work=work, clock=clock)
        self.update_resource = UpdateResource(edits=FakeResourceEdits(store), unit_of_work=work, clock=clock)
        self.delete_resource = DeleteResource(unit_of_work=work, clock=clock)
        self.restore_resource = RestoreResource(unit_of_work=work, clock=clock)
        self.get_resource = GetResource(resources=reader)
        self.list_resources = ListResources(resources=reader, label_sets=FakeLabelSets(store))

        self.publish = PublishSurvey(unit_of_work=work, clock=clock, shared=FakeShared())
        self.get_survey = GetSurvey(surveys=self.surveys)
        self.switch = SwitchSurvey(unit_of_work=work, clock=clock)
        self.list_versions = ListVersions(surveys=self.surveys)

        self.save = SaveAnswers(surveys=self.surveys, responses=responses, respondents=respondents, clock=clock)
        self.upsert = UpsertAnswer(save=self.save)
        self.get_response = GetResponse(responses=responses, respondents=respondents)
        self.erase = EraseResponse(responses=responses, respondents=respondents)
        self.list_responses = ListResponses(
            responses=FakeResponseReader(store), tables=FakeTables(), leave_trace=LeaveTrace(unit_of_work=work, clock=clock)
        )
        self.export_responses = ExportResponses(responses=FakeResponseReader(store), tables=FakeTables(), unit_of_work=work, clock=clock)
        self.get_codebook = GetCodebook(surveys=self.surveys)

        label_sets, annotations = FakeLabelSets(store), FakeAnnotationReader(store)
        self.publish_label_set = PublishLabelSet(unit_of_work=work, clock=clock)
        self.get_label_set = GetLabelSet(label_sets=label_sets)
        self.list_label_sets = ListLabelSets(label_sets=label_sets)
        self.annotate = Annotate(unit_of_work=work, clock=clock)
        self.withdraw = WithdrawAnnotation(unit_of_work=work, clock=clock)
        self.draw = DrawNext(unit_of_work=work, clock=clock)
        self.import_annotations = ImportAnnotations(unit_of_work=work, tables=FakeImportTables(), clock=clock)
        self.reliability = FakeReliability()
        measure = MeasureAgreement(labels=FakeLabelReader(store), reliability=self.reliability, kept=FakeKept())
        self.get_agreement = GetAgreement(label_sets=label_sets, measure=measure)
        self.list_annotations = ListAnnotations(annotations=annotations)
        record = RecordExport(unit_of_work=work, clock=clock)
        self.export_annotations = ExportAnnotations(annotations=annotations, tables=FakeTables(), respondents=respondents, record=record)

        chain, sealer = FakeAuditChain(store), FakeSealer()
        self.audit = FakeAuditReader(store)
        self.list_audit = ListAudit(audit=self.audit)
        self.list_history = ListHistory(resources=FakeResources(store), audit=self.audit)
        self.chain_audit = ChainAudit(chain=chain, sealer=sealer)
        self.verify_audit = VerifyAudit(chain=chain, sealer=sealer)

    async def admin(self, username: str) -> User:
        return await self.users.add(user(username, role=Role.ADMIN))

    async def signed_up(self, username: str = "lovelace") -> SignedIn:
        return await self.register(username=username, email=f"{username}@example.org", password=PASSWORD)

    async def signed_in(self, username: str = "lovelace", password: str = PASSWORD, network: str = "home") -> SignedIn:
        return await self.log_in(username=username, password=password, network=network)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def admin(world: World) -> User:
    return await world.admin("grace")


@pytest.fixture
async def member(world: World) -> User:
    return await world.users.add(user("ada"))


@pytest.fixture
async def other(world: World) -> User:
    return await world.users.add(user("emmy", role=Role.ANNOTATOR))
