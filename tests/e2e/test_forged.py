"""Forged tokens at a running service: each is 401, in the contract's form."""

import httpx
import pytest

from tests.drills.tokens import drill, material_of
from tests.e2e.client import Service, problem


@pytest.mark.xdist_group("forged")
def test_every_forged_token_is_401(service: Service) -> None:
    sent = drill(service, seed=1)
    assert len(sent) >= 2000
    assert [(one.fault, one.forged) for one in sent if one.fault] == []


def test_no_other_token_passes_for_a_refresh_or_a_set_up_token(service: Service, anonymous: httpx.Client) -> None:
    material = material_of(service)
    live = {"refresh token", "set-up token"}
    for text in [material.access, *(text for name, text in material.texts.items() if name not in live)]:
        problem(anonymous.post("/auth/refresh", json={"refresh_token": text}), 401)
        problem(anonymous.post("/auth/set-password", json={"token": text, "new_password": "seven-tall-green-pines"}), 401)
    problem(anonymous.post("/auth/refresh", json={"refresh_token": material.texts["set-up token"]}), 401)
    problem(
        anonymous.post("/auth/set-password", json={"token": material.texts["refresh token"], "new_password": "seven-tall-green-pines"}), 401
    )
    assert anonymous.post("/auth/refresh", json={"refresh_token": material.texts["refresh token"]}).status_code == 200
