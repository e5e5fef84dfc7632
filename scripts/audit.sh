#!/bin/sh
# Asks a public database (OSV, with the Python Packaging Advisory Database in it) about every pin of requirements*.txt.
#
#   make audit
#   make audit AUDIT_ARGS="--vulnerability-service pypi"     ask PyPI instead
#
# Ends with 0: none has a known vulnerability. 1: some have, listed above. 2: not every pin could be asked about, which
# says nothing of them. It needs a network, so it is no part of `make check`. The tool runs in an environment of its own,
# made by uv: what audits the pins is not among them. --strict: a pin that the database does not answer for is not "fine".
set -u

ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
PIP_AUDIT=${PIP_AUDIT:-} # another one that is installed
SAID=$(mktemp)
trap 'rm -f "$SAID"' EXIT
worst=0

pip_audit() {
    if [ -n "$PIP_AUDIT" ]; then "$PIP_AUDIT" "$@"; else
        "$ROOT/.venv/bin/uv" tool run --quiet --from pip-audit==2.10.1 pip-audit "$@"
    fi
}

cd "$ROOT" || exit 2
for lock in ${LOCKS:-requirements.txt requirements-dev.txt requirements-image.txt}; do
    printf 'audit: %s\n' "$lock"
    # Hashes are checked where packages are installed, and nothing is here. Unquoted: several words.
    # shellcheck disable=SC2086
    if pip_audit --strict --progress-spinner off --disable-pip --no-deps --vulnerability-service osv ${AUDIT_ARGS:-} \
        --requirement "$lock" >"$SAID" 2>&1; then
        continue
    fi
    if grep -q '^Found [0-9]* known vulnerabilit' "$SAID"; then
        cat "$SAID"
        [ "$worst" -eq 2 ] || worst=1
    else
        tail -n 3 "$SAID"
        printf 'audit: the pins of %s could not all be asked about; nothing is known of them\n' "$lock" >&2
        printf 'hint: run it where OSV can be reached, or PyPI itself: AUDIT_ARGS="--vulnerability-service pypi"\n' >&2
        worst=2
        break
    fi
done
exit "$worst"
