"""How a command ends that was told to, where a library makes an error of the word."""

from __future__ import annotations

import signal
import threading

import pytest

from flows import cli
from flows.runtime import ending
from flows.runtime.ending import INTERRUPTED, reporting_interruption


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals that this process takes itself to have been told to end by."""
    received: list[int] = []
    monkeypatch.setattr(ending, "_received", received)
    monkeypatch.setattr(ending, "_told", threading.Event())
    monkeypatch.setattr(cli, "end_on_signals", lambda: None)
    return received


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_an_error_that_a_library_has_made_of_a_signal_is_an_interruption(
    told: list[int], number: int, ends: type[BaseException]
) -> None:
    told.append(number)
    reported: list[str] = []
    with pytest.raises(ends), reporting_interruption(lambda: reported.append("cancelled")):
        raise ValueError("task run is not set")
    assert reported == ["cancelled"]


def test_an_error_of_its_own_is_none(told: list[int]) -> None:
    reported: list[str] = []
    with pytest.raises(ValueError, match="amiss"), reporting_interruption(lambda: reported.append("cancelled")):
        raise ValueError("amiss")
    assert (reported, told) == ([], [])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_says_so_too(
    told: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    def app(*, standalone_mode: bool) -> int:
        assert not standalone_mode
        told.append(number)
        raise ValueError("a library's words")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capfd.readouterr().err == f"{INTERRUPTED}\n"
