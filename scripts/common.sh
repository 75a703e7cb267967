# shellcheck shell=bash
# What the scripts share. Sourced, with `set -euo pipefail` in force, from the project's root.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "${0##*/}: $*"
    exit 1
}

# Builds one preset's targets. The configure step runs once; ninja repeats it when a file it read has changed.
build() { # PRESET TARGET...
    local preset=$1 launcher=()
    shift
    command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    if [ ! -f "build/$preset/build.ninja" ]; then
        say "configuring build/$preset ..."
        mkdir -p build
        cmake --preset "$preset" "${launcher[@]}" >"build/$preset.log" 2>&1 || {
            cat "build/$preset.log" >&2
            die "cmake failed"
        }
    fi
    ninja -C "build/$preset" "$@" >"build/$preset.log" 2>&1 || {
        grep -v '^\[[0-9]*/[0-9]*\] \(Building\|Linking\|Generating\)' "build/$preset.log" >&2
        die "the build of build/$preset failed"
    }
}
