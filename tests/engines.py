# SPDX-License-Identifier: BSD-2-Clause
"""The engines that run guests, and the emulator that has the CPU for each."""

import bochs
import qemu

EMULATORS = {"svm": qemu, "vmx": bochs}


def suffix(engine):
    """Of the names of an engine's suites; the first one's have none."""
    return "" if engine == "svm" else "-" + engine


def prefix(engine):
    """Of the names of an engine's cases."""
    return "" if engine == "svm" else engine + "/"
