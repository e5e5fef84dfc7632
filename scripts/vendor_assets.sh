#!/bin/sh
# Fetches the charting library of Backup History, uPlot (MIT), into static/vendor/. Run it to change the version;
# what it fetches is committed, so that the page works offline and nobody who installs it needs npm.
#
#   sh scripts/vendor_assets.sh
#
# Where packages come from is left to npm's own configuration. VERSION holds the sha256 of each file for the tests.
set -eu

UPLOT=1.6.32
ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
TARGET=$ROOT/include/disaster_recovery/dashboard/static/vendor/uplot
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

cd "$WORK"
npm pack --silent "uplot@$UPLOT" >/dev/null
tar -xzf "uplot-$UPLOT.tgz"
mkdir -p "$TARGET"
cp package/dist/uPlot.esm.js package/dist/uPlot.min.css package/LICENSE "$TARGET/"

cd "$TARGET"
{
    printf 'uplot %s\n' "$UPLOT"
    for file in LICENSE uPlot.esm.js uPlot.min.css; do
        printf '%s  %s\n' "$(sha256sum "$file" | cut -d ' ' -f 1)" "$file"
    done
} >VERSION
