"""An installation of microagent that the ordinary user can reach, wherever the build directory lies."""

import pathlib

from harness.world import run

PROGRAMS = ("microagent", "microagent-supervisor", "microagent-netd", "microagent-mediator")
GUEST_FILES = ("vmlinuz", "initramfs")


def bind(source, target):
    target.touch()
    run("mount", "--bind", source, target)


def lay_out(build, place, programs=PROGRAMS, guest_files=GUEST_FILES):
    """Makes `place` an installation of the build's programs and guest files, or of some of them. Needs a mount
    namespace of our own: the files are not copied."""
    guest = place / "share" / "microagent" / "guest"
    (place / "bin").mkdir(parents=True)
    guest.mkdir(parents=True)
    for program in programs:
        source = build / "bin" / program
        assert source.exists(), f"{source} is missing; run: make"
        bind(source, place / "bin" / program)
    for name in guest_files:
        source = build / "share" / "microagent" / "guest" / name
        if source.exists():
            bind(source, guest / name)
    for directory in [place, *place.rglob("*")]:
        if directory.is_dir():
            directory.chmod(0o755)
    return pathlib.Path(place)
