#!/bin/sh
# Install airmem from the wheels beside this script, without a network.
#
#   sh install.sh [FOLDER]           a virtual environment in FOLDER (default: ~/.local/share/airmem)
#   sh install.sh --target FOLDER    the packages in a plain folder, with FOLDER/bin/airmem
#
# PYTHON=python3.12 chooses the interpreter. Needs neither pip nor ensurepip; writes nowhere but to FOLDER.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mode=environment
case ${1:-} in
    --target) mode=plain; shift ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "install.sh: unknown option $1" >&2; exit 2 ;;
esac
folder=${1:-}
if [ -z "$folder" ]; then
    [ "$mode" = environment ] || { echo "install.sh: --target needs a FOLDER" >&2; exit 2; }
    folder=${HOME:?give a FOLDER}/.local/share/airmem
fi
python=${PYTHON:-python3}

fail() { echo "install.sh: $1" >&2; exit 1; }
command -v "$python" >/dev/null 2>&1 || fail "$python is not here; name an interpreter: PYTHON=/path/to/python3 sh install.sh"
wanted=$(cat "$here/ARCHITECTURE")
[ "$(uname -m)" = "$wanted" ] || fail "these wheels are for $wanted, this machine is $(uname -m)"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
grep -qx "$version" "$here/PYTHONS" ||
    fail "$python is Python $version; there are wheels for $(tr '\n' ' ' <"$here/PYTHONS")(PYTHON=... chooses another)"
"$python" -c 'import platform, sys; sys.exit(platform.libc_ver()[0] != "glibc")' ||
    fail "these wheels need glibc; this system (Alpine?) has another C library"
if command -v sha256sum >/dev/null 2>&1; then
    (cd "$here" && sha256sum --status -c SHA256SUMS) || fail "a wheel is damaged or missing: copy the archive again"
fi
for pip in "$here"/wheels/pip-*.whl; do break; done

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [ "$mode" = environment ]; then
    "$python" -m venv --without-pip "$folder"
    "$folder/bin/python" -I "$pip/pip" --isolated install --quiet --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" --upgrade airmem
else
    "$python" -I -S "$pip/pip" --isolated install --quiet --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" --upgrade --target "$folder/packages" airmem
    mkdir -p "$folder/bin"
    found=$(command -v "$python")
    cat >"$folder/bin/airmem" <<END
#!/bin/sh
PYTHONPATH='$folder/packages'\${PYTHONPATH:+:\$PYTHONPATH} exec '$found' -m airmem "\$@"
END
    chmod 755 "$folder/bin/airmem"
fi
"$folder/bin/airmem" --version
echo "Run: $folder/bin/airmem ps"
