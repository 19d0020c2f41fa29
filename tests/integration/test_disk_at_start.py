"""A service that has started knows its disk: one that is taken away before the first upload is away, and is not made anew."""

from pathlib import Path

import httpx

from domain.access import Role
from tests.pictures import png
from tests.walk.scene import scene_in


async def test_a_disk_that_goes_before_the_first_upload_is_not_made_anew(empty_database: str, tmp_path: Path) -> None:
    async with scene_in(empty_database, tmp_path) as scene:
        await scene.as_admin("POST", "/admin/projects", json={"slug": "story", "title": "A story"})
        token = (await scene.sign_in(await scene.person(Role.ADMIN))).access_token

        async def upload() -> int:
            form = {"file": ("figure.png", png(), "image/png")}
            answer = await scene.web.post("/admin/story/upload", files=form, headers={"authorization": f"Bearer {token}"})
            return answer.status_code

        (tmp_path / "files").rename(tmp_path / "away")
        assert await upload() == httpx.codes.SERVICE_UNAVAILABLE
        assert not (tmp_path / "files").exists()
        (tmp_path / "away").rename(tmp_path / "files")
        assert await upload() == httpx.codes.CREATED
