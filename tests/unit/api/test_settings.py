"""Settings: documented, safe by default, and no typo passes for one."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from api.configuration import render_configuration
from api.settings import (
    MOVED,
    Settings,
    is_loopback,
    load_settings,
    variable,
)
from tools.errors import InvalidInput

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


class TestDefaults:
    def test_every_file_lies_in_the_data_folder(self) -> None:
        settings = Settings(data_dir=Path("/srv/stock"))

        assert settings.database_url == "sqlite:////srv/stock/quartermaster.db"
        assert settings.outgoing_dir == Path("/srv/stock/outgoing")
        assert settings.audit_key_file == Path("/srv/stock/audit.key")
        assert settings.checkpoint_file == Path("/srv/stock/conversations.db")

    def test_nothing_leaves_the_machine(self) -> None:
        settings = Settings()

        assert settings.model_url == ""
        assert is_loopback(settings.host)

    def test_settings_do_not_change(self) -> None:
        name = "port"

        with pytest.raises(ValidationError, match="frozen"):
            setattr(Settings(), name, 1)

    def test_secrets_are_not_shown(self) -> None:
        settings = Settings(
            model_api_key=SecretStr("canary-1"),
            database_url="postgresql+psycopg://u:canary-2@127.0.0.1/x",
        )

        assert "canary" not in repr(settings)


class TestLoadSettings:
    def test_reads_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QM_PORT", "9000")
        monkeypatch.setenv("QM_MODEL_URL", "")  # empty means: the default

        settings = load_settings()

        assert (settings.port, settings.model_url) == (9000, "")

    def test_names_an_unknown_variable_and_the_nearest_known_one(self) -> None:
        with pytest.raises(InvalidInput, match="QM_MODLE_URL") as refused:
            load_settings({"QM_MODLE_URL": "http://127.0.0.1:1/v1"})

        assert "QM_MODEL_URL" in refused.value.next_step

    def test_an_unknown_variable_without_a_neighbour_points_to_the_page(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            load_settings({"QM_ZZZZZZZZZZ": "1"})

        assert "configuration.md" in refused.value.next_step

    @pytest.mark.parametrize("name", sorted(MOVED))
    def test_a_setting_that_moved_into_the_policy_says_where_it_is(self, name: str) -> None:
        with pytest.raises(InvalidInput, match=MOVED[name]) as refused:
            load_settings({name: "1"})

        assert "docs/policy.md" in refused.value.next_step

    def test_ignores_what_is_not_ours(self) -> None:
        names = {"QM_TEST_POSTGRES_URL": "x", "PATH": "/bin", "qm_port": "1"}

        assert load_settings(names).port == 8321

    def test_a_bad_value_is_named_but_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QM_PORT", "canary")

        with pytest.raises(InvalidInput, match="QM_PORT") as refused:
            load_settings()

        assert "canary" not in str(refused.value)

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", ""])
    def test_a_zone_must_exist(self, zone: str) -> None:
        with pytest.raises(ValidationError):
            Settings(timezone=zone)


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://127.0.0.1/", "http://a b"])
def test_a_model_server_has_a_web_address(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(model_url=url)


class TestHost:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
    def test_this_machine_only_is_fine(self, host: str) -> None:
        assert Settings(host=host).host == host

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "stock.example.org"])
    def test_others_are_refused_unless_meant(self, host: str) -> None:
        with pytest.raises(ValidationError, match="QM_ALLOW_REMOTE"):
            Settings(host=host)

        assert Settings(host=host, allow_remote=True).host == host


class TestConfigurationPage:
    def test_is_what_the_settings_say(self) -> None:
        assert PAGE.read_text(encoding="utf-8") == render_configuration()

    def test_describes_every_setting(self) -> None:
        page = render_configuration()

        for name, field in Settings.model_fields.items():
            assert f"`{variable(name)}`" in page
            assert field.description
