import copy
import pickle
import re

import pytest

from include.disaster_recovery import errors
from include.disaster_recovery.errors import DisasterRecoveryError, PermanentError, RetryableError


def tree(kind: type[DisasterRecoveryError]) -> list[type[DisasterRecoveryError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def ours(kind: type[DisasterRecoveryError]) -> list[type[DisasterRecoveryError]]:
    return [each for each in tree(kind) if each.__module__ == errors.__name__]


KINDS = ours(DisasterRecoveryError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_between_processes(kind, again):
    error = again(kind("table messages is gone", hint="look for it"))
    assert type(error) is kind
    assert (error.fact, error.hint) == ("table messages is gone", "look for it")
    assert str(error) == "table messages is gone\nhint: look for it"


def test_a_hint_cannot_be_forgotten():
    with pytest.raises(TypeError, match="hint"):
        DisasterRecoveryError("a fact")  # type: ignore[call-arg]


def test_the_drawing_is_the_tree():
    drawn = {}
    parents: list[str] = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        parents[depth:] = [name]
        drawn[name] = parents[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}


def test_every_error_is_either_retryable_or_permanent():
    for kind in KINDS:
        if kind is not DisasterRecoveryError:
            assert issubclass(kind, RetryableError) != issubclass(kind, PermanentError)
