"""Where contents are kept, as the settings have it: a folder or a bucket, and nothing that could be mistaken for either."""

import pytest

from entrypoints.settings import PREFIX, SettingsError, load


@pytest.mark.parametrize(
    "url", ["file:///srv/stories", "file:///with%20blank/x", "s3://stories", "s3://stories.example/some/prefix", "s3://a-b/"]
)
def test_a_folder_or_a_bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}STORAGE_URL", url)
    assert load().storage_url == url


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "file://relative/x", "file:///", "s3://", "s3://key:secret@bucket", "/srv/files", "file:///x?y", "s3://b/x?y", "s3://B"],
)
def test_anything_else_is_refused_without_repeating_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}STORAGE_URL", url)
    with pytest.raises(SettingsError) as refused:
        load()
    assert str(refused.value).startswith(f"{PREFIX}STORAGE_URL must be a folder such as")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["MAX_UPLOAD_BYTES", "UPLOAD_QUOTA_BYTES"])
def test_sizes_are_sensible(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in ("0", "-1", "ten", str(2**70)):
        monkeypatch.setenv(PREFIX + name, bad)
        with pytest.raises(SettingsError, match=name):
            load()
