"""The vault's process leaves no core file and cannot be read by others of its user."""

import json
import os  # noqa: F401 - in the marks
import subprocess
import sys

import pytest

# As root: one process becomes nobody and perhaps hardens itself; another that became nobody tries to look into it.
SCRIPT = """
import ctypes, json, os, resource, signal, sys
from scrooge.vault.hardening import harden

hardened = sys.argv[1] == "hardened"

def become_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # Who changes his user cannot be read until he says so.

def child(work):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(lambda word: os.write(theirs, word.encode() + b" "))
        finally:
            os._exit(0)
    os.close(theirs)
    return pid, ours

def target(say):
    become_nobody()
    if hardened:
        harden()
    say("ready")
    signal.pause()

def reader(say):
    become_nobody()
    for name in ("environ", "mem"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                say(f"{name}:read")
        except PermissionError:
            say(f"{name}:refused")

def dying(say):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    if hardened:
        harden()
    os.abort()

pid, ready = child(target)
os.read(ready, 10)
_, told = child(reader)
said = b""
while part := os.read(told, 100):
    said += part
os.kill(pid, signal.SIGKILL)
dead, _ = child(dying)
_, status = os.waitpid(dead, 0)
print(json.dumps({"said": said.decode().split(), "dumped": os.WCOREDUMP(status), "signal": os.WTERMSIG(status)}))
"""


def played(how: str, folder) -> dict:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif("os.geteuid() != 0", reason="becoming another user takes root")
@pytest.mark.skipif("sys.platform != 'linux'", reason="prctl(2) and /proc are Linux's")
def test_a_hardened_process_leaves_no_core_and_is_closed_to_others_of_its_user(tmp_path):
    plain = played("plain", tmp_path)
    assert "environ:read" in plain["said"], "without it the test shows nothing"
    for file in tmp_path.iterdir():
        file.unlink()
    hardened = played("hardened", tmp_path)
    assert hardened["said"] == ["environ:refused", "mem:refused"]
    assert hardened["signal"] == 6
    assert not hardened["dumped"]
    assert list(tmp_path.iterdir()) == []
