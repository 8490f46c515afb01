"""Products appear all together, or not at all."""

import errno
import fcntl
import multiprocessing
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stpipe_prefect.exceptions import OutputError
from stpipe_prefect.products.staging import check_output_dir, staged_products, was_interrupted


def write(folder, error=None, **sizes):
    """Run something that makes products, and then perhaps fails."""
    with staged_products(folder, "a") as staging:
        for name, size in sizes.items():
            (staging.folder / f"{name}_rate.fits").write_bytes(bytes(size))
        if error is not None:
            raise error


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by an administrator only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_products_appear_when_the_block_succeeds(tmp_path):
    out = tmp_path / "new" / "out"
    with staged_products(out, "a") as staging:
        (staging.folder / "b_rate.fits").write_text("rate")
        (staging.folder / "plots").mkdir()
        (staging.folder / "plots" / "a.png").write_text("plot")
        assert staging.folder.parent == out
        assert list(out.glob("*.fits")) == staging.products == []
    assert staging.products == [out / "b_rate.fits", out / "plots" / "a.png"]
    assert (out / "b_rate.fits").read_text() == "rate"
    assert sorted(path.name for path in out.iterdir()) == ["b_rate.fits", "plots"]


def test_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a_rate.fits").write_text("earlier")
    with pytest.raises(ZeroDivisionError):
        write(tmp_path, ZeroDivisionError, a=10, b=10)
    assert [path.name for path in tmp_path.iterdir()] == ["a_rate.fits"]
    assert (tmp_path / "a_rate.fits").read_text() == "earlier"


def test_interrupt_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, KeyboardInterrupt, a=10)
    assert list(tmp_path.iterdir()) == []


def test_product_takes_the_place_of_an_earlier_one(tmp_path):
    write(tmp_path, a=10)
    write(tmp_path, a=20)
    assert (tmp_path / "a_rate.fits").stat().st_size == 20


def test_two_runs_into_one_folder_do_not_meet(tmp_path):
    with staged_products(tmp_path, "a") as one, staged_products(tmp_path, "b") as two:
        (one.folder / "a_rate.fits").write_text("one")
        (two.folder / "b_rate.fits").write_text("two")
    assert one.products == [tmp_path / "a_rate.fits"]
    assert two.products == [tmp_path / "b_rate.fits"]


def test_checked_folder_stays_empty(tmp_path):
    check_output_dir(tmp_path / "out", needed=1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    with pytest.raises(OutputError, match=f"Output folder {out} cannot be written to: Not a dir"):
        check_output_dir(out)


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written to: File exists"):
        check_output_dir(tmp_path / "file")


def test_too_little_room_is_refused_before_anything_runs(small_disk):
    with pytest.raises(OutputError) as caught, staged_products(small_disk, "a", needed=5_000_000):
        pytest.fail("the block began")
    assert str(caught.value) == (
        f"Output folder {small_disk} has 1 MB free, the products need about 5 MB: "
        "make room or choose another"
    )


def test_disk_that_fills_up_on_the_way_keeps_no_part(small_disk):
    with pytest.raises(OSError, match="No space left"):
        write(small_disk, a=500_000, b=900_000)
    assert list(small_disk.iterdir()) == []


def test_second_run_of_the_same_is_refused_and_names_the_first(tmp_path):
    with staged_products(tmp_path, "a") as first:
        with pytest.raises(OutputError) as caught, staged_products(tmp_path, "a"):
            pytest.fail("the second run began")
        (first.folder / "a_rate.fits").write_text("first")
    assert re.fullmatch(
        rf"a in {tmp_path} is being made by process {os.getpid()} on \S+ since \S+; "
        "wait until that run is done",
        str(caught.value),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a_rate.fits"]


HOLD = """
import sys, time
from pathlib import Path
from stpipe_prefect.products.staging import staged_products
with staged_products(Path(sys.argv[1]), sys.argv[2]) as staging:
    (staging.folder / "half_rate.fits").write_text("half")
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, name):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path, "a"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        assert not was_interrupted(tmp_path, "a")  # it is at it
        with pytest.raises(OutputError, match=f"process {process.pid} on"):
            write(tmp_path, a=1)
        process.kill()
    assert was_interrupted(tmp_path, "a")
    with staged_products(tmp_path, name) as staging:
        (staging.folder / "new_rate.fits").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["new_rate.fits"]


def test_products_for_another_folder_wait_for_the_others(tmp_path):
    with staged_products(tmp_path / "one", "a") as staging:
        (staging.folder_for(tmp_path / "other") / "a_jump.fits").write_text("jump")
        assert not (tmp_path / "other" / "a_jump.fits").exists()
    assert staging.products == [tmp_path / "other" / "a_jump.fits"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["a_jump.fits"]


def test_obsolete_file_is_gone_with_the_first_product(tmp_path):
    (tmp_path / "record").touch()
    with staged_products(tmp_path, "a") as staging:
        (staging.folder / "a_rate.fits").touch()
        staging.publish(obsolete=[tmp_path / "record"])
    assert [path.name for path in tmp_path.iterdir()] == ["a_rate.fits"]


@pytest.mark.parametrize("planted", [".unfinished-a", ".unfinished-a-12345678"])
def test_planted_link_leads_nowhere(tmp_path, planted):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("data")
    out = tmp_path / "out"
    out.mkdir()
    (out / planted).symlink_to(victim)
    write(out, a=10)
    assert (out / "a_rate.fits").is_file()
    assert [path.name for path in victim.iterdir()] == ["precious"]


@pytest.mark.parametrize("planted", [".unfinished-a/lock", ".unfinished-a.lock"])
def test_planted_lock_overwrites_nothing(tmp_path, planted):
    (tmp_path / "precious").write_text("data")
    lock = tmp_path / "out" / planted
    lock.parent.mkdir(parents=True)
    lock.symlink_to(tmp_path / "precious")
    if planted == ".unfinished-a.lock":
        with pytest.raises(OutputError) as caught:
            write(tmp_path / "out", a=10)
        assert str(caught.value).startswith(f"lock file {lock} cannot be used (Too many levels of ")
        assert str(caught.value).endswith("): remove it, or choose another output folder")
    else:
        write(tmp_path / "out", a=10)
    assert (tmp_path / "precious").read_text() == "data"


def test_folder_is_its_users_own_and_cannot_be_guessed(tmp_path):
    with staged_products(tmp_path, "a") as one:
        pass
    with staged_products(tmp_path, "a") as other:
        assert other.folder != one.folder
        assert stat.S_IMODE(other.folder.stat().st_mode) == 0o700


def test_folder_renamed_like_a_leftover_is_not_removed(tmp_path):
    (tmp_path / ".unfinished-b-12345678").mkdir()
    (tmp_path / ".unfinished-b-12345678" / "precious").write_text("data")
    write(tmp_path, a=10)
    assert (tmp_path / ".unfinished-b-12345678" / "precious").read_text() == "data"


def work_as(user, folder, pipe):
    os.umask(0o022)
    os.setuid(pwd.getpwnam(user).pw_uid)
    with staged_products(folder, "a") as staging:
        (staging.folder / "half_rate.fits").touch()
        pipe.send("begun")
        pipe.recv()


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator can be several users")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_run_of_a_colleague_is_in_nobodys_way():
    forking = multiprocessing.get_context("fork")  # another user may not read this interpreter
    mine, hers = forking.Pipe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        process = forking.Process(target=work_as, args=("nobody", folder, hers), daemon=True)
        process.start()
        assert mine.recv() == "begun"
        (left,) = folder.glob(".unfinished-a-*")
        with pytest.raises(OutputError, match="is being made by a run of user nobody; wait"):
            write(folder, a=1)
        process.kill()
        process.join()
        assert was_interrupted(folder, "a")
        write(folder, a=10)
        assert sorted(folder.iterdir()) == [left, folder / "a_rate.fits"]  # hers to remove


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
@pytest.mark.parametrize("was_there", [False, True])
def test_file_system_without_locks_is_named(tmp_path, monkeypatch, number, was_there):
    def no_flock(*_):
        raise OSError(number, os.strerror(number))

    if was_there:
        (tmp_path / ".unfinished-a.lock").touch()
    monkeypatch.setattr(fcntl, "flock", no_flock)
    with pytest.raises(OutputError) as caught:
        write(tmp_path, a=10)
    assert str(caught.value) == (
        f"{tmp_path} is on a file system without file locks ({os.strerror(number)}): mount it "
        "with them (Lustre: option flock; NFS: lock manager running, or local_lock=flock), or "
        "choose another output folder"
    )
    assert [path.name for path in tmp_path.glob("*")] in ([], [".unfinished-a.lock"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_process_that_is_forked_keeps_the_lock(tmp_path):
    reading, writing = os.pipe()
    with staged_products(tmp_path, "a"):
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)  # until the other end is closed
            os._exit(0)
    write(tmp_path, a=10)
    os.close(writing)
    os.waitpid(child, 0)


def test_long_name(tmp_path):
    with staged_products(tmp_path, f"{'n' * 250}.calwebb") as staging:
        (staging.folder / "a_rate.fits").touch()
        with (
            staged_products(tmp_path, f"{'n' * 250}.calwebc"),
            pytest.raises(OutputError, match="is being made by process"),
            staged_products(tmp_path, f"{'n' * 250}.calwebb"),
        ):
            pytest.fail("the second run began")
    assert staging.products == [tmp_path / "a_rate.fits"]


@pytest.mark.parametrize("taken", ["b_rate.fits", "record"])
def test_folder_in_the_place_of_a_product_is_found_before_anything_is_replaced(tmp_path, taken):
    for name in ("a_rate.fits", "b_rate.fits", "record"):
        (tmp_path / name).mkdir() if name == taken else (tmp_path / name).write_text("earlier")
    with staged_products(tmp_path, "a") as staging:
        (staging.folder / "a_rate.fits").touch()
        (staging.folder / "b_rate.fits").touch()
        with pytest.raises(OutputError) as caught:
            staging.publish(obsolete=[tmp_path / "record"])
        staging.publish = list
    assert str(caught.value).startswith(f"{tmp_path / taken} is a folder, but the run writes")
    for name in {"a_rate.fits", "b_rate.fits", "record"} - {taken}:
        assert (tmp_path / name).read_text() == "earlier"


def test_error_within_the_run_is_not_blamed_on_the_folder(tmp_path):
    with pytest.raises(PermissionError, match=r"^of a step$"):
        write(tmp_path, PermissionError("of a step"), a=10)
