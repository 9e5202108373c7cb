"""Who runs a command is what the kernel says, whatever the environment does."""

import os
import pwd

import pytest

from scrooge.cli.operator import operator_name


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_nobody_can_call_himself_somebody_else(monkeypatch, name):
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv(name, "mallory")
    assert operator_name() == pwd.getpwuid(os.geteuid()).pw_name


def test_by_sudo_it_is_the_one_who_called_sudo_and_only_root_is_by_sudo(monkeypatch):
    monkeypatch.setenv("SUDO_UID", "71001")
    assert operator_name() == ("uid-71001" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    monkeypatch.setenv("SUDO_UID", "0; rm")
    assert operator_name() == pwd.getpwuid(os.geteuid()).pw_name
