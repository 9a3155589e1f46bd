import pytest

from serving.settings import Settings, SettingsError, available_cores


def test_defaults_are_open_and_local():
    settings = Settings.read({})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 3000, 1)
    assert settings.model is None
    assert settings.api_keys == settings.cors_origins == ()
    assert settings.threads == available_cores()


def test_keys_open_the_service_to_other_machines():
    settings = Settings.read({"STANCE_API_KEYS": " one, two ,"})
    assert settings.api_keys == ("one", "two")
    assert settings.host == "0.0.0.0"


def test_workers_share_the_cores():
    settings = Settings.read({"STANCE_WORKERS": str(available_cores())})
    assert settings.threads == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STANCE_PORT", "http"),
        ("STANCE_PORT", "0"),
        ("STANCE_PORT", "65536"),
        ("STANCE_WORKERS", "-1"),
        ("STANCE_THREADS", "1.5"),
        ("STANCE_MAX_BODY_BYTES", "4MB"),
        ("STANCE_HOST", "localhost"),
        ("STANCE_HOST", "0.0.0.0"),
        ("STANCE_API_KEYS", " , "),
        ("BENTOML_HOST", "0.0.0.0"),
    ],
)
def test_bad_setting_is_named(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.read({name: value})
