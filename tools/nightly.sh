#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The long tests, in shards of at most an hour. A shard that passed is remembered in build/nightly,
# by the image's hash, and not run again: an interrupted run goes on where it stopped. SHARDS=REGEX
# in the environment: those shards alone.
set -eu

cd "$(dirname "$0")/.."
image=build/reprise.elf
done_in=build/nightly/$(sha256sum "$image" | cut -c1-16)
mkdir -p "$done_in"
passed=0
failed=0

shard() { # NAME COMMAND...
    name=$1
    shift
    echo "$name" | grep -Eq -- "${SHARDS:-.}" || return 0
    if [ -e "$done_in/$name" ]; then
        echo "nightly: $name: passed before"
        passed=$((passed + 1))
        return
    fi
    echo "nightly: $name: $*"
    if "$@" >"$done_in/$name.log" 2>&1; then
        touch "$done_in/$name"
        passed=$((passed + 1))
        echo "nightly: $name: passed"
    else
        failed=$((failed + 1))
        tail -40 "$done_in/$name.log"
        echo "nightly: $name: FAILED (all of it: $done_in/$name.log)"
    fi
}

# The same guests under other circumstances: other seeds move every interrupt.
for seed in 1 2 3 4 5 6 7 8; do
    shard "payloads-seed-$seed" env QEMU_SEED="$seed" tests/run.py payloads
    shard "linux-pvh-seed-$seed" env QEMU_SEED="$seed" tests/run.py linux-pvh
done
for seed in 1 2; do
    shard "linux-smp-seed-$seed" env QEMU_SEED="$seed" \
        tests/run.py linux-smp linux-smp-more --jobs 1
    shard "linux-uefi-seed-$seed" env QEMU_SEED="$seed" tests/run.py linux-uefi monitor
done
for seed in 1 2; do
    shard "debian-seed-$seed" env QEMU_SEED="$seed" tests/run.py debian debian-more
    shard "flash-seed-$seed" env QEMU_SEED="$seed" tests/run.py flash-more
done
for seed in 1 2 3; do
    shard "plane-seed-$seed" env QEMU_SEED="$seed" tests/run.py plane plane-more --jobs 1
done
shard guests tests/run.py guests
shard machines-cores tests/run.py machines-cores --jobs 1
shard vmx tests/run.py monitor-vmx hotplug-vmx linux-uefi-vmx bad-config-vmx faults-vmx smp-vmx
shard linux-smp-vmx tests/run.py linux-smp-vmx linux-smp-more-vmx
shard landing-100000 env LANDINGS=100000 tests/run.py landing --filter linux
shard landing-vmx-100000 env LANDINGS=100000 tests/run.py landing-vmx --filter linux
# Saved and loaded after every exit.
for part in '[a-c]' 'dev_[i-k]' dev_l dev_p 'dev_[r-z]' '[e-l]' '[m-r]' 's[^m]|[t-z]'; do
    for engine in '' -vmx; do
        shard "state-every-exit$engine-$(echo "$part" | tr -dc '[:lower:]')" \
            env STATE_EVERY=1 tests/run.py "state$engine" --filter "state/($part)"
    done
done
shard state-every-exit-smp env STATE_EVERY=1 tests/run.py state --filter state/smp
# Recorded, and replayed twice each.
for seed in 1 2; do
    for engine in '' -vmx; do
        shard "replay$engine-seed-$seed" env REPLAY_ALL=1 QEMU_SEED="$seed" \
            tests/run.py "replay$engine" --filter replay/payload
    done
done
for seed in 1 2 3 4 5 6 7 8 9 10; do
    for engine in '' -vmx; do
        shard "replay$engine-linux-seed-$seed" env REPLAY_ALL=1 QEMU_SEED="$seed" \
            tests/run.py "replay$engine" --filter 'replay/linux$'
    done
done
shard replay-linux-smp env REPLAY_ALL=1 tests/run.py replay --filter 'replay/linux-[24]$'
shard replay-places env REPLAY_ALL=1 tests/run.py replay --filter \
    'replay/(typed|partition|file|ring|bisect|shaped|full|spoiled)$'
shard net-linux-recorded env REPLAY_ALL=1 tests/run.py net --filter linux-recorded
shard replay-ring-vmx env REPLAY_ALL=1 tests/run.py replay-vmx --filter 'replay/ring$'
fuzzers=$(cd build/cover && printf '%s\n' *_fuzz | sed 's/_fuzz$//')
for fuzzer in $fuzzers; do
    shard "fuzz-$fuzzer-1000000" tools/check-fuzz.sh "$fuzzer" 1000000
done
# shellcheck disable=SC2086 # names, one a word
shard fuzz-coverage tools/fuzz-coverage.sh 100000 $fuzzers
shard planted tests/planted.py
shard reproducible tools/check-reproducible.sh

find "$done_in" -name 'replay*.log' -exec cat {} + | awk '
    match($0, /[0-9]+ equal full hashes/) { runs++; hashes += substr($0, RSTART) }
    END { if (runs) print "nightly: " runs " recordings replayed: " hashes " equal full hashes" }'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
