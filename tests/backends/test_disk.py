"""Kernels on disk: nowhere to keep them, bad files, several writers, other settings."""

import compileall
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from process import PATH, run

import fastpool
from fastpool.process import cache_folders

pytest.importorskip("numba")

# Pools a parallel and a small array, and tells how many functions were compiled for it.
CODE = """
    import numpy as np, fastpool
    from fastpool.backends.numba.compile import disk
    compiled = []
    save = disk.KernelCache.save_overload
    disk.KernelCache.save_overload = lambda *args: (compiled.append(args), save(*args))
    for shape in ((4, 150, 150), (1, 9, 70)):
        x = np.random.default_rng(0).integers(0, 9, shape).astype(np.float32)
        found, expected = [], []
        for backend, results in (("numba", found), ("numpy", expected)):
            pooled = fastpool.maxpool2d(x, 2, return_indices=True, backend=backend)
            results += pooled
            results.append(fastpool.maxpool2d_backward(*pooled, x.shape, 2, backend=backend))
        assert [a.tobytes() for a in found] == [a.tobytes() for a in expected]
    print(len(compiled))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with the kernels of CODE."""
    folder = tmp_path_factory.mktemp("kernels")
    assert int(run(CODE, NUMBA_CACHE_DIR=str(folder))) > 3
    return folder


@pytest.fixture
def copied(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "kernels"))


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.whole
def test_a_second_process_compiles_nothing(filled):
    before = files(filled)
    assert run(CODE, NUMBA_CACHE_DIR=str(filled)) == "0"
    assert files(filled) == before


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.whole
def test_another_number_of_threads_uses_the_same(filled, threads):
    assert run(CODE, NUMBA_CACHE_DIR=str(filled), NUMBA_NUM_THREADS=threads) == "0"


@pytest.mark.whole
def test_another_processor_or_setting_gets_its_own(copied):
    """Code for this processor must not run on another, though both share a folder."""
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    compiled = run(CODE, NUMBA_CACHE_DIR=str(copied), **other)
    assert int(compiled) > 3
    assert run(CODE, NUMBA_CACHE_DIR=str(copied), **other) == "0"
    assert run(CODE, NUMBA_CACHE_DIR=str(copied)) == "0"
    assert int(run(CODE, NUMBA_CACHE_DIR=str(copied), NUMBA_BOUNDSCHECK="1")) > 3


def damage(path, kind):
    content = path.read_bytes()
    path.unlink()
    if kind == 0:
        path.write_bytes(content[: len(content) // 2])
    elif kind == 1:
        path.write_bytes(b"")
    elif kind == 2:
        path.write_bytes(b"garbage" * 1000)
    elif kind == 3:  # one bit, in the middle of the machine code
        at = len(content) // 2
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif kind == 4:
        path.mkdir()
    else:
        path.symlink_to(path)


@pytest.mark.whole
def test_bad_files_are_as_good_as_none(copied):
    """Cut off, empty, foreign, one bit wrong, no file at all: compiled again, and kept again."""
    damaged = files(copied)
    for i, path in enumerate(damaged):
        damage(path, i % 6)
    assert int(run(CODE, NUMBA_CACHE_DIR=str(copied))) == len(damaged)
    unwritable = sum(i % 6 == 4 for i in range(len(damaged)))
    assert int(run(CODE, NUMBA_CACHE_DIR=str(copied))) <= unwritable


@pytest.mark.whole
def test_several_processes_fill_one_folder(tmp_path):
    """All at once from nothing: each computes the right bits, and what they leave is whole."""
    environment = {**os.environ, "PYTHONPATH": PATH, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(CODE)]
    children = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [child.wait(300) for child in children] == [0] * 4
    assert run(CODE, NUMBA_CACHE_DIR=str(tmp_path)) == "0"
    assert not [path for path in files(tmp_path) if path.suffix != ".nbc"]


def install(folder):
    """A copy of the package: as a folder on the path that holds it."""
    package = Path(fastpool.__file__).parent
    shutil.copytree(package, folder / "fastpool", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.whole
def test_nowhere_to_keep_kernels(tmp_path):
    """A read-only installation, no home, a folder that cannot be made: it works, uncached."""
    folder = install(tmp_path / "installed")
    # A file in the way stops root too, whom no permission does.
    (folder / "fastpool" / "__pycache__").write_bytes(b"")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": None, "USERPROFILE": "/dev/null"}
    settings = {**nowhere, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for wished in (None, os.devnull + "/none"):
        assert int(run(CODE, **settings, NUMBA_CACHE_DIR=wished)) > 3
    assert len(files(folder)) == len(list(Path(fastpool.__file__).parent.rglob("*.py"))) + 2
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


@pytest.mark.whole
def test_a_full_disk(tmp_path):
    """A file that cannot be written to its end is left out, and nothing of it stays."""
    pytest.importorskip("resource")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    code = limit + textwrap.dedent(CODE)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "HOME": "/dev/null"}
    assert int(run(code, **environment)) > 3
    assert files(tmp_path) == []


@pytest.mark.whole
def test_kernels_are_found_where_nothing_can_be_written(filled, tmp_path):
    """An image is built with its kernels, and runs with all of it read-only."""
    folder = Path(shutil.copytree(filled, tmp_path / "kernels"))
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run(CODE, NUMBA_CACHE_DIR=str(folder)) == "0"


def test_a_changed_source_means_other_kernels(tmp_path):
    """Of any module, whatever its date: functions are compiled into each other."""
    code = "from fastpool.process import cache_folders; print(*cache_folders.folders())"
    folder = install(tmp_path)
    names = []
    for change in (b"", b"# 2\n"):
        path = folder / "fastpool" / "backends" / "numba" / "vectors" / "lanes.py"
        times = path.stat()
        path.write_bytes(path.read_bytes() + change)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        names.append(run(code, PYTHONPATH=str(folder)).split())
    assert len(set(names[0] + names[1])) == 2 * len(names[0])


def test_sources_in_subfolders_count(tmp_path):
    """By their paths: two files that change places are other sources."""
    code = "from fastpool.process import cache_folders; print(cache_folders.source_digest())"
    folder = install(tmp_path)
    names = [run(code, PYTHONPATH=str(folder))]
    for part in ("backends/numba", "interop/jitted"):
        for contents in (b"1", b"2"), (b"2", b"1"):
            for name, content in zip(("a", "b"), contents, strict=True):
                below = folder / "fastpool" / part / name
                below.mkdir(parents=True, exist_ok=True)
                (below / "new.py").write_bytes(content)
            names.append(run(code, PYTHONPATH=str(folder)))
        shutil.rmtree(below.parent / "a")
        shutil.rmtree(below.parent / "b")
    assert len(set(names)) == 5
    assert all(names)


def compile_alone(folder):
    """Leave the bytecode of an installed package, and no source of it."""
    assert compileall.compile_dir(folder, legacy=True, quiet=1)
    for path in folder.rglob("*.py"):
        path.unlink()


@pytest.mark.whole
def test_bytecode_alone(tmp_path):
    """Numba pools, and keeps its kernels."""
    folder, kernels = install(tmp_path / "installed"), tmp_path / "kernels"
    compile_alone(folder)
    settings = {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(kernels)}
    assert int(run(CODE, **settings)) > 3
    assert files(kernels)
    assert run(CODE, **settings) == "0"


@pytest.mark.whole
def test_no_modules_to_list(filled):
    """As in a frozen application: Numba pools without files of kernels."""
    code = """
        from importlib import resources
        files = resources.files
        def files_of_others(package):
            if package == "fastpool":
                raise FileNotFoundError(package)
            return files(package)
        resources.files = files_of_others
        from fastpool.process import cache_folders
        assert cache_folders.folders() == ()
        assert not cache_folders.filled()
    """
    code = textwrap.dedent(code) + textwrap.dedent(CODE)
    assert int(run(code, NUMBA_CACHE_DIR=str(filled))) > 3


@pytest.mark.whole
def test_an_installation_in_an_archive(filled, tmp_path):
    """It finds the kernels that the same sources made elsewhere."""
    installed = install(tmp_path / "installed")
    archive = shutil.make_archive(str(tmp_path / "fastpool"), "zip", installed)
    assert run(CODE, PYTHONPATH=archive, NUMBA_CACHE_DIR=str(filled)) == "0"


@pytest.mark.whole
def test_auto_uses_kernels_on_disk_without_compiling(filled):
    """It leaves small calls to NumPy until Numba's start is worth it, and then finds kernels."""
    code = """
        import sys, numpy as np, fastpool
        from fastpool.api import execute
        from fastpool.dispatch import economy
        x = np.ones((1, 9, 70), np.float32)
        fastpool.maxpool2d(x, 2, return_indices=True)
        print("numba" in sys.modules)
        economy.START_SECONDS = 0
        economy.FIRST_COMPILE_SECONDS = economy.COMPILE_SECONDS = 1e9
        for kernel_size in (2, 5):
            fastpool.maxpool2d(x, kernel_size, return_indices=True)
            print([task.plan is not None for task in execute._tasks.values()][-1], end=" ")
    """
    assert run(code, NUMBA_CACHE_DIR=str(filled)).split() == ["False", "True", "False"]


@pytest.mark.whole
def test_auto_uses_kernels_on_disk_from_the_first_large_call_on(filled):
    code = """
        import sys, numpy as np, fastpool
        from fastpool.api import execute
        from fastpool.dispatch import economy
        x = np.ones((4, 512, 512), np.float32)
        assert x.size >= economy.LARGE
        fastpool.maxpool2d(x, 2, return_indices=True)
        (task,) = execute._tasks.values()
        print(type(task.plan).__module__)
    """
    assert run(code, NUMBA_CACHE_DIR=str(filled)) == "fastpool.backends.numba"


def test_folders(monkeypatch):
    """The user's wish, or else where the package is; and no folder without a home."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "wished")
    monkeypatch.setenv("HOME", "nowhere")
    monkeypatch.setenv("USERPROFILE", "nowhere")
    found = cache_folders.folders.__wrapped__()
    assert [path.parent.name for path in found] == ["wished"]
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    found += cache_folders.folders.__wrapped__()
    assert [path.parent.name for path in found] == ["wished", "__pycache__"]
    assert all(path.is_absolute() for path in found)
