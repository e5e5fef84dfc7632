#!/bin/sh
# Creates .venv from requirements-dev.txt (pins and hashes), once; later calls return at once.
#
#   sh scripts/bootstrap.sh                     python3 if it is 3.10-3.13, else the newest of those on PATH
#   PYTHON=/path/to/python sh scripts/bootstrap.sh
#
# The stamp names what .venv was made of: requirements-dev.txt, the Python version, this folder. It is
# written last, so an interrupted run is redone. Where packages come from is left to pip's own configuration.
set -eu
unset PYTHONHOME PYTHONPATH __PYVENV_LAUNCHER__ 2>/dev/null || true

ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$ROOT"
VENV=.venv
LOCK=.venv.lock
STAMP=$VENV/.bootstrap-stamp
INCOMPLETE=$VENV/.bootstrap-incomplete
REQUIREMENTS=requirements-dev.txt

say() { printf 'bootstrap: %s\n' "$*"; }
fail() {
    printf 'bootstrap: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf 'hint: %s\n' "$hint" >&2; done
    exit 1
}

# Running it is the test: a pyenv shim exists for versions that are not there.
is_supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
version_of() { "$1" -c 'import platform; print(platform.python_version())'; }

wanted_stamp() {
    "$1" - "$REQUIREMENTS" "$ROOT" <<'PY'
import hashlib, pathlib, platform, sys
print(hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest(), platform.python_version(), sys.argv[2])
PY
}

is_current() {
    [ -f "$STAMP" ] && [ ! -e "$INCOMPLETE" ] && [ -x "$VENV/bin/python" ] || return 1
    stamp=$(cat "$STAMP")
    [ "$stamp" = "$(wanted_stamp "$VENV/bin/python" 2>/dev/null)" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$stamp" = "$(wanted_stamp "$PYTHON" 2>/dev/null)" ]
}

# Sets $python, and $maker: what creates the environment (venv; virtualenv or uv where venv cannot).
choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON=$PYTHON is not a command" "name a Python 3.10-3.13, or leave PYTHON unset"
        is_supported "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.10-3.13 ($("$PYTHON" --version 2>&1 | head -n 1))" \
            "name another one: make PYTHON=python3.12"
    fi
    fallback=
    for candidate in ${PYTHON:+"$PYTHON"} ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        is_supported "$candidate" || continue
        if has_venv "$candidate"; then
            python=$candidate maker=venv
            return
        fi
        fallback=${fallback:-$candidate}
    done
    [ -n "$fallback" ] || fail "no working Python 3.10-3.13 found on PATH" \
        "install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12"
    python=$fallback
    for maker in virtualenv uv; do
        command -v "$maker" >/dev/null 2>&1 && return
    done
    fail "$python ($(version_of "$python")) cannot create virtual environments: its venv or ensurepip module is missing" \
        "Debian, Ubuntu: apt-get install python3-venv" "or install virtualenv or uv, or name another Python: make PYTHON=python3.12"
}

create_venv() {
    say "1/2 creating $VENV with $python ($(version_of "$python"), $maker)"
    rm -rf "$VENV"
    mkdir "$VENV"
    : >"$INCOMPLETE" # before the first file: a killed run must not look like somebody's own environment
    case $maker in
        venv) "$python" -m venv "$VENV" ;;
        virtualenv) virtualenv --quiet --python "$python" "$VENV" ;;
        uv) uv venv --quiet --seed --allow-existing --python "$python" "$VENV" ;;
    esac
    : >"$INCOMPLETE"
}

# An environment can be updated in place if it works, was not left half made, not moved, and is of the wanted version.
is_reusable() {
    [ ! -e "$INCOMPLETE" ] && is_supported "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    [ "$("$VENV/bin/python" -c 'import os, sys; print(os.path.realpath(sys.prefix))')" = "$ROOT/$VENV" ] || return 1
    grep -qF "$ROOT/$VENV" "$VENV/bin/activate" 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$VENV/bin/python")" ]
}

install_requirements() {
    say "2/2 installing $(grep -c '^[A-Za-z0-9].*==' "$REQUIREMENTS") pinned packages (the first time takes some minutes)"
    # --no-deps: the lock is the whole closure; pip need not resolve it again.
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 "$VENV/bin/python" -m pip install \
        --no-input --no-deps --require-hashes -r "$REQUIREMENTS" && return
    # pip undid what it had begun: an environment that worked is kept, and updated by the next run.
    [ "$1" = new ] || rm -f "$INCOMPLETE"
    fail "pip could not install $REQUIREMENTS" "the lines above say why; run the same command again once it is fixed"
}

build() {
    is_current && return # another make has just done it
    if is_reusable; then
        say "1/2 updating $VENV ($(version_of "$VENV/bin/python"))"
        : >"$INCOMPLETE"
        install_requirements existing
    else
        choose_python
        create_venv
        install_requirements new
    fi
    wanted_stamp "$VENV/bin/python" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
    rm -f "$INCOMPLETE"
    say "done: $ROOT/$VENV"
}

[ -f "$REQUIREMENTS" ] || fail "$ROOT/$REQUIREMENTS is missing" "run make lock in a full checkout"
if [ "${1:-}" = --locked ]; then
    build
elif ! is_current; then
    choose_python
    # Two makes at once: Python takes the lock (no flock command on macOS) and the kernel frees it, whatever
    # happens to this process: the descriptor lives as long as this shell and its children.
    exec "$python" -c '
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o644)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("bootstrap: another run is at work, waiting for it", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
os.set_inheritable(lock, True)
os.execv("/bin/sh", ["sh", sys.argv[2], "--locked"])
' "$LOCK" "$ROOT/scripts/bootstrap.sh"
fi
