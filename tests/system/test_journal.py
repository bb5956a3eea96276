"""Records in the journal: found by their fields, explained, and never in a request's way."""

import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

from boxes import CLIENT_KEY, ROOT, answer_of, wait_until

JOURNALD = "systemd-journald.service"
JSON = "content-type: application/json"
MESSAGE_IDS = dict(re.findall(r'\("(\w+)", "([0-9a-f]{32})"\)', (ROOT / "src/telemetry/message_id.rs").read_text()))


def record(service, *matches, **how):
    """The only one; the daemon sends it some milliseconds after the event."""
    (found,) = wait_until(lambda: service.records(*matches, **how), f"a record {matches}")
    return found


def own_fields(record):
    return {name for name in record if name.startswith("UPSTREAMD_")}


def explained(service):
    """What journalctl -x shows, without its line breaks."""
    shown = service.box.sh('journalctl -x --no-pager -u upstreamd.service --since "$1"', service.since)
    return " ".join(shown.replace("░░", "").split())


def post(service, body):
    """A POST of these bytes by curl; gives the status."""
    sent = service.box.run(
        *("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"authorization: Bearer {CLIENT_KEY}"),
        *("-H", JSON, "--data-binary", "@-", "http://127.0.0.1:4000/v1/chat/completions"),
        input=body,
    )
    return sent.stdout


@contextmanager
def frozen_journal(service):
    """A journald that is there and reads nothing."""
    pid = service.show("MainPID", JOURNALD)
    service.box.sh('kill -STOP "$1"', pid)
    try:
        yield
    finally:
        service.box.sh('kill -CONT "$1"', pid)


def test_under_systemd_a_record_has_native_fields(service):
    assert service.is_served()
    found = record(service, "UPSTREAMD_EVENT=request_completed")
    assert found["MESSAGE"].startswith("POST /v1/chat/completions 200 in 0.")
    assert found["MESSAGE_ID"] == MESSAGE_IDS["request_completed"]
    expected = {"_TRANSPORT": "journal", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "upstreamd", "_SYSTEMD_UNIT": "upstreamd.service"}
    expected |= {"UPSTREAMD_MODEL": "gpt-5", "UPSTREAMD_CLIENT": "test", "UPSTREAMD_STATUS": "200", "UPSTREAMD_STREAMING": "false"}
    assert {name: found.get(name) for name in expected} == expected
    # Nothing failed, so nothing is said of a failure.
    assert "UPSTREAMD_ERROR_CODE" not in found
    # What the daemon writes of itself has its fields too.
    assert record(service, "UPSTREAMD_EVENT=ready")["UPSTREAMD_LISTENERS"] == "127.0.0.1:4000 unix:/run/upstreamd/upstreamd.sock"
    # And nothing comes by standard error.
    assert not service.records("_TRANSPORT=stdout")


def test_fields_can_be_matched_on(service):
    for model in ["gpt-5", "gpt-5", "other"]:
        assert post(service, json.dumps({"model": model, "messages": []})) == "200"
    assert service.answer(key="sk-wrong")[0] == 401
    wait_until(lambda: len(service.records("UPSTREAMD_METHOD=POST")) == 4, "four records")
    assert len(service.records("UPSTREAMD_MODEL=gpt-5")) == 2
    assert len(service.records("UPSTREAMD_MODEL=gpt-5", "UPSTREAMD_MODEL=other")) == 3
    assert len(service.records("UPSTREAMD_CLIENT=test", "UPSTREAMD_MODEL=other")) == 1
    assert record(service, "UPSTREAMD_ERROR_CODE=invalid_api_key")["UPSTREAMD_STATUS"] == "401"


def test_priorities_mean_what_the_levels_mean(service):
    service.configure(service.config() + '\n[log]\nlevel = "debug"\n')
    assert service.is_served()
    # Other workers: only a restart brings them.
    service.configure(service.config().replace("[server]", "[server]\nworkers = 3") + '\n[log]\nlevel = "debug"\n')
    service.systemctl("reload", "upstreamd.service")
    service.configure("nonsense\n")
    service.box.run("systemctl", "reload", "upstreamd.service")
    for event, priority in [
        ("request_received", "7"), ("request_completed", "6"), ("restart_needed", "4"), ("reload_failed", "3"),
    ]:
        assert record(service, f"UPSTREAMD_EVENT={event}")["PRIORITY"] == priority, event
    # What journalctl -p shows is what wants attention.
    assert {found["UPSTREAMD_EVENT"] for found in service.records("-p", "warning", "_COMM=upstreamd")} == {"restart_needed", "reload_failed"}


def test_the_catalog_explains_every_record(service):
    listed = service.box.sh("journalctl --list-catalog").splitlines()
    ours = {line.split()[0] for line in listed if " upstreamd: " in line}
    assert ours == set(MESSAGE_IDS.values())
    service.systemctl("start", "upstreamd.service")
    service.configure("nonsense\n")
    assert service.box.run("systemctl", "reload", "upstreamd.service").returncode != 0
    record(service, "UPSTREAMD_EVENT=reload_failed")
    shown = explained(service)
    assert "Subject: upstreamd 0." in shown and "serves requests" in shown
    assert "It listens at 127.0.0.1:4000 unix:/run/upstreamd/upstreamd.sock." in shown
    assert "Subject: The new configuration is wrong and not used" in shown
    assert "of such errors there are 1," in shown and "systemctl reload upstreamd.service" in shown


def test_the_commands_of_the_manual_find_records(service):
    assert service.is_served()
    assert service.answer(key="sk-wrong")[0] == 401
    service.configure("nonsense\n")
    service.box.run("systemctl", "reload", "upstreamd.service")
    record(service, "UPSTREAMD_EVENT=reload_failed")
    request_id = record(service, "UPSTREAMD_MODEL=gpt-5")["UPSTREAMD_REQUEST_ID"]
    pages = [(ROOT / "man" / page).read_text() for page in ("upstreamd.8", "upstreamd-events.7")]
    commands = re.findall(r"^(?:\.Dl )?(journalctl .*)$", "\n".join(pages), re.MULTILINE)
    assert len(commands) >= 10, commands
    for command in commands:
        # -f would go on for ever; the others are of this box.
        here = command.replace(" -f", "").replace("=ID", f"={request_id}")
        here = here.replace("CLIENT=litellm UPSTREAMD_EVENT=request_failed", "CLIENT=test UPSTREAMD_EVENT=request_completed")
        in_box, _, filtered = here.partition(" | ")
        found = service.box.sh(in_box)
        assert "No entries" not in found and found.strip(), command
        if filtered and shutil.which("jq"):
            found = subprocess.run(["sh", "-euc", filtered], input=found, capture_output=True, text=True, check=True)
            assert found.stdout.strip(), command


HOSTILE = [
    "x\nPRIORITY=0\nMESSAGE=forged\nUPSTREAMD_CLIENT=somebody\n",
    "x\nMESSAGE\n\x06\x00\x00\x00\x00\x00\x00\x00forged\n",
    "\x00\x01\x1b[31m\x7f\u202e\u2028",
    "=\n\n\n=",
    "m" * 70_000,
]


@pytest.mark.parametrize("model", HOSTILE, ids=["newline", "length", "control", "empty", "large"])
def test_no_value_can_forge_a_field(service, model):
    assert service.is_served()
    honest = record(service, "UPSTREAMD_EVENT=request_completed")
    # The upstream answers with the same model's name.
    assert post(service, json.dumps({"model": model, "messages": []})) == "200"
    wait_until(lambda: len(service.records("UPSTREAMD_EVENT=request_completed")) == 2, "its record")
    (found,) = [each for each in service.records("UPSTREAMD_METHOD=POST") if each["__CURSOR"] != honest["__CURSOR"]]
    if len(model) <= 256:
        assert (found["UPSTREAMD_MODEL"], found["UPSTREAMD_UPSTREAM_MODEL"]) == (model, model)
    else:
        assert found["UPSTREAMD_MODEL"] == model[:253] + "…"
    same = ["PRIORITY", "UPSTREAMD_CLIENT", "MESSAGE_ID", "SYSLOG_IDENTIFIER"]
    assert [found[name] for name in same] == [honest[name] for name in same]
    assert found["MESSAGE"].startswith("POST /v1/chat/completions 200 in ")
    # A new connection or a pooled one; a name that is too long is not kept.
    assert own_fields(found) ^ own_fields(honest) <= {"UPSTREAMD_UPSTREAM_CONNECT_S", "UPSTREAMD_UPSTREAM_MODEL"}
    assert not service.records("MESSAGE=forged", unit=None)


@pytest.mark.parametrize(
    "head",
    [
        rb"GET /v1/\xff\xfe\nPRIORITY=0 HTTP/1.1\r\nhost: x\r\n",
        rb"GET /v1/x%0APRIORITY=0 HTTP/1.1\r\nhost: x\r\nx-request-id: a\nPRIORITY=0\r\n",
        rb"G\x00T /v1/x HTTP/1.1\r\nhost: x\r\n",
        rb"GET /v1/x HTTP/1.1\r\nhost: x\r\nx-request-id: \xff\xfe\x80\r\n",
    ],
    ids=["path", "percent", "method", "id"],
)
def test_no_byte_of_a_head_can_forge_a_field(service, head):
    script = rf"exec 3<>/dev/tcp/127.0.0.1/4000; printf '%b' '{head.decode()}connection: close\r\n\r\n' >&3; cat <&3"
    assert "HTTP/1.1" in service.box.run("bash", "-c", script, encoding="latin-1").stdout
    found = record(service, f"MESSAGE_ID={MESSAGE_IDS['request_failed']}")
    assert found["PRIORITY"] == "6" and found["UPSTREAMD_EVENT"] == "request_failed"


def test_a_record_larger_than_a_datagram_arrives_whole(service):
    keys = [f"unknown_key_{number} = 1" for number in range(3000)]
    service.configure("\n".join(keys))
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    found = record(service, "UPSTREAMD_EVENT=start_failed")
    # net.core.wmem_default is 208 KiB.
    assert len(found["MESSAGE"]) > 300_000
    assert "unknown_key_0:" in found["MESSAGE"] and "unknown_key_2999:" in found["MESSAGE"]


def test_standard_error_elsewhere_gets_json(service):
    service.drop_in("upstreamd.service", "[Service]\nStandardError=file:/run/upstreamd-test.log\n")
    assert service.is_served()
    service.systemctl("stop", "upstreamd.service")
    lines = [json.loads(line) for line in service.box.sh("cat /run/upstreamd-test.log; rm /run/upstreamd-test.log").splitlines()]
    assert [line["event"] for line in lines] == ["ready", "request_completed", "draining", "stopped"]
    assert not service.records("_COMM=upstreamd")


def test_without_the_journals_socket_records_still_reach_the_journal(service):
    service.drop_in("upstreamd.service", "[Service]\nInaccessiblePaths=/run/systemd/journal/socket\n")
    assert service.is_served()
    events = lambda: [json.loads(found["MESSAGE"]) for found in service.records("_TRANSPORT=stdout")]
    wait_until(lambda: [each["event"] for each in events()] == ["journal_unreachable", "ready", "request_completed"], "three lines")
    assert events()[0]["level"] == "warning"


def test_a_start_that_fails_is_explained(service):
    service.configure("nonsense\n")
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    found = record(service, "UPSTREAMD_EVENT=start_failed")
    assert found["PRIORITY"] == "3" and "upstreamd.toml:1:" in found["MESSAGE"]
    # Once, not a second time as text.
    assert not service.records("_TRANSPORT=stdout")
    shown = explained(service)
    assert "Subject: upstreamd could not start" in shown and "upstreamd check" in shown


def test_a_start_that_fails_while_the_journal_reads_nothing_is_not_lost(service):
    service.configure("nonsense\n")
    with frozen_journal(service):
        assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    # As text too. Both may come after the process is forgotten, and then belong to no unit.
    said = lambda by: any("upstreamd.toml:1:" in each["MESSAGE"] for each in service.records("-t", "upstreamd", f"_TRANSPORT={by}", unit=None))
    wait_until(lambda: said("stdout") and said("journal"), "the text and the record")


def test_a_command_line_that_is_wrong_is_said(service):
    service.drop_in("upstreamd.service", "[Service]\nExecStart=\nExecStart=/usr/bin/upstreamd --no-such-flag\n")
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    service.systemctl("stop", "upstreamd.service")
    wait_until(lambda: any("--no-such-flag" in each["MESSAGE"] for each in service.records("_TRANSPORT=stdout")), "the text")


def test_the_last_record_belongs_to_the_unit_though_the_journal_reads_late(service):
    service.configure("nonsense\n")
    with frozen_journal(service):
        service.systemctl("start", "--no-block", "upstreamd.service")
        wait_until(service.pid, "a process")
        # In this time it would have ended, and journald found nobody.
        time.sleep(0.5)
    assert record(service, "UPSTREAMD_EVENT=start_failed")["_SYSTEMD_UNIT"] == "upstreamd.service"
    service.wait_for_state("failed")


def test_a_journal_that_reads_nothing_ends_no_stop(service):
    assert service.is_served()
    with frozen_journal(service):
        begun = time.monotonic()
        service.systemctl("stop", "upstreamd.service")
        # The last records have 2 s.
        assert time.monotonic() - begun < 10


PROBES = 6_000


def probe(service):
    """Health checks one after the other; gives the seconds that each took."""
    asked = service.box.sh(
        'curl -sS -o /dev/null -w "%{http_code} %{time_total}\\n" "http://127.0.0.1:4000/health?[1-$1]" | grep "^200" | cut -d" " -f2',
        str(PROBES),
    )
    times = sorted(map(float, asked.split()))
    assert len(times) == PROBES
    return times


@contextmanager
def gone_journal(service):
    """No journald, and no sockets of it."""
    units = "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald.service"
    service.box.sh(f"systemctl stop {units} 2>/dev/null")
    try:
        yield
    finally:
        service.box.sh("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service")


@pytest.mark.parametrize("trouble", [frozen_journal, gone_journal], ids=["frozen", "gone"])
def test_requests_do_not_wait_for_the_journal_and_losses_are_counted(service, trouble):
    # journald's own limit (10,000 in 30 s) is not what is tested.
    service.drop_in("upstreamd.service", "[Service]\nLogRateLimitIntervalSec=0\n")
    service.configure(service.config() + '\n[log]\nlevel = "debug"\n')
    assert service.is_served()
    record(service, "UPSTREAMD_EVENT=request_completed")
    before = probe(service)
    wait_until(lambda: len(service.records("UPSTREAMD_PATH=/health")) == 2 * PROBES, "two records of each")
    with trouble(service):
        # Twice as many as may wait; two records each.
        stream = service.ask(stream=True, words=5)
        during = probe(service) + probe(service)
        assert "data: [DONE]" in answer_of(stream)[1]
        assert service.is_served()
    assert service.is_served()

    def all_counted():
        lost = service.records("UPSTREAMD_EVENT=log_dropped")
        count = sum(int(each["UPSTREAMD_COUNT"]) for each in lost)
        came = len(service.records("UPSTREAMD_PATH=/health"))
        # Those of other requests may be among the lost ones.
        return lost if 6 * PROBES <= came + count <= 6 * PROBES + 8 else None

    lost = wait_until(all_counted, "a word on every record that is not there")
    assert all(each["PRIORITY"] == "4" for each in lost)
    median = lambda times: times[len(times) // 2]
    print(f"\n{trouble.__name__}: median {median(before) * 1e6:.0f} us before, {median(sorted(during)) * 1e6:.0f} us then, "
          f"slowest {before[-1] * 1e3:.1f} ms and {max(during) * 1e3:.1f} ms; {lost[-1]['UPSTREAMD_TOTAL']} records lost")
    assert max(during) < 1
    assert median(sorted(during)) < 3 * median(before)
