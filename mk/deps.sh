#!/bin/sh
# deps.sh PACKAGE... - installs the Debian packages that are missing, and says which. On a system without
# dpkg it only lists them, under Debian's names, and leaves the rest to its user.
set -eu

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: this is not a Debian system; voxconv needs what Debian calls: $*"
    exit 0
fi

missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: these packages are missing; install them as root:$missing" >&2
        exit 1
    fi
    sudo=sudo
fi

echo "deps: installing$missing"
# Old package lists point at files that mirrors no longer have, so they are renewed first.
$sudo apt-get update -q
# shellcheck disable=SC2086 # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
