"""Who answers in the place of the Prefect server that is configured, and what is said of it."""

import datetime
import os
import ssl

import pytest
from answering import answering
from prefect.settings import PREFECT_API_URL, Settings, temporary_settings

from stpipe_prefect.exceptions import StpipePrefectError
from stpipe_prefect.orchestration.server import prefect_api, server_may_be_configured


def said(url):
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(StpipePrefectError) as caught,
        prefect_api(),
    ):
        raise AssertionError("somebody took that for a server")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_proxy_or_another_server_that_refuses():
    with answering({"/api/flows/filter": 403}) as port:
        message = said(f"http://127.0.0.1:{port}/api")
    assert message.startswith(f"http://127.0.0.1:{port}/api/ returned 403 Forbidden:")
    assert "check PREFECT_API_URL; NO_PROXY lists" in message


def test_proxy_that_does_not_let_through(monkeypatch):
    with answering({"prefect.example.org:443": 403}) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        message = said("https://prefect.example.org/api")
    assert message == (
        "The proxy on the way to the Prefect server at https://prefect.example.org/api/ failed: "
        "403 Forbidden; NO_PROXY lists hosts to reach without a proxy"
    )


def test_certificate_that_nobody_trusts(self_signed):
    with answering({}, tls=self_signed) as port:
        message = said(f"https://127.0.0.1:{port}/api")
    assert message.startswith(f"The certificate of the Prefect server at https://127.0.0.1:{port}")
    assert "self-signed certificate" in message and "set PREFECT_API_SSL_CERT_FILE" in message


def test_nobody_answers():
    with answering({}) as port:
        pass
    assert said(f"http://127.0.0.1:{port}/api").startswith("No Prefect server answers at http://")


@pytest.fixture
def nothing_configured(tmp_path, monkeypatch):
    """A folder and a home in which nothing names a server."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()


URL = "http://127.0.0.1:9/api"
PROFILE = f'active = "one"\n[profiles.one]\nPREFECT_API_URL = "{URL}"\n'
WAYS = {
    "environment": ({"PREFECT_API_URL": URL}, {}),
    "profile": ({}, {"home/profiles.toml": PROFILE}),
    "its file": ({"PREFECT_PROFILES_PATH": "some.toml"}, {"some.toml": PROFILE}),
    "its file, elsewhere": (
        {},
        {".env": "PREFECT_PROFILES_PATH=some.toml\n", "some.toml": PROFILE},
    ),
    "name of a profile": (
        {"PREFECT_PROFILE": "one"},
        {"home/profiles.toml": PROFILE.removeprefix('active = "one"')},
    ),
    ".env": ({}, {".env": f"PREFECT_API_URL={URL}\n"}),
    "prefect.toml": ({}, {"prefect.toml": f'[api]\nurl = "{URL}"\n'}),
    "pyproject.toml": ({}, {"pyproject.toml": f'[tool.prefect]\napi.url = "{URL}"\n'}),
}


@pytest.mark.parametrize(("variables", "files"), WAYS.values(), ids=WAYS)
def test_every_way_to_configure_a_server_is_noticed(
    nothing_configured, tmp_path, monkeypatch, variables, files
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert Settings().api.url == URL
    assert server_may_be_configured()


def test_nothing_names_a_server(nothing_configured, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "INFO")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["prefect"]  # its API\n')
    assert (Settings().api.url, server_may_be_configured()) == (None, False)


@pytest.fixture
def self_signed(tmp_path):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(encoding)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
