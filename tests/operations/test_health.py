"""What keeps a service healthy: messages about failures, and retention."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from composed import COMPOSE, interpolated
from machine import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def heard():
    """Listen for messages at a port of this machine."""
    messages = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", messages
        server.shutdown()


def test_failed_run_of_a_deployment_is_one_message(prefect_server, heard):
    from prefect import flow
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore
    from prefect.states import Failed, Running

    url, messages = heard
    body = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="operators", url=url, json_data=body)
    text = (ROOT / "deployments/notifications.yaml").read_text()
    number = str(block.save("operators", overwrite=True))
    filled = text.replace("00000000-0000-0000-0000-000000000000", number)
    (described,) = yaml.safe_load(filled)["automations"]

    @flow
    def night():
        """Stand for a flow with a deployment."""

    with get_client(sync_client=True) as client:
        client.create_automation(AutomationCore.model_validate(described))
        deployment = client.create_deployment(client.create_flow(night), "nightly")
        run = client.create_flow_run_from_deployment(deployment)
        inner = client.create_flow_run(night)
        time.sleep(3)  # the server loads automations anew every second or so
        for each in (inner, run):
            client.set_flow_run_state(each.id, Running(), force=True)
            client.set_flow_run_state(each.id, Failed(message="3 of 9 failed"), force=True)
    until(lambda: messages, "a message")
    time.sleep(1)
    (message,) = messages
    assert message["subject"] == "night: Failed"
    assert f"{run.name}: 3 of 9 failed" in message["body"]


def test_old_runs_are_removed_as_the_compose_file_says(monkeypatch):
    from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

    services = yaml.safe_load(interpolated(COMPOSE.read_text()))["services"]
    for name, value in services["services"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    settings = ServerServicesDBVacuumSettings()
    assert settings.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert settings.retention_period.days == 90
