# Sourced by the scripts beside it: makes VENV, with exactly what the lock says, when it is not
# there yet or the lock has changed. Needs Python 3.11 or newer.
VENV="${RETINUE_VENV:-.venv}"
LOCK="${RETINUE_LOCK:-dev}"

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo -n "$@"; else return 1; fi
}

# Install Debian packages that are missing; a no-op where they are there. Services stay stopped.
debian() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  echo "installing ${missing[*]}" >&2
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c '
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null' sh "${missing[@]}"
}

make_venv() {
  local python lock
  python=$(find_python) || return 1
  lock=$(cat "requirements/$LOCK.txt" pyproject.toml | sha256sum | cut -c1-64)
  [ "$(cat "$VENV/.lock" 2>/dev/null)" = "$lock" ] && return
  if [ ! -x "$VENV/bin/python" ]; then
    "$python" -m venv "$VENV" 2>/dev/null || { debian python3-venv && "$python" -m venv --clear "$VENV"; }
  fi
  echo "installing what requirements/$LOCK.txt pins into $VENV" >&2
  # The lock is complete, so nothing is resolved again: a newer release on the index changes nothing.
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "requirements/$LOCK.txt" || return
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || return
  "$VENV/bin/pip" --disable-pip-version-check check || return
  echo "$lock" >"$VENV/.lock"
}

make_venv
