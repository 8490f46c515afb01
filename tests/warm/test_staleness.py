"""What counts as a change of the code that the warm process has imported."""

from importlib import import_module

from stpipe_prefect.warm.staleness import Imported


def test_installed_files_that_are_not_imported_do_not_count(tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    (folder / "other").mkdir(parents=True)
    module = folder / "of_one_file.py"
    module.write_text("__path__ = []\n")  # as that of six
    monkeypatch.syspath_prepend(folder)
    import_module(module.stem)
    imported = Imported.now()
    (folder / "other" / "data.csv").touch()
    assert imported.change() == ""
    module.write_text("__path__ = []\nchanged = True\n")
    assert imported.change() == str(module)
