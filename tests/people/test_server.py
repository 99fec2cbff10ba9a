"""The web server of a gallery: who may ask, uploads and their limits, and the answers."""

import http.client
import io
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.people import server as server_module
from avsv.people import service as service_module
from avsv.people.gallery_enrolment import Sample
from avsv.people.operating_point import Goal, OperatingPoint, Rate, calibration_digest
from avsv.people.server import Server
from avsv.people.service import Service
from tests.people.galleries import World, make_gallery

PAGE = {"X-Avsv": "page"}


class Client:
    """Sends requests, by default as the page does."""

    def __init__(self, server):
        self.server, self.port = server, server.server_port

    def ask(self, method, path, body=None, headers=PAGE, **more):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        text = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, text, {**headers, **more})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.headers = answer.headers
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(content) if is_json else content.decode()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body or {}, **more)

    def upload(self, person):
        status, record = self.ask("POST", "/api/recordings", str(person).encode())
        assert status == 200, record
        return record["id"]


@pytest.fixture
def world():
    return World(n_people=4, noise=0.2)


@pytest.fixture
def gallery(tmp_path, world, monkeypatch):
    """A gallery whose uploads are numbers of people in place of media."""
    gallery, taken = make_gallery(tmp_path), []

    def embed(path, audio_track=None):
        taken.append(path)
        text = path.read_text()
        if not text.isdecimal():
            raise InputError(f"{path}: no voice and no face")
        clip = world.clip(int(text[0]), ("voice",) if text.endswith("9") else ("voice", "face"))
        return Sample(str(path), f"{len(taken):016x}", clip)

    monkeypatch.setattr(gallery, "embed", embed)
    gallery.taken = taken
    return gallery


def running(service, **options):
    server = Server(service, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    return server


@pytest.fixture
def client(gallery):
    with Service(gallery) as service:
        server = running(service)
        yield Client(server)
        server.shutdown()
        server.server_close()


def test_enrol_identify_verify_and_remove(client, gallery):
    ann, bo = client.upload(0), client.upload(1)
    assert client.post("/api/enroll", {"name": "Ann", "ids": [ann], "consent": "yes", "force": False})[1]["new"]
    assert client.post("/api/enroll", {"name": "Bo", "ids": [bo], "consent": "", "force": False})[0] == 200
    again, stranger = client.upload(0), client.upload(3)
    found = client.post("/api/identify", {"recording": again})[1]
    assert (found["name"], found["n_people"]) == ("Ann", 2)
    assert [one["name"] for one in found["candidates"]] == ["Ann", "Bo"]
    assert found["margin"] == pytest.approx(found["candidates"][0]["ratio"] - found["candidates"][1]["ratio"])
    assert client.post("/api/identify", {"recording": stranger})[1]["name"] is None
    verdict = client.post("/api/verify", {"one": again, "other": client.upload(0)})[1]
    assert verdict["same"] is True and verdict["ratio"] > verdict["threshold"]
    assert client.post("/api/verify", {"one": again, "other": stranger})[1]["same"] is False
    person = client.get("/api/person?name=Ann")[1]
    assert person["recordings"][0]["consent"] == "yes"
    assert "not kept" in person["recordings"][0]["path"]
    assert client.post("/api/remove", {"name": "Ann"})[1]["embeddings"] == {"voice": 1, "face": 1}
    assert [one["name"] for one in client.get("/api/gallery")[1]["people"]] == ["Bo"]


def test_the_comparison_is_that_of_the_calibration(client, gallery, world):
    one, other = client.upload(0), client.upload("19")
    service = client.server.service
    a, b = (sample.clip.vectors["voice"] for sample in service.samples([one, other]))
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    verdict = client.post("/api/verify", {"one": one, "other": other})[1]
    assert verdict["scores"] == {"voice": pytest.approx(cosine, abs=1e-5)}
    assert verdict["ratio"] == pytest.approx(8 * cosine - 3, abs=1e-4)


def test_an_operating_point_sets_the_thresholds(gallery):
    fusion, rate = gallery.known.fusion, Rate(0.0, 0.0, 0.1, 0, 40)
    point = OperatingPoint(
        4.5,
        Goal(p_target=0.01),
        calibration_digest(fusion),
        fusion.trained_on,
        10,
        True,
        0.1,
        0.1,
        rate,
        rate,
        None,
        [],
    )
    with Service(gallery, operating_point=point) as service:
        one, other = (service.add_upload(io.BytesIO(b"0"), 1)["id"] for _ in range(2))
        assert service.verify(one, other)["threshold"] == point.threshold
        service.enroll("Ann", [one])
        assert service.identify(other)["threshold"] == pytest.approx(point.threshold)
    with pytest.raises(InputError, match="operating point"):
        Service(gallery, operating_point=replace(point, calibration="another", trained_on=["x", "y"]))


def test_uploads_are_deleted_even_if_they_cannot_be_used(client, gallery):
    client.upload(0)
    status, record = client.ask("POST", "/api/recordings", b"no media")
    assert status == 400
    assert record["error"] == "the recording: no voice and no face"
    assert len(gallery.taken) == 2
    assert not any(path.exists() for path in gallery.taken)


def test_doubts_are_answered_with_reasons_and_force_overrules_them(client):
    client.post("/api/enroll", {"name": "Ann", "ids": [client.upload(0)], "consent": "", "force": False})
    given = {"name": "Other", "ids": [client.upload(0)], "consent": "", "force": False}
    status, record = client.post("/api/enroll", given)
    assert status == 409 and "Ann" in record["reasons"][0]
    assert client.post("/api/enroll", {**given, "force": True})[0] == 200


def test_an_upload_is_enrolled_once_and_can_be_discarded(client):
    given = {"name": "Ann", "ids": [client.upload(0)], "consent": "", "force": False}
    assert client.post("/api/enroll", given)[0] == 200
    assert client.post("/api/enroll", given)[0] == 400
    other = client.upload(1)
    assert client.post("/api/discard", {"ids": [other, "unknown"]})[1] == {"discarded": 1}
    assert client.post("/api/identify", {"recording": other})[0] == 400


def test_the_oldest_uploads_are_forgotten(client, monkeypatch):
    monkeypatch.setattr(service_module, "MOST_KEPT", 2)
    first, second, third = (client.upload(person) for person in range(3))
    assert client.post("/api/identify", {"recording": first})[0] == 400
    assert client.post("/api/identify", {"recording": second})[0] == 200
    monkeypatch.setattr(service_module, "KEPT_SECONDS", 0.0)
    assert client.post("/api/identify", {"recording": third})[0] == 400


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_host_name_is_refused(client, host):
    """DNS rebinding: a foreign name that resolves to this machine."""
    for path in ("/", "/api/gallery"):
        assert client.get(path, Host=host.format(port=client.port))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_names_of_this_machine_are_served(client, host):
    own = f"{host}:{client.port}"
    assert client.get("/", Host=own)[0] == 200
    assert client.post("/api/discard", {"ids": []}, Host=own, Origin=f"http://{own}")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_requests_of_other_sites_are_refused(client, origin):
    assert client.post("/api/discard", {"ids": []}, Origin=origin)[0] == 403


def test_requests_without_the_pages_header_are_refused(client):
    """A browser sends a form, or text, to another site without asking it; such a header it does not."""
    assert client.ask("POST", "/api/remove", {"name": "Ann"}, headers={"Content-Type": "text/plain"})[0] == 403
    status, _ = client.ask("OPTIONS", "/api/remove", headers={"Access-Control-Request-Headers": "x-avsv"})
    assert status == 501
    assert client.headers["Access-Control-Allow-Origin"] is None


def test_other_machines_need_the_token(gallery):
    with pytest.raises(ValueError, match="token"):
        Server(Service(gallery), "0.0.0.0")
    with Service(gallery) as service:
        server = running(service, host="0.0.0.0", token="secret")
        client = Client(server)
        assert server.url.endswith("/#token=secret")
        assert client.get("/api/gallery")[0] == 401
        assert client.get("/api/gallery", Authorization="Bearer wrong")[0] == 401
        assert client.get("/api/gallery", Authorization="Bearer secret", Host="my.machine:1")[0] == 200
        assert "secret" not in client.get("/")[1]
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", [
    "/../setup.py", "/page/../server.py", "//etc/passwd", "/%2e%2e/server.py", "/api/person",
    "/api/person?name=a&name=b",
    "/api/files?path=/etc/passwd", "/index.html",
])  # fmt: skip
def test_only_the_pages_own_paths_exist(client, path):
    assert client.get(path)[0] == 404


def test_the_page_loads_nothing_from_elsewhere(client):
    for path in ("/", "/page.css", "/page.js"):
        status, text = client.get(path)
        assert status == 200
        assert "http://" not in text and "https://" not in text
        assert "default-src 'none'" in client.headers["Content-Security-Policy"]
        assert client.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/api/remove", b"{", 400),
    ("/api/remove", b"\xff", 400),
    ("/api/remove", b'{"name": 1}', 400),
    ("/api/remove", b'{"name": "a", "more": 1}', 400),
    ("/api/remove", b'{"name": "nobody"}', 400),
    ("/api/remove", b"[" * 60000, 400),
    ("/api/enroll", b'{"name": "", "ids": [], "consent": "", "force": false}', 400),
    ("/api/else", b"{}", 404),
])  # fmt: skip
def test_wrong_requests_get_a_message(client, path, body, status):
    found, record = client.ask("POST", path, body)
    assert found == status and record["error"]


@pytest.mark.parametrize(("path", "length", "status"), [
    ("/api/recordings", str((64 << 20) + 1), 413),
    ("/api/recordings", "9" * 5000, 411),
    ("/api/recordings", "-1", 411),
    ("/api/recordings", "1e3", 411),
    ("/api/remove", str(1 << 20), 413),
])  # fmt: skip
def test_a_body_too_large_is_refused_before_it_is_read(client, path, length, status):
    assert client.ask("POST", path, b"", headers={**PAGE, "Content-Length": length})[0] == status


def test_a_body_of_unknown_length_is_refused(client):
    assert (
        client.ask("POST", "/api/recordings", b"0\r\n\r\n", headers={**PAGE, "Transfer-Encoding": "chunked"})[0] == 411
    )


def test_an_upload_cut_short_leaves_nothing(client, gallery, monkeypatch):
    monkeypatch.setattr(server_module.Handler, "timeout", 0.3)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
    connection.putrequest("POST", "/api/recordings")
    connection.putheader("Content-Length", "1000")
    connection.putheader("X-Avsv", "page")
    connection.endheaders(b"only a part")
    with pytest.raises(http.client.HTTPException):
        connection.getresponse()
    assert not gallery.taken
    assert not list(Path(client.server.service.folder.name).iterdir())
    client.upload(0)  # its place is free again


def test_too_many_uploads_at_a_time_are_refused(client):
    for _ in range(service_module.MOST_WAITING):
        assert client.server.service.places.acquire(blocking=False)
    assert client.ask("POST", "/api/recordings", b"0")[0] == 503
    client.server.service.places.release()
    assert client.ask("POST", "/api/recordings", b"0")[0] == 200


def test_a_long_recording_is_refused_by_its_header(client, monkeypatch):
    monkeypatch.setattr(service_module, "MOST_SECONDS", 1.0)
    content = io.BytesIO()
    soundfile.write(content, np.zeros(32000), 16000, format="WAV")
    status, record = client.ask("POST", "/api/recordings", content.getvalue())
    assert status == 400 and "minutes" in record["error"]


def test_a_fault_of_the_server_is_no_news_for_the_client(client, monkeypatch):
    def fail():
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(client.server.service, "overview", fail)
    status, record = client.get("/api/gallery")
    assert status == 500 and "secret" not in record["error"]


def test_names_are_text_whatever_they_contain(client):
    name = '<img src=x onerror="alert(1)"> / דוד'
    given = {"name": name, "ids": [client.upload(0)], "consent": "", "force": False}
    assert client.post("/api/enroll", given)[1]["name"] == name
    assert client.get("/api/gallery")[1]["people"][0]["name"] == name


def test_the_temporary_folder_is_removed_at_the_end(gallery):
    with Service(gallery) as service:
        folder = service.folder.name
    assert not Path(folder).exists()
